"""Rows: messages of a mailbox as a store keeps them, and back.

A deadline is on the clock of the wall in the store, and on the monotonic clock in memory. Pure but for both clocks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from actors.messages import Message
from actors.wire.attachments import EncodedMessage, fill
from actors.wire.codec import encode
from actors.wire.framing import Attachment, Carried
from actors.wire.from_child import Send
from actors.wire.kinds import TELL
from supervisor.core.delivery.messages import QueuedMessage, tag_of
from supervisor.mailbox.intake.entry import Entry
from supervisor.store.errors import StoreError
from supervisor.store.records import StoredMessage
from supervisor.store.writes import MessageRow

_NOTHING: Final = (None, None, None, None, None)
_beside: Final = msgspec.msgpack.Decoder(tuple[tuple[int, ...], list[bytes]]).decode


def row_of(seq: int, entry: Entry, beside: bytes | None) -> MessageRow:
    """A message as it is stored, with what `beside_of` has of it."""
    message, packed = entry.message, entry.message.packed
    now = time.time()
    return MessageRow(
        seq,
        entry.kind,
        message.name,
        packed.data,
        entry.sender,
        None if entry.deadline is None else entry.deadline - time.monotonic() + now,
        now,
        message.key,
        beside,
        entry.key,
    )


def beside_of(message: EncodedMessage) -> bytes | None:
    """The values that travel beside a message, as they are stored; None without any.

    Raises:
        StoreError: one of them cannot be read.
    """
    if message.attachments is None:
        return None
    try:
        return _packed(message.beside, message.attachments)
    except OSError as error:  # a value in shared memory: its descriptor did not arrive, or there is no room to map it
        raise StoreError(f"a value of the message cannot be read, so it was not stored: {error}") from error


def unsent_row(frame: Send, sender: str, attachments: Sequence[Carried]) -> MessageRow:
    """A tell of an actor to a name that nobody has, whose class is known by its tag alone.

    Raises:
        StoreError: as of `beside_of`.
    """
    payload = bytes(frame.message)
    beside = beside_of(EncodedMessage(payload, frame.beside, tuple(attachments) or None))
    return MessageRow(0, frame.kind, tag_of(payload), payload, sender, None, time.time(), None, beside)


def restored(row: StoredMessage, handler: int, deadline: float | None = None) -> QueuedMessage:
    """A stored message as it lies in a queue.

    Args:
        row: the message.
        handler: index of its class in the actor's table.
        deadline: of the caller that waits for its end here, on a clock that cannot be set; None without a caller.
    """
    if deadline is None and row.deadline is not None:
        deadline = row.deadline - time.time() + time.monotonic()
    beside, attachments = _unpacked(row.attachments)
    return QueuedMessage(
        row.seq,
        row.kind,
        row.sender,
        deadline,
        msgspec.Raw(row.payload),
        beside,
        None,
        attachments,
        handler,
        row.routing_key,
    )


def unread_row(payload: bytes) -> MessageRow:
    """A tell of a schedule that its actor cannot read, whose class is known by its tag alone."""
    return MessageRow(0, TELL, tag_of(payload), payload, None, None, time.time(), None, None)


def is_plain(row: StoredMessage) -> bool:
    """Whether a message is a tell of the daemon that is all in its bytes, and was never begun."""
    beside = row.sender, row.deadline, row.routing_key, row.attachments, row.key
    return row.kind == TELL and not row.deliveries and beside == _NOTHING


def runs(
    rows: Sequence[StoredMessage], joins: Callable[[StoredMessage], bool]
) -> Iterator[tuple[bool, list[StoredMessage]]]:
    """Messages in the same order, in runs: those that join and whose numbers follow each other, and the others."""
    for place, run in groupby(enumerate(rows), lambda one: one[1].seq - one[0] if joins(one[1]) else None):
        yield place is not None, [row for _, row in run]


def content_of(message: Message[Any], data: bytes | None) -> Message[Any]:
    """A message with the values that were stored beside it.

    Raises:
        Exception: they do not fit.
    """
    beside, attachments = _unpacked(data)
    if attachments is not None:
        fill(message, beside or (), attachments)
    return message


def _packed(beside: tuple[int, ...] | None, attachments: tuple[Carried, ...]) -> bytes:
    return encode((beside or (), [bytes(attachment.value) for attachment in attachments]))


def _unpacked(data: bytes | None) -> tuple[tuple[int, ...] | None, tuple[Attachment, ...] | None]:
    if data is None:
        return None, None
    beside, values = _beside(data)
    return beside, tuple(Attachment(value) for value in values)
