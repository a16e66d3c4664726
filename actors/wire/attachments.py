"""Parcels: the large values of a message travel beside it, untouched, and are put back where they belong.

What stands in a field of plain `bytes` is any bytes, so nothing is lost by not looking at it; everything else of
the message is checked as ever.

Runs on both sides. Without it every encode and every decode copies such a value while the whole process stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from actors.errors import WireError
from actors.messages import Message, name_of
from actors.wire.codec import encode
from actors.wire.framing import BESIDE, PARCELS, Attachment


class EncodedMessage(msgspec.Struct, frozen=True, gc=False):
    """A message, ready to travel.

    Attributes:
        data: its bytes, in which the fields named by `beside` are empty.
        beside: places of the fields whose values are the parcels; None as a rule.
        attachments: these values, in that order.
    """

    data: bytes
    beside: tuple[int, ...] | None = None
    attachments: tuple[Attachment, ...] | None = None

    @property
    def size(self) -> int:
        """How many bytes the message has."""
        return len(self.data) + sum(len(attachment.value) for attachment in self.attachments or ())


@cache
def bytes_fields(message: type[Message[Any]]) -> tuple[int, ...]:
    """Places of the fields that are plain `bytes`."""
    fields = msgspec.structs.fields(message)
    return tuple(place for place, field in enumerate(fields) if field.type is bytes)


def large_fields(message: Message[Any]) -> tuple[int, ...]:
    """Places of the fields whose values are so large that they travel as parcels."""
    names = message.__struct_fields__
    large = [
        place
        for place in bytes_fields(type(message))
        if type(value := getattr(message, names[place])) is bytes and len(value) >= BESIDE
    ]
    return tuple(large[:PARCELS])


def pack(message: Message[Any], large: tuple[int, ...]) -> EncodedMessage:
    """A message with the values of those fields beside it."""
    names = [message.__struct_fields__[place] for place in large]
    attachments = tuple(Attachment(getattr(message, name)) for name in names)
    return EncodedMessage(encode(msgspec.structs.replace(message, **dict.fromkeys(names, b""))), large, attachments)


def check_beside(message: Message[Any], beside: tuple[int, ...], attachments: Sequence[Attachment]) -> None:
    """Make sure that parcels can be the values of those fields of a message that arrived.

    Raises:
        WireError: there are more or fewer of them than fields, or a field is not for such values.
    """
    if len(beside) != len(attachments) or not set(beside) <= set(bytes_fields(type(message))):
        name = name_of(message)
        raise WireError(f"{len(attachments)} parcels came for the fields {list(beside)} of {name}, which cannot be")


def fill(message: Message[Any], beside: tuple[int, ...], attachments: Sequence[Attachment]) -> None:
    """Put the values back into a message that was just decoded and that nobody has seen.

    Raises:
        WireError: they cannot be the values of those fields.
    """
    check_beside(message, beside, attachments)
    for place, attachment in zip(beside, attachments, strict=True):
        msgspec.structs.force_setattr(message, message.__struct_fields__[place], attachment.value)
