"""Actor: what a class handles, and every way in which it could not work, told before any process exists."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from actors import Actor, ActorRef, Message, UsageError, handles
from actors.protocol.protocol import protocol_of
from supervisor import ChildSpec

if TYPE_CHECKING:
    from nowhere import Elsewhere


class Foreign:
    pass


class Ping(Message[str]):
    text: str = ""


class Pong(Message[int]):
    number: int


class TakesForeign(Message[int]):
    foreign: Foreign


class TakesOddUnion(Message[int]):
    odd: int | Foreign


class GivesForeign(Message[list[Foreign]]):
    pass


class ListsNumbers(Message[None]):
    numbers: list[int]


class Namesake(Message[str], tag="Ping"):
    pass


class Tagged(Message[str], tag="Ping2"):
    pass


class Twice(Actor):
    @handles
    def first(self, msg: Ping) -> str: ...

    @handles
    def second(self, msg: Ping) -> str: ...


class TwiceInUnion(Actor):
    @handles
    def first(self, msg: Ping | Pong) -> Any: ...

    @handles
    def second(self, msg: Pong) -> int: ...


class Unannotated(Actor):
    @handles
    def guess(self, msg) -> int: ...


class NoMessage(Actor):
    @handles
    def number(self, msg: int) -> int: ...


class HalfMessage(Actor):
    @handles
    def number(self, msg: Ping | None) -> int: ...


class BareMessage(Actor):
    @handles
    def anything(self, msg: Message) -> int: ...


class ForeignField(Actor):
    @handles
    def take(self, msg: TakesForeign) -> int: ...


class ForeignInUnion(Actor):
    @handles
    def take(self, msg: TakesOddUnion) -> int: ...


class ForeignReply(Actor):
    @handles
    def give(self, msg: GivesForeign) -> list[Foreign]: ...


class SameTag(Actor):
    @handles
    def one(self, msg: Ping) -> str: ...

    @handles
    def other(self, msg: Namesake) -> str: ...


class Generator(Actor):
    @handles
    def give(self, msg: Ping) -> Iterator[str]:
        yield ""


class AsyncGenerator(Actor):
    @handles
    async def give(self, msg: Ping) -> AsyncIterator[str]:
        yield ""


class Hurried(Actor):
    concurrency = 2

    @handles
    async def good(self, msg: Pong) -> int: ...

    @handles
    def slow(self, msg: Ping) -> str: ...


class NoConcurrency(Actor):
    concurrency = 0


class OddConcurrency(Actor):
    concurrency = "many"  # type: ignore[assignment]


class OddOnError(Actor):
    on_error = "ignore"  # type: ignore[assignment]


class Unresolvable(Actor):
    @handles
    def find(self, msg: Elsewhere) -> int: ...


class NoParameter(Actor):
    @handles
    def nothing(self) -> int: ...


class TwoParameters(Actor):
    @handles
    def both(self, msg: Ping, more: int) -> str: ...


class KeywordParameter(Actor):
    @handles
    def named(self, *, msg: Ping) -> str: ...


class ManyParameters(Actor):
    @handles
    def many(self, *msg: Ping) -> str: ...


@pytest.mark.parametrize(
    ("actor", "words"),
    [
        (Twice, ["Twice.first", "Twice.second", "Ping", "keep one"]),
        (TwiceInUnion, ["TwiceInUnion.first", "TwiceInUnion.second", "Pong", "keep one"]),
        (Unannotated, ["Unannotated.guess", "annotate it", "msg: "]),
        (NoMessage, ["NoMessage.number", "int", "Message["]),
        (HalfMessage, ["HalfMessage.number", "NoneType", "Message["]),
        (BareMessage, ["BareMessage.anything", "Message"]),
        (ForeignField, ["ForeignField.take", "TakesForeign", "test_actor.Foreign", "msgspec knows"]),
        (ForeignInUnion, ["ForeignInUnion.take", "Foreign", "no codec"]),
        (ForeignReply, ["reply", "ForeignReply.give", "test_actor.Foreign", "msgspec knows"]),
        (SameTag, ["SameTag", "'Ping'", "rename one", "tag="]),
        (Generator, ["Generator.give", "generator", "AsyncIterator[", "return the reply"]),
        (AsyncGenerator, ["AsyncGenerator.give", "generator", "AsyncIterator[", "return the reply"]),
        (Hurried, ["Hurried", "concurrency = 2", "Hurried.slow", "async def slow"]),
        (NoConcurrency, ["NoConcurrency.concurrency", "at least 1", "0"]),
        (OddConcurrency, ["OddConcurrency.concurrency", "at least 1", "'many'"]),
        (OddOnError, ["OddOnError.on_error", "'crash' or 'reply'", "'ignore'"]),
        (Unresolvable, ["Unresolvable.find", "Elsewhere", "TYPE_CHECKING"]),
        (NoParameter, ["NoParameter.nothing", "exactly one message", "def nothing(self, msg"]),
        (TwoParameters, ["TwoParameters.both", "exactly one message"]),
        (KeywordParameter, ["KeywordParameter.named", "exactly one message"]),
        (ManyParameters, ["ManyParameters.many", "exactly one message"]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_could_not_work_is_refused(actor, words):
    """Class, method and remedy stand in one line, when the spec is made and every time it is."""
    for _ in range(2):
        with pytest.raises(UsageError) as caught:
            ChildSpec(actor, name="x")
        assert [] == [word for word in words if word not in str(caught.value)], str(caught.value)
        assert "\n" not in str(caught.value)


def wrapped(method):
    @functools.wraps(method)
    def around(self, msg):
        return method(self, msg)

    return around


class Good(Actor):
    @handles
    def one(self, msg: Ping) -> str:
        return msg.text

    @handles
    @wrapped
    def two(self, msg: Pong) -> int:
        return msg.number

    @handles
    def list(self, msg: ListsNumbers) -> None:
        pass


class Better(Good):
    async def on_start(self) -> None:
        pass

    @handles
    def one(self, msg: Ping | Tagged) -> str:
        return "better"


class Idle(Actor):
    pass


def test_the_table():
    """Message to handler, with the reply's type; a wrapped method is read through its wrapper."""
    handlers = protocol_of(Good).handlers
    assert {Ping: "one", Pong: "two", ListsNumbers: "list"} == {m: h.name for m, h in handlers.items()}
    assert int is handlers[Pong].reply.promised
    assert [0, 1, 2] == sorted(handler.index for handler in handlers.values())


def test_a_subclass_handles_what_its_base_does():
    """An overriding method takes the place of the base's, and a union is two rows."""
    handlers = protocol_of(Better).handlers
    assert {Ping: "one", Tagged: "one", Pong: "two", ListsNumbers: "list"} == {
        message: handler.name for message, handler in handlers.items()
    }


def test_read_once():
    """A class has one table."""
    assert protocol_of(Good) is protocol_of(Good)


def test_an_event_loop_only_where_something_is_async():
    """A sync actor needs none; one async hook is enough to need it."""
    assert not protocol_of(Good).asynchronous
    assert protocol_of(Better).asynchronous
    assert not protocol_of(Idle).asynchronous


def test_there_and_back():
    """What the sender encodes is what the actor gets."""
    protocol = protocol_of(Good)
    for message in (Ping("x"), Pong(3), ListsNumbers([1, 2])):
        assert message == protocol.decode(protocol.encode(message).data)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Tagged(), ["Good does not handle Tagged", "ListsNumbers, Ping, Pong", "@handles"]),
        ("text", ["a str is not a message", "Good"]),
        (Ping, ["Ping is the class of a message", "Ping(...)"]),
        (Pong("x"), ["Pong", "Good", "Expected `int`, got `str`", "Pong(number='x')"]),
        (Pong(2**80), ["Pong", "Good", "serialize ints"]),
        (Ping("\udcff"), ["Ping", "Good", "surrogate"]),
        (ListsNumbers([1, "x"]), ["ListsNumbers", "Expected `int`, got `str`", "$.numbers[1]"]),
    ],
    ids=repr,
)
def test_what_cannot_be_sent(message, words):
    """A message that is not handled, or whose fields have the wrong type, fails at the sender."""
    with pytest.raises(UsageError) as caught:
        protocol_of(Good).encode(message)
    assert [] == [word for word in words if word not in str(caught.value)], str(caught.value)


def test_a_field_changed_after_it_was_made():
    """A list inside a frozen message can still be changed; what is sent is checked then."""
    message = ListsNumbers([1])
    message.numbers.append("x")
    with pytest.raises(UsageError):
        protocol_of(Good).encode(message)


def test_recursive_values_are_refused():
    """A value that contains itself has no bytes."""
    numbers: list[Any] = []
    numbers.append(numbers)
    with pytest.raises(UsageError):
        protocol_of(Good).encode(ListsNumbers(numbers))


def test_an_idle_actor_handles_nothing():
    """It may do all its work in on_start; whatever is sent to it is refused."""
    with pytest.raises(UsageError, match="no message at all"):
        protocol_of(Idle).encode(Ping())


def test_a_ref_is_abstract():
    """Only the two sides that can send make refs."""
    with pytest.raises(TypeError):
        ActorRef("/root/a")  # type: ignore[abstract]


def test_messages_stay_msgspec_structs():
    """Tools for Structs work on messages."""
    assert {"number": 3} == msgspec.structs.asdict(Pong(3))
