"""Attachments: large values travel beside their message and are put back into it on arrival.

A field of plain `bytes` accepts any bytes, so an attachment needs no check; the rest of the message is checked as
usual. A value in shared memory may stand anywhere in a message: its bytes there are its index among the attachments.
Attachments are in this order: values in shared memory, then those of `bytes` fields.

Runs on both sides. Without attachments every encode and decode would copy such a value and block the process
meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

from actors.errors import UsageError, WireError
from actors.messages import Message
from actors.ref import ActorRef
from actors.wire.codec import SharedValue, encode, mentions
from actors.wire.framing import BESIDE, MAX_BESIDE, MAX_SHARED, Attachment, Carried, SharedAttachment

T = TypeVar("T")

_LEAVING: Final[ContextVar[list[SharedValue] | None]] = ContextVar("LEAVING", default=None)  # of what is encoded now
_ARRIVED: Final[ContextVar[Sequence[Carried] | None]] = ContextVar("ARRIVED", default=None)  # of what is decoded now


class EncodedMessage(msgspec.Struct, frozen=True, gc=False):
    """A message as bytes.

    Attributes:
        data: its bytes; the fields named by `beside` are empty in it.
        beside: indices of the fields whose values are attachments; None as a rule.
        attachments: these values, in that order.
    """

    data: bytes
    beside: tuple[int, ...] | None = None
    attachments: tuple[Carried, ...] | None = None

    @property
    def size(self) -> int:
        """Bytes of the message and its `bytes` fields, wherever these travel; without its values in shared memory."""
        carried = self.attachments or ()
        values = carried[: len(carried) - len(self.beside or ())]
        shared = sum(one.size for one in values if isinstance(one, SharedAttachment))
        return len(self.data) + sum(one.size for one in carried) - shared


@cache
def bytes_fields(message: type[Message[Any]]) -> tuple[int, ...]:
    """Indices of the fields that are plain `bytes`."""
    fields = msgspec.structs.fields(message)
    return tuple(place for place, field in enumerate(fields) if field.type is bytes)


@cache
def bytes_names(message: type[Message[Any]]) -> tuple[str, ...]:
    """Names of the fields that are plain `bytes`."""
    return tuple(message.__struct_fields__[place] for place in bytes_fields(message))


def none_large(message: Message[Any], names: Sequence[str]) -> bool:
    """Whether no value of these fields is large enough to travel as an attachment.

    Raises:
        TypeError: one has no length, and so is no bytes.
    """
    for name in names:  # noqa: SIM110 - called for each message: a generator costs more than the rest
        if len(getattr(message, name)) >= BESIDE:
            return False
    return True


def large_fields(message: Message[Any]) -> tuple[int, ...]:
    """Indices of the fields whose values are large enough to travel as attachments."""
    names = message.__struct_fields__
    large = [
        place
        for place in bytes_fields(type(message))
        if type(value := getattr(message, names[place])) is bytes and len(value) >= BESIDE
    ]
    return tuple(large[:MAX_BESIDE])


@cache
def shares(message: type[Message[Any]]) -> bool:
    """Whether messages of this class may contain values in shared memory."""
    return mentions(message, SharedValue)


@cache
def refers(message: type[Message[Any]]) -> bool:
    """Whether messages of this class may contain refs."""
    return mentions(message, ActorRef)


def pack(message: Message[Any]) -> EncodedMessage:
    """Encode a message; its large values become attachments.

    Raises:
        TypeError, ValueError, OverflowError, RecursionError: as msgspec's encoder.
    """
    large = large_fields(message)
    shared = shares(type(message))
    if not large and not shared:
        return EncodedMessage(encode(message))
    names = [message.__struct_fields__[place] for place in large]
    beside = tuple(Attachment(getattr(message, name)) for name in names)
    bare = msgspec.structs.replace(message, **dict.fromkeys(names, b"")) if large else message
    data, carried = encode_sharing(bare) if shared else (encode(bare), ())
    return EncodedMessage(data, large or None, (*carried, *beside) or None)


def check_beside(message: type[Message[Any]], beside: tuple[int, ...], attachments: Sequence[Carried]) -> None:
    """Check that the attachments fit the named fields of a message of that class that arrived.

    Raises:
        WireError: their number differs from that of the fields, or a field is not plain `bytes`.
    """
    count = len(attachments)
    fits = count >= len(beside) if shares(message) else count == len(beside)
    if not fits or not set(beside) <= set(bytes_fields(message)):
        raise WireError(
            f"{count} attachments came for the fields {list(beside)} of {message.__qualname__}; they do not fit"
        )


def fill(message: Message[Any], beside: tuple[int, ...], attachments: Sequence[Carried]) -> None:
    """Put the attachments into the fields of a message that was just decoded and is not in use yet.

    Raises:
        WireError: they do not fit the named fields.
    """
    check_beside(type(message), beside, attachments)
    for place, attachment in zip(beside, attachments[len(attachments) - len(beside) :], strict=True):
        msgspec.structs.force_setattr(message, message.__struct_fields__[place], attachment.value)


# ---- values in shared memory


def encode_sharing(value: object, encode: Callable[[object], bytes] = encode) -> tuple[bytes, tuple[Carried, ...]]:
    """Encode what may contain values in shared memory: its bytes, and these values as attachments.

    Raises:
        Exception: whatever `encode` raises.
    """
    leaving: list[SharedValue] = []
    token = _LEAVING.set(leaving)
    try:
        data = encode(value)
    finally:
        _LEAVING.reset(token)
    return data, tuple(one.carried() for one in leaving)


def decode_sharing(decode: Callable[[Any], T], data: Any, attachments: Sequence[Carried]) -> T:
    """Decode what was encoded with these attachments."""
    token = _ARRIVED.set(attachments)
    try:
        return decode(data)
    finally:
        _ARRIVED.reset(token)


def place_of(value: SharedValue) -> int:
    """The index of a value among the attachments of what is encoded now.

    Raises:
        UsageError: nothing that may have attachments is encoded now, or they are too many.
    """
    leaving = _LEAVING.get()
    if leaving is None:
        raise UsageError(
            "a Shared travels where an annotation says so: in a field of a message, a reply, an item of a stream or "
            "feed, or of a job; topics do not carry one"
        )
    place = next((place for place, one in enumerate(leaving) if one is value), len(leaving))
    if place == len(leaving):
        if place == MAX_SHARED:
            raise UsageError(f"one message carries at most {MAX_SHARED} values in shared memory; send several messages")
        leaving.append(value)
    return place


def arrived() -> tuple[Carried, ...]:
    """The attachments of what is decoded now."""
    return tuple(_ARRIVED.get() or ())


def carried_at(place: int) -> Carried | None:
    """The attachment at that index of what is decoded now; None when it is only checked.

    Raises:
        LookupError: there is no such attachment.
    """
    beside = _ARRIVED.get()
    if beside is None:
        return None
    if not 0 <= place < len(beside):
        raise LookupError(f"it refers to attachment {place} of {len(beside)}")
    return beside[place]
