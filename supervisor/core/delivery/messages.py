"""Messages as a mailbox holds them, and their numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from actors.wire.codec import encode
from actors.wire.framing import Carried
from actors.wire.kinds import ASK, TELL
from actors.wire.to_child import TELL_BATCH_HEAD, AskBatch, Bulk, Envelope
from supervisor.core.delivery.parcel import Parcel, array_head

UNKNOWN: Final = -1

_BULK_TAG: Final = Bulk.__struct_config__.tag
_ASKS_TAG: Final = AskBatch.__struct_config__.tag


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


class QueuedTells(msgspec.Struct, eq=False):
    """Consecutive tells of the daemon: only bytes and numbers without gaps.

    Attributes:
        seq: the sequence number of the first.
        payloads: their bytes.
        classes: the message classes of the actor.
        trace: the trace context of all of them.
    """

    seq: int
    payloads: list[bytes]
    classes: Classes
    trace: str | None = None

    kind: ClassVar[int] = TELL

    def __len__(self) -> int:
        return len(self.payloads)

    def pieces(self, ahead: float = 0.0) -> tuple[bytes, Sequence[bytes]]:  # noqa: ARG002 - tells have no deadline
        """The frame that carries it: its head, and the rest, to be joined."""
        trace = self.trace
        array = b"\x93" if trace is None else b"\x94"
        head = TELL_BATCH_HEAD % (array, self.seq.to_bytes(8, "big"), len(self.payloads).to_bytes(4, "big"))
        return head, self.payloads if trace is None else [*self.payloads, encode(trace)]

    def drop(self, size: int) -> None:
        """Remove the first `size`."""
        del self.payloads[:size]
        self.seq += size

    def messages(self) -> Iterator[QueuedMessage]:
        """The same messages as separate QueuedMessages."""
        for seq, payload in enumerate(self.payloads, self.seq):
            yield self.classes.plain_tell(seq, payload, self.trace)

    def split(self, size: int) -> QueuedTells:
        """Keep the first `size`; returns the rest."""
        rest = QueuedTells(self.seq + size, self.payloads[size:], self.classes, self.trace)
        del self.payloads[size:]
        return rest


class QueuedAsks(msgspec.Struct, eq=False):
    """Consecutive small asks of the daemon: only bytes and deadlines, and numbers without gaps.

    Attributes:
        seq: the sequence number of the first.
        payloads: their bytes.
        deadlines: of each, None without one.
        classes: the message classes of the actor.
    """

    seq: int
    payloads: list[bytes]
    deadlines: list[float | None]
    classes: Classes

    kind: ClassVar[int] = ASK

    def __len__(self) -> int:
        return len(self.payloads)

    def pieces(self, ahead: float = 0.0) -> tuple[bytes, Sequence[bytes]]:
        """The frame that carries it; see `QueuedBulk.pieces`."""
        deadlines = self.deadlines
        if ahead:
            deadlines = [None if deadline is None else deadline + ahead for deadline in deadlines]
        head = encode((_ASKS_TAG, self.seq, deadlines))  # an array of three; the fourth is the list of messages
        return b"\x94" + head[1:] + array_head(len(self.payloads)), self.payloads

    def drop(self, size: int) -> None:
        """Remove the first `size`."""
        del self.payloads[:size], self.deadlines[:size]
        self.seq += size

    def messages(self) -> Iterator[QueuedMessage]:
        """The same messages as separate QueuedMessages."""
        handler_of = self.classes.handler_of
        for seq, (payload, deadline) in enumerate(zip(self.payloads, self.deadlines, strict=True), self.seq):
            raw = msgspec.Raw(payload)
            yield QueuedMessage(seq, ASK, None, deadline, raw, handler=handler_of(raw))

    def split(self, size: int) -> QueuedAsks:
        """Keep the first `size`; returns the rest."""
        rest = QueuedAsks(self.seq + size, self.payloads[size:], self.deadlines[size:], self.classes)
        del self.payloads[size:], self.deadlines[size:]
        return rest


class QueuedBulk:
    """Consecutive messages of one `tell_many` or `ask_many`, encoded together.

    They are taken apart only where one of them has to be treated by itself.

    Args:
        seq: the sequence number of the first.
        kind: TELL or ASK.
        sender: path of the actor that sent them, None when the daemon did.
        deadline: of all of them.
        parcel: the messages.
        classes: the message classes of the actor.
        trace: the trace context of all of them.
    """

    __slots__ = ("_deadline", "_parcel", "_sender", "_trace", "classes", "kind", "seq")

    def __init__(  # noqa: PLR0917 - as an envelope
        self,
        seq: int,
        kind: int,
        sender: str | None,
        deadline: float | None,
        parcel: Parcel,
        classes: Classes,
        trace: str | None = None,
    ) -> None:
        self.seq = seq
        self.kind = kind
        self.classes = classes
        self._sender = sender
        self._deadline = deadline
        self._parcel = parcel
        self._trace = trace

    def __len__(self) -> int:
        return self._parcel.count

    def pieces(self, ahead: float = 0.0) -> tuple[bytes, Sequence[bytes]]:
        """The frame that carries it: its head, and the rest, to be joined.

        `ahead` is by how many seconds the clock of the receiver is ahead of this one.
        """
        parcel = self._parcel
        deadline = None if self._deadline is None else self._deadline + ahead
        head = encode((_BULK_TAG, self.seq, self.kind, self._sender, deadline))  # an array of five; the sixth is
        if self._trace is None:
            return b"\x96" + head[1:] + array_head(parcel.count), (parcel.body,)  # the list of messages
        return b"\x97" + head[1:] + array_head(parcel.count), (parcel.body, encode(self._trace))

    def drop(self, size: int) -> None:
        """Remove the first `size`."""
        _, self._parcel = self._parcel.split(size)
        self.seq += size

    def messages(self) -> Iterator[QueuedMessage]:
        """The same messages as separate QueuedMessages."""
        handler_of, given = self.classes.handler_of, (self.kind, self._sender, self._deadline)
        for seq, payload in enumerate(self._parcel.payloads(), self.seq):
            yield QueuedMessage(seq, *given, payload, trace=self._trace, handler=handler_of(payload))

    def split(self, size: int) -> QueuedBulk:
        """Keep the first `size`; returns the rest."""
        first, rest = self._parcel.split(size)
        self._parcel = first
        return QueuedBulk(self.seq + size, self.kind, self._sender, self._deadline, rest, self.classes, self._trace)


class SequenceNumbers:
    """Where sequence numbers come from: ascending from 1.

    Attributes:
        next: the number of the next message.
    """

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.next = 1
