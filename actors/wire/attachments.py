"""Attachments: large values travel beside their message and are put back into it on arrival.

A field of plain `bytes` accepts any bytes, so an attachment needs no check; the rest of the message is checked as
usual.

Runs on both sides. Without attachments every encode and decode would copy such a value and block the process
meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from actors.errors import WireError
from actors.messages import Message, name_of
from actors.wire.codec import encode
from actors.wire.framing import BESIDE, MAX_ATTACHMENTS, Attachment


class EncodedMessage(msgspec.Struct, frozen=True, gc=False):
    """A message as bytes.

    Attributes:
        data: its bytes; the fields named by `beside` are empty in it.
        beside: indices of the fields whose values are attachments; None as a rule.
        attachments: these values, in that order.
    """

    data: bytes
    beside: tuple[int, ...] | None = None
    attachments: tuple[Attachment, ...] | None = None

    @property
    def size(self) -> int:
        """Bytes of the message and its attachments."""
        return len(self.data) + sum(len(attachment.value) for attachment in self.attachments or ())


@cache
def bytes_fields(message: type[Message[Any]]) -> tuple[int, ...]:
    """Indices of the fields that are plain `bytes`."""
    fields = msgspec.structs.fields(message)
    return tuple(place for place, field in enumerate(fields) if field.type is bytes)


def large_fields(message: Message[Any]) -> tuple[int, ...]:
    """Indices of the fields whose values are large enough to travel as attachments."""
    names = message.__struct_fields__
    large = [
        place
        for place in bytes_fields(type(message))
        if type(value := getattr(message, names[place])) is bytes and len(value) >= BESIDE
    ]
    return tuple(large[:MAX_ATTACHMENTS])


def pack(message: Message[Any], large: tuple[int, ...]) -> EncodedMessage:
    """Encode a message with the values of the `large` fields as attachments."""
    names = [message.__struct_fields__[place] for place in large]
    attachments = tuple(Attachment(getattr(message, name)) for name in names)
    return EncodedMessage(encode(msgspec.structs.replace(message, **dict.fromkeys(names, b""))), large, attachments)


def check_beside(message: Message[Any], beside: tuple[int, ...], attachments: Sequence[Attachment]) -> None:
    """Check that the attachments fit the named fields of a message that arrived.

    Raises:
        WireError: their number differs from that of the fields, or a field is not plain `bytes`.
    """
    if len(beside) != len(attachments) or not set(beside) <= set(bytes_fields(type(message))):
        name = name_of(message)
        raise WireError(f"{len(attachments)} attachments came for the fields {list(beside)} of {name}; they do not fit")


def fill(message: Message[Any], beside: tuple[int, ...], attachments: Sequence[Attachment]) -> None:
    """Put the attachments into the fields of a message that was just decoded and is not in use yet.

    Raises:
        WireError: they do not fit the named fields.
    """
    check_beside(message, beside, attachments)
    for place, attachment in zip(beside, attachments, strict=True):
        msgspec.structs.force_setattr(message, message.__struct_fields__[place], attachment.value)
