"""Definitions: a class that cannot work is refused when its spec is made, in one line with the remedy."""

from __future__ import annotations

import abc
import dataclasses
import functools
import re
import sys
import types
import typing
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, overload

import msgspec
import pytest

from actors import Actor, Fed, Message, UsageError, handles, job
from actors.protocol.protocol import protocol_of
from actors.testing import inline
from supervisor import ChildSpec, StartFailed, Supervisor

T = TypeVar("T")


class Ping(Message[int]):
    pass


class Box(Message[int], Generic[T]):
    content: T


class Unset(Message[int]):
    number: int | msgspec.UnsetType = msgspec.UNSET


class One(msgspec.Struct):
    number: int


class Other(msgspec.Struct):
    number: int


class Derived(One):
    pass


class Base(Actor):
    @handles
    def ping(self, msg: Ping) -> int:
        return 1


class Override(Base):
    def ping(self, msg: Ping) -> int:
        return 2


class GrandOverride(Base):
    @handles
    def ping(self, msg: Ping) -> int:
        return 2


class GreatOverride(GrandOverride):
    ping = 5


class TakenAway(Base):
    ping = None


class Static(Actor):
    @handles
    @staticmethod
    def ping(msg: Ping) -> int:
        return 1


class StaticOutside(Actor):
    @staticmethod
    @handles
    def ping(msg: Ping) -> int:
        return 1


class ClassMethod(Actor):
    @handles
    @classmethod
    def ping(cls, msg: Ping) -> int:
        return 1


class Partial(Actor):
    def some(self, msg: Ping, number: int) -> int:
        return number

    ping = handles(functools.partialmethod(some, number=1))


class Property(Actor):
    @property
    @handles
    def ping(self) -> int:
        raise AssertionError("this is never called")


class Instance:
    def __call__(self, msg: Ping) -> int:
        return 1


class CallableThing(Actor):
    ping = handles(Instance())


def traced(function):
    @functools.wraps(function)
    def wrapper(self, msg):
        return function(self, msg)

    return wrapper


class Traced(Actor):
    @handles
    @traced
    async def ping(self, msg: Ping) -> int:
        return 1


class TracedTwice(Actor):
    @handles
    @traced
    @traced
    async def ping(self, msg: Ping) -> int:
        return 1


class CachedCoroutine(Actor):
    @handles
    @functools.lru_cache  # noqa: B019 - what it keeps is the matter
    async def ping(self, msg: Ping) -> int:
        return 1


class Single(Actor):
    @handles
    @functools.singledispatchmethod
    def ping(self, msg: Ping) -> int:
        return 1


class Unfinished(Actor, abc.ABC):
    @handles
    @abc.abstractmethod
    def ping(self, msg: Ping) -> int: ...


class StopTakesNothing(Actor):
    def on_stop(self):
        pass


class StartTakesMore(Actor):
    def on_start(self, *, path):
        pass


class HandlesNumber(Actor):
    @handles
    def ping(self, msg: Ping | int) -> int:
        return 1


class SequenceNumbers(Message[AsyncIterator[int]]):
    pass


class TracedStream(Actor):
    @handles
    @traced
    def numbers(self, msg: SequenceNumbers) -> Iterator[int]:
        yield 1


class GenericMessage(Actor):
    @handles
    def box(self, msg: Box[int]) -> int:
        return 1


class GenericInUnion(Actor):
    @handles
    def box(self, msg: Ping | Box[int]) -> int:
        return 1


class MayBeUnset(Actor):
    @handles
    def unset(self, msg: Unset) -> int:
        return 1


class AsyncInit(Actor):
    async def __init__(self) -> None:
        pass


def yields(self):
    yield


class InitYields(Actor):
    __init__ = yields


class StartYields(Actor):
    def on_start(self):
        yield


class StaticStop(Actor):
    @staticmethod
    def on_stop(reason):
        pass


class MarkedHook(Actor):
    @handles
    def on_stop(self, msg: Ping) -> int:
        return 1


class NoCodecs(Actor):
    codecs = 5


class BareCodec(Actor):
    codecs = (int,)


class SlottedConcurrency(Actor):
    __slots__ = ("concurrency",)


def hides(function):
    def wrapper(self, msg):
        return function(self, msg)

    return wrapper


class Keeper:
    def __init__(self, function):
        self.function = function

    def __get__(self, instance, owner=None):
        return self.function.__get__(instance, owner)


class NamedContext(Actor):
    @handles
    def context(self, msg: Ping) -> int:
        return 1


class HidesMark(Actor):
    @hides
    @handles
    def ping(self, msg: Ping) -> int:
        return 1


class HidesMarkInObject(Actor):
    @Keeper
    @handles
    def ping(self, msg: Ping) -> int:
        return 1


class MarkedOverloads(Actor):
    @overload
    @handles
    def ping(self, msg: Ping) -> int: ...

    @overload
    def ping(self, msg: Box) -> int: ...

    def ping(self, msg):
        return 1


class OnlyOverloads(Actor):
    @overload
    @handles
    def ping(self, msg: Ping) -> int: ...


P = TypeVar("P", bound=Ping)


class AnyMessage(Actor):
    @handles
    def ping(self, msg: Message[int]) -> int:
        return 1


class OfTypeVar(Actor):
    @handles
    def ping(self, msg: P) -> int:
        return 1


class Untyped(Fed):
    pass


class Numbers(Fed[int, int]):
    pass


class ItemsUnsaid(Actor):
    @handles
    def take(self, msg: Untyped, items: Iterator[int]) -> int:
        return 1


class ItemsOfOtherType(Actor):
    @handles
    def take(self, msg: Numbers, items: Iterator[str]) -> int:
        return 1


class ItemsAsync(Actor):
    @handles
    def take(self, msg: Numbers, items: AsyncIterator[int]) -> int:
        return 1


def wraps_init(function):
    @functools.wraps(function)
    def wrapper(self):
        return function(self)

    return wrapper


class InitWrapped(Actor):
    @wraps_init
    async def __init__(self):
        pass


class MarkedDestructor(Actor):
    @handles
    def __del__(self, msg: Ping) -> int:  # noqa: PLE0302 - what is wrong with it
        return 1


class OwnContext(Actor):
    @property
    def context(self):
        return None


class OfClassVar(Actor):
    @handles
    def ping(self, msg: ClassVar[Ping]) -> int:
        return 1


class OfNoPython(Actor):
    @handles
    def ping(self, msg: "a Ping") -> int:  # noqa: F722 - what is wrong with it
        return 1


class Pong(Message[str]):
    pass


class Pinged:
    @handles
    def take(self, msg: Ping) -> int:
        return 1


class Ponged:
    @handles
    def take(self, msg: Pong) -> str:
        return ""


class Both(Pinged, Ponged, Actor):
    pass


class Untagged(Message[int], tag=False):
    pass


class AsMap(Message[int], array_like=False):
    pass


class HandlesUntagged(Actor):
    @handles
    def take(self, msg: Untagged) -> int:
        return 1


class HandlesMap(Actor):
    @handles
    def take(self, msg: AsMap) -> int:
        return 1


@pytest.mark.parametrize(
    ("actor", "words"),
    [
        (MarkedDestructor, ["MarkedDestructor.__del__ is a method that Python itself calls"]),
        (OwnContext, ["OwnContext.context is hidden by self.context"]),
        (OfClassVar, ["OfClassVar.ping", "ClassVar"]),
        (OfNoPython, ["the annotation of OfNoPython.ping cannot be read"]),
        (Both, ["Both.take is that of Pinged, and hides Ponged.take, which handles Pong"]),
        (HandlesUntagged, ["Untagged, whose class says tag=False", "leave tag out"]),
        (HandlesMap, ["AsMap, whose class says array_like=False", "leave array_like out"]),
        (Override, ["Override.ping", "Base", "without @handles", "ping = None"]),
        (GreatOverride, ["GreatOverride.ping", "GrandOverride", "without @handles"]),
        (Static, ["Static.ping", "staticmethod", "def ping(self, msg: SomeMessage)"]),
        (StaticOutside, ["StaticOutside.ping", "staticmethod"]),
        (ClassMethod, ["ClassMethod.ping", "classmethod"]),
        (Partial, ["Partial.ping", "partialmethod"]),
        (Property, ["Property.ping", "property"]),
        (CallableThing, ["CallableThing.ping", "Instance"]),
        (Traced, ["Traced.ping is async", "wrapper()", "async def"]),
        (TracedTwice, ["TracedTwice.ping is async", "wrapper()"]),
        (NamedContext, ["NamedContext.context is hidden by self.context"]),
        (HidesMark, ["HidesMark.ping", "below the function wrapper()", "functools.wraps"]),
        (HidesMarkInObject, ["HidesMarkInObject.ping", "below the Keeper", "functools.wraps"]),
        (MarkedOverloads, ["MarkedOverloads.ping has marked overloads"]),
        (OnlyOverloads, ["OnlyOverloads.ping has overloads, and no method"]),
        (AnyMessage, ["AnyMessage.ping handles Message, the base of all messages", "A | B"]),
        (OfTypeVar, ["OfTypeVar.ping handles P, which is not a class", "A | B"]),
        (ItemsUnsaid, ["Untyped does not say which items follow it", "Fed[ReplyType, ItemType]"]),
        (ItemsOfOtherType, ["ItemsOfOtherType.take takes", "Iterator[str]", "items: Iterator[int]"]),
        (ItemsAsync, ["ItemsAsync.take takes", "items: Iterator[int]"]),
        (InitWrapped, ["InitWrapped.__init__ is async", "wrapper()"]),
        (TracedStream, ["TracedStream.numbers yields", "wrapper()"]),
        (CachedCoroutine, ["CachedCoroutine.ping is async", "_lru_cache_wrapper"]),
        (Single, ["Single.ping", "singledispatchmethod"]),
        (Unfinished, ["Unfinished is abstract", "lacks ping"]),
        (StopTakesNothing, ["StopTakesNothing.on_stop", "def on_stop(self, reason)"]),
        (StartTakesMore, ["StartTakesMore.on_start", "def on_start(self)"]),
        (HandlesNumber, ["HandlesNumber.ping handles int", "not a message"]),
        (GenericMessage, ["GenericMessage.box", "Box[...]", "annotate Box itself"]),
        (GenericInUnion, ["GenericInUnion.box", "Box[...]"]),
        (MayBeUnset, ["Unset.number", "None = None"]),
        (AsyncInit, ["AsyncInit.__init__", "async def on_start"]),
        (InitYields, ["InitYields.__init__", "yield"]),
        (StartYields, ["StartYields.on_start", "yield"]),
        (StaticStop, ["StaticStop.on_stop", "staticmethod"]),
        (MarkedHook, ["MarkedHook.on_stop", "hook"]),
        (NoCodecs, ["NoCodecs.codecs", "tuple of Codec"]),
        (BareCodec, ["BareCodec.codecs", "tuple of Codec"]),
        (SlottedConcurrency, ["SlottedConcurrency.concurrency", "at least 1"]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_class_that_cannot_work(actor, words):
    """Class, method and remedy stand in one line."""
    with pytest.raises(UsageError) as caught:
        ChildSpec(actor, name="x")
    assert [] == [word for word in words if word not in str(caught.value)], str(caught.value)
    assert "\n" not in str(caught.value)


def awaits(function):
    @functools.wraps(function)
    async def wrapper(self, msg):
        return await function(self, msg)

    return wrapper


class Decorated(Actor):
    @handles
    @awaits
    async def ping(self, msg: Ping) -> int:
        return 1


class DecoratedTwice(Actor):
    @handles
    @awaits
    @traced  # its coroutine is awaited
    async def ping(self, msg: Ping) -> int:
        return 1


class DecoratedOutside(Actor):
    @awaits
    @handles
    async def ping(self, msg: Ping) -> int:
        return 1


class ByPlace(Actor):
    @handles
    def ping(self, msg: Ping, /) -> int:
        return 1


class Joined(Pinged, Base):
    """`take` and `ping` both handle Ping, so one of them goes."""

    ping = None


class Narrowed(Both):
    @handles
    def take(self, msg: Ping | Pong) -> int | str:
        return 1


class AnyNumbers(Message[typing.Iterator]):
    pass


class Streams(Actor):
    @handles
    def numbers(self, msg: AnyNumbers) -> typing.Iterator:
        yield 1


class Cached(Actor):
    @handles
    @functools.lru_cache  # noqa: B019
    def ping(self, msg: Ping) -> int:
        return 1


class Finished(Unfinished):
    @handles
    def ping(self, msg: Ping) -> int:
        return 1

    def on_start(self, path="") -> None:
        pass

    def on_stop(self, *reasons: object) -> None:
        pass


@pytest.mark.parametrize(
    "actor", [Decorated, DecoratedTwice, DecoratedOutside, ByPlace, Joined, Narrowed, Streams, Cached, Finished]
)
def test_a_class_that_works(actor):
    """What looks like one that cannot work is accepted."""
    assert "x" == ChildSpec(actor, name="x").name


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no aliases")
def test_an_alias_of_messages():
    """`type Both = Ping | Pong` stands for the two, also inside another union."""
    names = {"Ping": Ping, "Pong": Pong}
    exec("type Both = Ping | Pong\ntype Text = str", names)

    def take(self, msg):
        return 1

    take.__annotations__ = {"msg": names["Both"] | Box}
    assert {Ping, Pong, Box} == protocol_of(type("Aliased", (Actor,), {"take": handles(take)})).handlers.keys()
    take.__annotations__ = {"msg": Ping, "return": names["Text"]}
    with pytest.raises(UsageError, match="but its message promises int"):
        protocol_of(type("Contradicting", (Actor,), {"take": handles(take)}))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no aliases")
@pytest.mark.parametrize("place", ["message", "reply", "state", "job"])
def test_an_alias_that_names_itself(place):
    """`type Json = list[Json] | str` has no end that msgspec would find: refused with what to write, as any other."""
    names = {}
    exec("type Json = list[Json] | str", names)
    json = names["Json"]

    def take(self, msg):
        return 1

    def save(self):
        return 1

    def load(self, state):
        pass

    def parse(text):
        return 1

    with pytest.raises(UsageError, match=r"a type without end, as the alias .*class Node\(msgspec\.Struct\)"):
        match place:
            case "message":
                fields = {"__annotations__": {"json": json}}
                put = types.new_class("Put", (Message[int],), exec_body=lambda body: body.update(fields))
                take.__annotations__ = {"msg": put}
                protocol_of(type("Takes", (Actor,), {"take": handles(take)}))
            case "reply":
                take.__annotations__ = {"msg": types.new_class("Get", (Message[json],))}
                protocol_of(type("Gives", (Actor,), {"take": handles(take)}))
            case "state":
                save.__annotations__, load.__annotations__ = {"return": json}, {"state": json}
                protocol_of(type("Keeps", (Actor,), {"save": save, "load": load}))
            case "job":
                parse.__annotations__, parse.__qualname__ = {"text": json, "return": int}, "parse"
                job(parse)


@dataclasses.dataclass(frozen=True)
class Frozen(Actor):
    number: int = 1

    @handles
    def ping(self, msg: Ping) -> int:
        return self.number


async def test_an_actor_may_be_frozen():
    """Its context is set even so."""
    async with inline(Frozen, 3) as ref:
        assert 3 == await ref.ask(Ping())


class HidesHandler(Actor):
    def __init__(self) -> None:
        self.ping = 5

    @handles
    def ping(self, msg: Ping) -> int:
        return 1


class TakesContext(Actor):
    def __init__(self) -> None:
        self.context = {}


@pytest.mark.parametrize(("actor", "name"), [(HidesHandler, "ping"), (TakesContext, "context")])
async def test_what_init_may_not_hide(actor, name):
    """It is a failed start that says which attribute, not a TypeError at the first message."""
    with pytest.raises(StartFailed, match=rf"it sets self\.{name}, .*give (it|that) another name"):
        async with inline(actor):
            pass


class ConnectsInInit(Actor):
    def __init__(self):
        return self.connect()  # noqa: PLE0101 - this is what is refused

    async def connect(self) -> None: ...


class ReturnsFromInit(Actor):
    def __init__(self):
        return 5  # noqa: PLE0101 - this is what is refused


@pytest.mark.parametrize(("actor", "kind"), [(ConnectsInInit, "a coroutine"), (ReturnsFromInit, "an int")])
async def test_what_init_may_not_return(actor, kind):
    """It is a TypeError in Python itself; a coroutine would never be awaited."""
    with pytest.raises(StartFailed, match=rf"it returned {kind}, and what __init__ returns is dropped"):
        async with inline(actor):
            pass


class Foreign(Actor):
    def __new__(cls):
        return Ping()


class TakesInNew(Actor):
    def __new__(cls, answer):
        made = super().__new__(cls)
        made.answer = answer
        return made

    def __init__(self, answer): ...

    @handles
    def ping(self, msg: Ping) -> int:
        return self.answer


async def test_what_new_may_return():
    """Its own object alone; it gets the arguments, as in Python."""
    with pytest.raises(StartFailed, match=r"its __new__ returned a Ping, which is not a Foreign"):
        async with inline(Foreign):
            pass
    async with inline(TakesInNew, 7) as ref:
        assert 7 == await ref.ask(Ping())


def test_a_handler_that_was_taken_away():
    """`ping = None`, as with __hash__."""
    assert {} == protocol_of(TakenAway).handlers


class Watched(Actor):
    @property
    def broken(self) -> int:
        raise AssertionError("this is never called")

    class Meta:
        pass

    @handles
    def ping(self, msg: Ping) -> int:
        return 1


def test_nothing_of_a_class_is_evaluated():
    """A property of the class is never evaluated."""

    class Curious(type):
        @property
        def nosy(cls) -> int:
            raise AssertionError("this is never called")

    assert [Ping] == list(protocol_of(Watched).handlers)
    assert [Ping] == list(protocol_of(Curious("Odd", (Watched,), {})).handlers)


@pytest.mark.parametrize("wrong", [Ping, 5, None, "Ping"], ids=repr)
def test_the_mark_takes_no_arguments(wrong):
    """`@handles(Ping)` is told how it is written."""
    with pytest.raises(UsageError, match="@handles"):
        handles(wrong)


@pytest.mark.parametrize("decorator", [handles, job])
@pytest.mark.parametrize(
    ("args", "options", "words"),
    [((), {}, "and no brackets"), ((), {"retries": 3}, "it was given retries=3"), ((1, 2), {}, "it was given 1, 2")],
)
def test_a_mark_with_brackets_is_told_how_it_is_written(decorator, args, options, words):
    """`@job()` is a call without the function, which Python's own words explain to nobody."""
    name = decorator.__name__
    with pytest.raises(UsageError, match=f"@{name} takes no arguments, {words}; write @{name} above"):
        decorator(*args, **options)


def test_the_mark_does_not_stand_above_an_overload():
    """It would be lost with it."""
    with pytest.raises(UsageError, match="above the method that follows the overloads"):
        handles(overload(Base.ping))


# ---- what a handler returns


def handler(promised, returns):
    """An actor whose message promises one type, and whose handler names another."""

    class Asked(Message[promised]):
        pass

    def take(self, msg):
        return 1

    take.__annotations__ = {"msg": Asked, "return": returns}
    return type("Answers", (Actor,), {"take": handles(take)})


class Fill(Fed[int, str]):
    pass


class Lines(Message[AsyncIterator[str]]):
    pass


def fill(self, msg: Fill, items: Iterator[str]) -> str:
    return ""


def lines(self, msg: Lines) -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("method", "text"),
    [
        (fill, r"take returns str, but its message promises int; return what class Fill(Fed[int, str]) says"),
        (
            lines,
            r"take returns int, but its message promises str; return what class Lines(Message[AsyncIterator[str]])",
        ),
    ],
)
def test_a_contradicted_promise_is_shown_as_it_is_written(method, text):
    """So that one sees which of the two of a `Fed` is the reply."""
    with pytest.raises(UsageError, match=re.escape(text)):
        protocol_of(type("Answers", (Actor,), {"take": handles(method)}))


@pytest.mark.parametrize(
    ("promised", "returns"),
    [
        (int, str),
        (int, None),
        (None, int),
        (str, bytes),
        (int, bool),
        (list[int], dict[str, int]),
        (list[int], list[str]),
        (dict[str, int], dict[str, str]),
        (int | None, str | bytes),
        (One, int),
        (One, Other),
        (int, Coroutine[Any, Any, int]),
        (Literal["a"], int),
        (int, "str"),
    ],
    ids=repr,
)
def test_a_return_that_contradicts_the_promise(promised, returns):
    """Both types and the handler are named."""
    with pytest.raises(UsageError, match=r"Answers\.take returns .*, but its message promises"):
        protocol_of(handler(promised, returns))


@pytest.mark.parametrize(
    ("promised", "returns"),
    [
        (int, int),
        (int, Any),
        (Any, str),
        (float, int),
        (int | None, int),
        (int, int | None),
        (list[int], Sequence[int]),
        (list[int], tuple[int, ...]),
        (list[int], list),
        (dict[str, int], Mapping[str, int]),
        (One, Derived),
        (One, dict),
        (Annotated[int, msgspec.Meta(ge=0)], int),
        (Literal["a", "b"], str),
        (int, T),
        (int, "Elsewhere"),
        (int, object),
    ],
    ids=repr,
)
def test_a_return_that_may_keep_the_promise(promised, returns):
    """Only what surely cannot be is refused."""
    protocol_of(handler(promised, returns))


# ---- words of a class about itself


def test_a_word_that_became_a_field():
    """Without ClassVar it is a field, and as a word about the class always true: the class is refused."""
    with pytest.raises(UsageError, match=r"Sure\.idempotent is a field .* write idempotent: ClassVar\[bool\]"):

        class Sure(Message[int]):
            idempotent: bool = False


def test_a_word_that_is_no_bool():
    """Whatever else it is would be true, too."""
    with pytest.raises(UsageError, match=r"Odd\.idempotent must be True or False, it is 'no'"):

        class Odd(Message[int]):
            idempotent = "no"


def test_a_word_well_said():
    """With ClassVar, or without an annotation; a subclass has it from its base."""

    class Sure(Message[int]):
        idempotent: ClassVar[bool] = True

    class Short(Message[int], tag="short", kw_only=True):
        idempotent = True
        number: int

    class Heir(Sure):
        number: int

    assert Sure.idempotent
    assert Short.idempotent
    assert Heir.idempotent
    assert ("number",) == Heir.__struct_fields__


# ---- hooks that return what is to be awaited


class Connects(Actor):
    def on_start(self):
        return self.connect()

    async def connect(self) -> None:
        self.number = 7

    def on_stop(self, reason):
        return self.leave()

    async def leave(self) -> None:
        self.context.log.info("left", number=self.number)

    @handles
    def ping(self, msg: Ping) -> int:
        return self.number


class Leaves(Connects):
    def on_start(self) -> None:
        self.number = 8


@pytest.mark.processes
@pytest.mark.parametrize(("actor", "number"), [(Connects, 7), (Leaves, 8)])
async def test_a_hook_that_returns_a_coroutine(actor, number, logs):
    """It is awaited, in an actor of sync handlers, too."""
    async with Supervisor(ChildSpec(actor, name="a"), spares=0) as root:
        assert number == await root["a"].ask(Ping())
    assert [number] == [line["number"] for line in logs if line["event"] == "left"]
