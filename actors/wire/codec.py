"""Codec: values to bytes and back, each type's decoder made once.

What does not fit its type becomes UsageError at the sender or WireError at the receiver, nothing else.
"""

from __future__ import annotations

import builtins
import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache, lru_cache
from operator import attrgetter
from types import CoroutineType
from typing import Any, Final, Generic, Protocol, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec import inspect as types

from actors.bounds import Settings, shown
from actors.errors import UndecodableMessage, UsageError
from actors.exits import exception_name, qualified_name, with_article
from actors.ref import ActorRef, UnboundRef
from actors.signatures import type_name
from actors.wire.framing import Carried

T = TypeVar("T")

RESOLVE: Final[ContextVar[Callable[[str], ActorRef]]] = ContextVar("RESOLVE", default=UnboundRef)
"""How a path that arrives becomes a ref; set by the side that decodes."""

PATH_OF: Final[ContextVar[Callable[[ActorRef], str]]] = ContextVar("PATH_OF", default=attrgetter("path"))
"""How a ref that is sent becomes a path; set by the side that encodes, where that knows which refs mean anything."""


def bound(path: str) -> ActorRef:
    """The ref of a path, bound in this process; pickled refs among an actor's arguments are restored by it."""
    return RESOLVE.get()(path)


class SharedValue(ABC):
    """Base of the class whose instances leave their bytes in shared memory; see `actors.wire.attachments`."""

    __slots__ = ()

    @abstractmethod
    def carried(self) -> Carried:
        """What travels beside the message."""


class Codec(Settings, Generic[T], frozen=True):
    """How a type that msgpack does not know travels, in messages and in replies.

    Attributes:
        type: the class; instances of its subclasses travel as this class.
        encode: turns an instance into plain values (numbers, str, bytes, lists, dicts, tuples).
        decode: turns those plain values into an instance.
    """

    type: builtins.type[T]
    encode: Callable[[T], Any]
    decode: Callable[[Any], T]


_EXACTLY: Final[dict[type, Callable[[Any], object]]] = {
    float: float.__float__,
    int: int.__int__,
    str: str.__str__,
}
"""Types of which msgspec encodes no subclass, and what makes an instance of one plain: `numpy.float64` is a float."""

_CODECS: Final[dict[type, Codec[Any]]] = {}


def register(codec: Codec[Any]) -> None:
    """Use a codec in this process from now on.

    Raises:
        UsageError: it is no class and two functions, msgspec would never ask it, or its type already has another codec.
    """
    if not (isinstance(codec.type, type) and callable(codec.encode) and callable(codec.decode)):
        raise UsageError(
            f"a codec is a class and two functions, Codec(Shape, to_plain, from_plain); it is {shown(codec)}"
        )
    if not isinstance(types.type_info(codec.type), types.CustomType):
        name = codec.type.__qualname__
        raise UsageError(
            f"a codec of {name} would never be asked, since msgspec knows {name} itself; leave it out, or give such "
            f"values a class of their own"
        )
    if _CODECS.setdefault(codec.type, codec) != codec:
        raise UsageError(f"{codec.type.__qualname__} has two different codecs; share one between the actors")


def to_plain(value: object) -> object:
    """The plain value that stands for a value msgpack does not know.

    Raises:
        TypeError: its type has no codec, or the codec raised any exception.
    """
    if isinstance(value, ActorRef):
        return PATH_OF.get()(value)
    for cls in type(value).__mro__:
        if cls in _CODECS:
            try:
                return _CODECS[cls].encode(value)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a user's codec may raise anything; it fails this message only
                if isinstance(value, SharedValue):
                    raise TypeError(_text(error) or qualified_name(type(error))) from None
                raise TypeError(f"the codec of {cls.__qualname__} raised {_in_words(error)}") from error
    for kind, exact in _EXACTLY.items():
        if isinstance(value, kind):
            return exact(value)
    raise TypeError(f"objects of type {type(value).__qualname__} have no codec{_remedy(value)}")


def _remedy(value: object) -> str:
    if isinstance(value, CoroutineType):
        return "; write `await` in front of it, or `ref.call(...)` for `ref.ask(...)` in a handler without `async`"
    if not hasattr(value, "__array_interface__"):
        return ""
    if getattr(value, "shape", None) == ():
        return "; a number of numpy's travels as value.item()"
    return "; a field of type Shared takes Shared.of(value)"


def from_plain(wanted: type, plain: Any) -> object:
    """The value restored from the plain value that arrived.

    Raises:
        msgspec.ValidationError: the codec of the type raised any exception.
    """
    if wanted is ActorRef and isinstance(plain, str):
        return bound(plain)
    if wanted in _CODECS:
        try:
            return _CODECS[wanted].decode(plain)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a user's codec may raise anything; it fails this message only
            raise msgspec.ValidationError(f"no {wanted.__qualname__}: {_in_words(error)}") from error
    raise TypeError(f"objects of type {wanted.__qualname__} have no codec")


def _in_words(error: BaseException) -> str:
    text = _text(error)
    name = exception_name(type(error))
    return f"{name}: {text}" if text else name


def _text(error: BaseException) -> str | None:
    """What an exception of the user's says; None where that raises another one."""
    try:
        return str(error)
    except BaseException:  # no text is worth the end of a daemon
        return None


class Decodes(Protocol):
    """A decoder, as msgspec has it."""

    def decode(self, data: bytes | memoryview | msgspec.Raw, /) -> Any:
        """Decode bytes.

        Raises:
            Exception: they do not have its type: msgspec's own, or what code of the user raised.
        """


class _Guarded:
    """A decoder whose values run code of the user when they are made: `sys.exit` there is a failure of one value."""

    __slots__ = ("_decode",)

    def __init__(self, decoder: Decodes) -> None:
        self._decode = decoder.decode

    def decode(self, data: bytes | memoryview | msgspec.Raw, /) -> Any:
        try:
            return self._decode(data)
        except KeyboardInterrupt:
            raise
        except Exception as error:
            if _text(error) is None:  # a report that puts it into words would fail in turn
                raise msgspec.ValidationError(_in_words(error)) from error
            raise
        except BaseException as error:  # SystemExit, CancelledError: on an event loop these mean something else
            raise msgspec.ValidationError(_in_words(error)) from error


def decoder_of(wanted: Any) -> Decodes:
    """A msgspec decoder of this type."""
    return decoder_with(wanted, wanted)


def decoder_with(wanted: Any, theirs: Any) -> Decodes:
    """A msgspec decoder of a type of this project.

    Args:
        wanted: the type.
        theirs: the users' part of it: a class, or several in a Union.
    """
    decoder = msgspec.msgpack.Decoder(wanted, dec_hook=from_plain)
    parts = get_args(theirs) if get_origin(theirs) is Union else (theirs,)
    return _Guarded(decoder) if any(_runs_code(node) for part in parts for node in _types_in(part)) else decoder


def _runs_code(node: object) -> bool:
    """Whether code of the user runs whenever a value of this type is made."""
    cls = getattr(node, "cls", None)
    if isinstance(node, types.EnumType):
        return cast("Any", cls)._missing_.__func__ is not cast("Any", enum.Enum)._missing_.__func__
    return hasattr(cls, "__post_init__") or hasattr(cls, "__attrs_post_init__")


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=to_plain)
encode = _ENCODER.encode
encode_into = _ENCODER.encode_into

_EXACT: Final = frozenset({int, str, bytes, bool, float, type(None)})
_STEADY: Final = frozenset({int, bool, float, type(None)})


class ReplyCodec:
    """Checks, encodes and decodes the replies to one message class, or the items that are sent for one.

    Attributes:
        promised: the reply type, as the message's class names it.
        read: decodes a reply or raises msgspec's error; `decode` calls it. The fast path calls it directly.
        steady: the promised type, if its values are a few bytes each and cannot change; else None.
        refers: whether a reply may contain refs, which must be bound where they arrive.
        shares: whether a reply may contain values in shared memory.
    """

    __slots__ = ("_called", "_exact", "promised", "read", "refers", "shares", "steady")

    def __init__(self, promised: Any, called: str = "reply") -> None:
        self._called: Final = called  # in the texts of errors
        self.promised = promised
        self.read: Final = decoder_of(promised).decode
        self.refers: Final = mentions(promised, ActorRef)
        self.shares: Final = mentions(promised, SharedValue)
        self._exact = promised if promised in _EXACT else None
        self.steady: Final = promised if promised in _STEADY else None

    def encode(self, reply: object) -> bytes:
        """Encode a reply and check its type.

        Raises:
            UsageError: it does not have the promised type.
        """
        try:
            data = encode(reply)
            if self._exact is None or type(reply) is not self._exact:
                self.read(data)
        except Exception as error:  # msgspec's own, or of code of the user's that makes a value
            kind, promised = type_name(type(reply)), type_name(self.promised)
            if kind == promised:
                raise UsageError(f"the {self._called}, {with_article(kind)}, cannot be sent: {error}") from error
            what = f"the {self._called} is {with_article(kind)}"
            if reply is None and self._called == "reply":
                what += ", as that of a method without `return`"
            raise UsageError(f"{what}, the message promises {promised} ({error})") from error
        return data

    def decode(self, data: msgspec.Raw) -> Any:
        """Decode a reply, or an item of a stream or a feed.

        Raises:
            UndecodableMessage: it does not have the promised type.
        """
        try:
            return self.read(data)
        except Exception as error:  # bytes that are not UTF-8, or an exception of a user's codec
            raise UndecodableMessage(f"{type_name(self.promised)} does not decode: {error}") from error


@cache
def reply_codec(promised: Any) -> ReplyCodec:
    """The codec of one reply type; cached per type."""
    return ReplyCodec(promised)


@cache
def item_codec(promised: Any) -> ReplyCodec:
    """The codec of the items of a stream or a feed; cached per type."""
    return ReplyCodec(promised, "item")


def unknown_type(annotation: Any) -> str | None:
    """The name of a type inside `annotation` that msgspec cannot encode; None when it knows all of them."""
    for cls in _custom_types(annotation):
        if cls is not ActorRef and cls not in _CODECS:
            return f"{cls.__module__}.{cls.__qualname__}"
    return None


def mentions(annotation: Any, wanted: type) -> bool:
    """Whether a value of that type may contain an instance of that class, which msgspec does not know."""
    return any(issubclass(cls, wanted) for cls in _custom_types(annotation))


def _custom_types(annotation: Any) -> Iterator[type]:
    """The classes in a type that msgspec does not know natively."""
    return (node.cls for node in _types_in(annotation) if isinstance(node, types.CustomType))


def _types_in(annotation: Any) -> tuple[object, ...]:
    """A type and all types in it, as msgspec describes them."""
    try:
        return _described(annotation)
    except TypeError:  # it is not hashable; or msgspec does not know it, and says so again
        return _describe(annotation)


@lru_cache(maxsize=256)
def _described(annotation: Any) -> tuple[object, ...]:
    return _describe(annotation)


def _describe(annotation: Any) -> tuple[object, ...]:
    """A type and all types in it.

    Raises:
        TypeError: msgspec does not know one of them.
    """
    try:
        return tuple(_nodes(types.type_info(annotation), set()))
    except RecursionError:
        raise TypeError(
            "it contains a type without end, as the alias `type Json = list[Json] | str` is; a class may name itself: "
            "class Node(msgspec.Struct): nodes: list[Node]; and Any takes all plain values"
        ) from None


def _nodes(node: object, seen: set[type]) -> Iterator[object]:
    """A type as msgspec describes it, and all types in it, each class once."""
    if isinstance(node, types.StructType | types.DataclassType | types.TypedDictType | types.NamedTupleType):
        if node.cls in seen:
            return
        seen.add(node.cls)
    yield node
    if isinstance(node, types.CustomType | types.EnumType):
        return
    if isinstance(node, msgspec.Struct):
        inner: list[object] = [getattr(node, name) for name in node.__struct_fields__]
    elif isinstance(node, tuple | list):
        inner = list(cast("tuple[object, ...]", node))
    else:
        return
    for child in inner:
        yield from _nodes(child, seen)
