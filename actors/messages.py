"""Message: the base of everything a user sends.

A message is a frozen value; its class name is its tag on the wire, its parameter `R` the type of its reply.
A topic is a name under which messages of one type are published to all subscribers: at most once, and bounded; a
subscriber that is full or down misses the message, the publisher never waits.

Annotations are not postponed here: msgspec reads a postponed ClassVar as a field where imports are lazy (3.15).
"""

import sys
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar, dataclass_transform, get_args, get_origin

import msgspec

from actors.bounds import shown
from actors.errors import UsageError

MAX_TOPIC_NAME: Final = 255  # characters of a topic's name: the daemon keeps them

R_co = TypeVar("R_co", covariant=True)


if TYPE_CHECKING:
    from msgspec import StructMeta

    @dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
    class _FrozenByDefault(StructMeta):
        """Tells type checkers that subclasses are frozen without repeating it."""

    class _Base(msgspec.Struct, metaclass=_FrozenByDefault): ...

else:
    _meta = type(msgspec.Struct)

    if sys.version_info >= (3, 15):

        class _meta(_meta):  # noqa: N801 - the same under lazy imports
            """Imports a lazy `ClassVar` before msgspec compares a postponed annotation with it."""

            def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **settings: Any) -> Any:
                module = sys.modules.get(namespace.get("__module__"))
                for word in ("ClassVar", "typing"):
                    getattr(module, word, None)
                return super().__new__(mcls, name, bases, namespace, **settings)

    class _Base(msgspec.Struct, metaclass=_meta, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
        """Settings of every message; inherited."""


class Message(_Base, Generic[R_co]):
    """Base class of messages; `class Tokenise(Message[int])` says that its reply is an int.

    Fields are declared as in any msgspec Struct. Instances are immutable, cross the process border as msgpack and are
    checked against their fields' types when they are sent, in the sender's process.

    Class attributes:
        idempotent: whether the message may be delivered again when the actor's process dies while it is being
            handled. False (the default) means at most once.
        at_most_once: for durable actors with a state. True: the message is stored as begun before its handler runs,
            and never begun twice. False (the default): after a crash it is handled again, on the state before it.
    """

    idempotent: ClassVar[bool] = False
    at_most_once: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Refuse a class in which `idempotent` or `at_most_once` became a field of its messages, or which is both.

        Raises:
            UsageError: it did, or it is not a bool.
        """
        super().__init_subclass__()
        for name in _SAID_BY_CLASS:
            value = getattr(cls, name)
            if isinstance(value, MemberDescriptorType):
                raise UsageError(
                    f"{cls.__qualname__}.{name} is a field of each message, which is always true on the class; "
                    f"write {name}: ClassVar[bool] = ..."
                )
            if not isinstance(value, bool):
                raise UsageError(f"{cls.__qualname__}.{name} must be True or False, it is {shown(value)}")
        if cls.idempotent and cls.at_most_once:
            raise UsageError(
                f"{cls.__qualname__} is idempotent and at_most_once: it may be repeated, or it may not; write one"
            )


_SAID_BY_CLASS = ("idempotent", "at_most_once")

T = TypeVar("T")


class Fed(Message[R_co], Generic[R_co, T]):
    """Base class of messages that a stream of items follows: `class Upload(Fed[Receipt, bytes])`.

    `ref.feed(Upload(...), items)` sends it. Its handler takes the items as a second parameter: an AsyncIterator in an
    `async def`, an Iterator otherwise.
    """


def item_type(message: type[Message[Any]]) -> Any:
    """The type of the items that a message streams back, or None when it does not stream."""
    reply = reply_type(message)
    if (get_origin(reply) or reply) not in _STREAMS:
        return None
    return next(iter(get_args(reply)), Any)


def fed_type(message: type[Message[Any]]) -> Any:
    """The type of the items that follow a message, or None when none do."""
    return next((get_args(origin)[1] for origin in _origins(message) if get_origin(origin) is Fed), None)


_STREAMS = (AsyncIterator, AsyncIterable, AsyncGenerator, Iterator, Iterable, Generator)


def _origins(message: type[Message[Any]]) -> Iterator[Any]:
    for base in message.__mro__:
        yield from getattr(base, "__orig_bases__", ())


def reply_type(message: type[Message[Any]]) -> Any:
    """The `R` of a message class: what its handler promises to return; Any when the class names none."""
    for origin in _origins(message):
        if get_origin(origin) in (Message, Fed):
            reply = get_args(origin)[0]
            return Any if isinstance(reply, TypeVar) else reply
    return Any


def name_of(message: Message[Any]) -> str:
    """The class name of a message, as errors, logs and dead letters show it."""
    return type(message).__qualname__


def tag_of(message: type[Message[Any]]) -> str:
    """The name under which a message class travels: its class name, unless the class says `tag=...`."""
    return str(message.__struct_config__.tag)


class Terminated(Message[None]):
    """An actor is down for good; what `context.watch` sends, and what `ref.terminated()` returns.

    Attributes:
        path: of the actor that was watched.
        reason: one line, why it will not come back.
    """

    path: str
    reason: str


M = TypeVar("M", bound=Message[Any])


class Topic(msgspec.Struct, Generic[M], frozen=True):
    """A topic: `PRICES = Topic("prices", Price)`, at the top level of a module that publishers and subscribers import.

    Attributes:
        name: unique in the tree.
        message: the class of what is published; its reply type is None, since there is no reply.

    Raises:
        UsageError: the name is no text or has more than `MAX_TOPIC_NAME` characters, or `message` is no message class.
    """

    name: str
    message: type[M]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise UsageError(f"the name of a topic is a text, as Topic('prices', Price); it is {shown(self.name)}")
        if not (isinstance(self.message, type) and issubclass(self.message, Message)):
            raise UsageError(f"topic {self.name[:20]!r} is for a message class, as Price; it is {shown(self.message)}")
        if len(self.name) > MAX_TOPIC_NAME:
            raise UsageError(
                f"topic {self.name[:20]!r}... has a name of {len(self.name)} characters, {MAX_TOPIC_NAME} fit"
            )


def check_topic(topic: object) -> None:
    """Check that it is a topic.

    Raises:
        UsageError: it is none. Nothing was sent.
    """
    if not isinstance(topic, Topic):
        raise UsageError(
            f"a topic is made at the top of a module: PRICES = Topic('prices', Price); it is {shown(topic)}"
        )
