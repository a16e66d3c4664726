"""Messages as a mailbox holds them, one by one or together, and their numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from actors.wire.framing import Carried, SharedAttachment
from actors.wire.kinds import TELL
from actors.wire.to_child import Envelope

UNKNOWN: Final = -1
MAX_NAME: Final = 255  # characters of a tag that reports show; bytes of an actor may have any


class QueuedMessage(Envelope[msgspec.Raw], frozen=True, array_like=True, gc=False):
    """A message in the daemon: its envelope, its attachments, and its class.

    Attributes:
        attachments: its values in shared memory, then those of the fields named by `beside`, in that order.
        handler: index of its class in the actor's table, UNKNOWN for bytes that are not a message of the actor.
        key: what it is routed by, None where it is not routed by key.
    """

    attachments: tuple[Carried, ...] | None = None
    handler: int = UNKNOWN
    key: bytes | None = None

    @property
    def size(self) -> int:
        """How many bytes the message has."""
        beside = 0 if self.attachments is None else sum(attachment.size for attachment in self.attachments)
        return memoryview(self.message).nbytes + beside

    @property
    def descriptors(self) -> int:
        """How many descriptors the process that has it takes for its values in shared memory."""
        return sum(isinstance(one, SharedAttachment) for one in self.attachments or ())


class Batch(Protocol):
    """Consecutive messages that are kept and sent together, with numbers without gaps.

    Attributes:
        seq: the sequence number of the first.
    """

    seq: int

    @property
    def kind(self) -> int:
        """TELL or ASK, of all of them."""

    def __len__(self) -> int:
        """How many they are."""

    def pieces(self, ahead: float = 0.0) -> tuple[bytes, Sequence[bytes]]:
        """The frame that carries it: its head, and the rest, to be joined.

        `ahead` is by how many seconds the clock of the receiver is ahead of this one.
        """

    def drop(self, size: int) -> None:
        """Remove the first `size`."""

    def messages(self) -> Iterator[QueuedMessage]:
        """The same messages as separate QueuedMessages."""

    def split(self, size: int) -> Batch:
        """Keep the first `size`; returns the rest."""


class _Tagged(msgspec.Struct, array_like=True):
    """The head of a message's bytes."""

    tag: str | int


_read_tag: Final = msgspec.msgpack.Decoder(_Tagged).decode
_read_tags: Final = msgspec.msgpack.Decoder(list[_Tagged]).decode


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

    @property
    def once(self) -> frozenset[int]:
        """The classes whose messages may not be begun again."""
        return frozenset(index for index, again in enumerate(self.idempotent) if not again)

    def of(self, payload: bytes) -> int:
        """The index of a message's class, UNKNOWN for bytes that are no message of the actor."""
        try:
            return self.tags.get(_read_tag(payload).tag, UNKNOWN)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return UNKNOWN

    def of_all(self, payloads: bytes | msgspec.Raw) -> tuple[int, set[int]]:
        """How many messages an array holds, and the indices of their classes; UNKNOWN is among them as in `of`."""
        try:
            tags = [one.tag for one in _read_tags(payloads)]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return 0, {UNKNOWN}
        return len(tags), {self.tags.get(tag, UNKNOWN) for tag in set(tags)}

    def plain_tell(self, seq: int, payload: bytes, trace: str | None) -> QueuedMessage:
        """A tell that is kept as its bytes, which were checked when it was accepted."""
        handler = self.tags[_read_tag(payload).tag]
        return QueuedMessage(seq, TELL, None, None, msgspec.Raw(payload), trace=trace, handler=handler)

    def handler_of(self, payload: msgspec.Raw) -> int:
        """The index of the class of a checked message."""
        return self.tags[_read_tag(payload).tag]


def tag_of(payload: bytes | msgspec.Raw) -> str:
    """The tag of a message of any class: its name, unless the class says another; "?" for bytes that are no message."""
    try:
        return str(_read_tag(payload).tag)[:MAX_NAME]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "?"


class SequenceNumbers:
    """Where sequence numbers come from: ascending from 1.

    Attributes:
        next: the number of the next message.
    """

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.next = 1
