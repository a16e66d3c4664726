"""Codec: values to bytes and back, each type's decoder made once.

What does not fit its type becomes UsageError at the sender or WireError at the receiver, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, Generic, TypeVar, cast

import msgspec
from msgspec import inspect as types

from actors.errors import UndecodableMessage, UsageError
from actors.ref import ActorRef, UnboundRef

T = TypeVar("T")

RESOLVE: Final[ContextVar[Callable[[str], ActorRef]]] = ContextVar("RESOLVE", default=UnboundRef)
"""How a path that arrives becomes a ref; set by the side that decodes."""


def bound(path: str) -> ActorRef:
    """The ref of a path, bound where this is called; in this way a ref among an actor's arguments is made again."""
    return RESOLVE.get()(path)


class Codec(msgspec.Struct, Generic[T], frozen=True):
    """How a type that msgpack does not know travels, in messages and in replies alike.

    Attributes:
        type: the class; its subclasses travel as it.
        encode: makes plain values of an instance (numbers, str, bytes, lists, dicts, tuples).
        decode: makes an instance of what arrives of these.
    """

    type: type[T]
    encode: Callable[[T], Any]
    decode: Callable[[Any], T]


_CODECS: Final[dict[type, Codec[Any]]] = {}


def register(codec: Codec[Any]) -> None:
    """Use a codec in this process from now on.

    Raises:
        UsageError: its type has another one already.
    """
    if _CODECS.setdefault(codec.type, codec) != codec:
        raise UsageError(f"{codec.type.__qualname__} has two different codecs; share one between the actors")


def to_plain(value: object) -> object:
    """What travels in place of a value that msgpack does not know.

    Raises:
        TypeError: nothing does, or the codec of its type raised, whatever that was.
    """
    if isinstance(value, ActorRef):
        return value.path
    for cls in type(value).__mro__:
        if cls in _CODECS:
            try:
                return _CODECS[cls].encode(value)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a fault of the value or its codec, and of nothing else under way
                raise TypeError(f"the codec of {cls.__qualname__} raised {_in_words(error)}") from error
    raise TypeError(f"objects of type {type(value).__qualname__} have no codec")


def from_plain(wanted: type, plain: Any) -> object:
    """The value that travelled as something msgpack knows.

    Raises:
        msgspec.ValidationError: the codec of the type raised, whatever that was.
    """
    if wanted is ActorRef and isinstance(plain, str):
        return bound(plain)
    if wanted in _CODECS:
        try:
            return _CODECS[wanted].decode(plain)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a fault of the value or its codec, and of nothing else under way
            raise msgspec.ValidationError(f"no {wanted.__qualname__}: {_in_words(error)}") from error
    raise TypeError(f"objects of type {wanted.__qualname__} have no codec")


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def decoder_of(wanted: Any) -> msgspec.msgpack.Decoder[Any]:
    """A decoder of a type made of values."""
    return msgspec.msgpack.Decoder(wanted, dec_hook=from_plain)


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=to_plain)
encode = _ENCODER.encode

_EXACT: Final = frozenset({int, str, bytes, bool, float, type(None)})


class ReplyCodec:
    """Checks, encodes and decodes the replies to one message class.

    Attributes:
        promised: the reply type, as the message's class names it.
        read: decodes a reply or raises msgspec's error; what `decode` is made of, without a frame of its own.
        refers: whether there may be refs in it, which need to be bound where they arrive.
    """

    __slots__ = ("_exact", "promised", "read", "refers")

    def __init__(self, promised: Any) -> None:
        self.promised = promised
        self.read: Final = decoder_of(promised).decode
        self.refers: Final = mentions_refs(promised)
        self._exact = promised if promised in _EXACT else None

    def encode(self, reply: object) -> bytes:
        """The bytes of a reply that keeps the promise.

        Raises:
            UsageError: it is of another type than promised.
        """
        try:
            data = encode(reply)
            if self._exact is None or type(reply) is not self._exact:
                self.read(data)
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            promised = getattr(self.promised, "__name__", None) or str(self.promised)
            raise UsageError(
                f"the reply is a {type(reply).__name__}, the message promises {promised} ({error})"
            ) from error
        return data

    def decode(self, data: msgspec.Raw) -> Any:
        """The reply in those bytes.

        Raises:
            UndecodableMessage: they are not of the promised type.
        """
        try:
            return self.read(data)
        except Exception as error:  # bytes that are no UTF-8, a codec of the user's: whatever it is, it is no reply
            raise UndecodableMessage(f"a reply does not decode: {error}") from error


@cache
def reply_codec(promised: Any) -> ReplyCodec:
    """The codec of one reply type; made once a type."""
    return ReplyCodec(promised)


def unknown_type(annotation: Any) -> str | None:
    """The name of a type inside `annotation` that msgspec cannot put into bytes, or None when it knows them all."""
    for cls in _custom_types(types.type_info(annotation), set()):
        if cls is not ActorRef and cls not in _CODECS:
            return f"{cls.__module__}.{cls.__qualname__}"
    return None


def mentions_refs(annotation: Any) -> bool:
    """Whether a value of that type may have an ActorRef in it."""
    return any(cls is ActorRef for cls in _custom_types(types.type_info(annotation), set()))


def _custom_types(node: object, seen: set[type]) -> Iterator[type]:
    """The classes in a type that msgspec does not know by itself."""
    if isinstance(node, types.CustomType):
        yield node.cls
        return
    if isinstance(node, types.StructType | types.DataclassType | types.TypedDictType | types.NamedTupleType):
        if node.cls in seen:
            return
        seen.add(node.cls)
    if isinstance(node, msgspec.Struct):
        inner: list[object] = [getattr(node, name) for name in node.__struct_fields__]
    elif isinstance(node, tuple | list):
        inner = list(cast("tuple[object, ...]", node))
    else:
        return
    for child in inner:
        yield from _custom_types(child, seen)
