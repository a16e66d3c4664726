"""Messages as a mailbox holds them, and their numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from actors.wire.frames import TELL, Envelope
from actors.wire.framing import Attachment

UNKNOWN: Final = -1


class QueuedMessage(Envelope[msgspec.Raw], frozen=True, array_like=True, gc=False):
    """A message in the daemon: its envelope, its attachments, and its class.

    Attributes:
        attachments: the values of the fields named by `beside`, in that order.
        handler: index of its class in the actor's table, UNKNOWN for bytes that are not a message of the actor.
        key: what it is routed by, None where it is not routed by key.
    """

    attachments: tuple[Attachment, ...] | None = None
    handler: int = UNKNOWN
    key: bytes | None = None

    @property
    def size(self) -> int:
        """How many bytes the message has."""
        beside = 0 if self.attachments is None else sum(len(attachment.value) for attachment in self.attachments)
        return memoryview(self.message).nbytes + beside


class _Tagged(msgspec.Struct, array_like=True):
    """The head of a message's bytes."""

    tag: str | int


_read_tag: Final = msgspec.msgpack.Decoder(_Tagged).decode


class Classes(msgspec.Struct, frozen=True):
    """The message classes of one actor, each named by its index in the actor's table. No user code runs here.

    Attributes:
        tags: index by the tag under which the class travels.
        idempotent: whether a message of the class may be begun again.
        undone: whether a death undoes what was handled and is not settled; see `Redelivery`.
    """

    tags: Mapping[str | int, int]
    idempotent: Sequence[bool]
    undone: bool = False

    def of(self, payload: bytes) -> int:
        """The index of a message's class, UNKNOWN for bytes that are no message of the actor."""
        try:
            return self.tags.get(_read_tag(payload).tag, UNKNOWN)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return UNKNOWN

    def plain_tell(self, seq: int, payload: bytes) -> QueuedMessage:
        """A tell that is kept as its bytes, which were checked when it was accepted."""
        return QueuedMessage(seq, TELL, None, None, msgspec.Raw(payload), handler=self.tags[_read_tag(payload).tag])


class QueuedTells(msgspec.Struct, eq=False):
    """Consecutive tells of the daemon: only bytes and numbers without gaps.

    Attributes:
        seq: the sequence number of the first.
        payloads: their bytes.
        classes: the message classes of the actor.
    """

    seq: int
    payloads: list[bytes]
    classes: Classes

    def __len__(self) -> int:
        return len(self.payloads)

    def messages(self) -> Iterator[QueuedMessage]:
        """The same messages as separate QueuedMessages."""
        for seq, payload in enumerate(self.payloads, self.seq):
            yield self.classes.plain_tell(seq, payload)

    def split(self, size: int) -> QueuedTells:
        """Keep the first `size`; returns the rest."""
        rest = QueuedTells(self.seq + size, self.payloads[size:], self.classes)
        del self.payloads[size:]
        return rest


class SequenceNumbers:
    """Where sequence numbers come from: ascending from 1.

    Attributes:
        next: the number of the next message.
    """

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.next = 1
