"""Batches: consecutive messages that are kept and sent together; Arrivals: the batches that still grow. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Final

import msgspec

from actors.wire.codec import encode
from actors.wire.kinds import ASK, TELL
from actors.wire.to_child import TELL_BATCH_HEAD, AskBatch, Bulk
from supervisor.core.delivery.messages import Classes, QueuedMessage, SequenceNumbers
from supervisor.core.delivery.parcel import Parcel, array_head

TOGETHER: Final = 256  # small asks that one frame carries

_BULK_TAG: Final = Bulk.__struct_config__.tag
_ASKS_TAG: Final = AskBatch.__struct_config__.tag


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


Batch = QueuedTells | QueuedAsks | QueuedBulk


class Arrivals:
    """Small tells and asks of the daemon that came after all that lies in the backlog: first the asks, then the tells.

    An ask has its number at once, tells get theirs together.

    Args:
        numbers: source of sequence numbers.
        classes: of the messages.
        pass_on: takes a batch that grows no more, with its numbers.

    Attributes:
        asks: the asks, as many as one frame carries at most.
        tells: the bytes of the tells.
    """

    __slots__ = ("_classes", "_numbers", "_pass_on", "_trace", "asks", "tells")

    def __init__(self, numbers: SequenceNumbers, classes: Classes, pass_on: Callable[[Batch], None]) -> None:
        self._numbers = numbers
        self._classes = classes
        self._pass_on = pass_on
        self._trace: str | None = None  # of the tells
        self.asks = QueuedAsks(0, [], [], classes)
        self.tells: list[bytes] = []

    def accept_ask(self, deadline: float | None, payload: bytes) -> int:
        """Add an ask; returns its sequence number."""
        if self.tells:
            self.gather()
        numbers = self._numbers
        seq = numbers.next
        numbers.next = seq + 1
        asks = self.asks
        if len(asks.payloads) == TOGETHER:
            self._pass_on(asks)
            asks = self.asks = QueuedAsks(seq, [], [], self._classes)
        elif not asks.payloads:
            asks.seq = seq
        asks.payloads.append(payload)
        asks.deadlines.append(deadline)
        return seq

    def trace_tells(self, trace: str | None) -> None:
        """The tells from now on have that trace context."""
        if self.tells:
            self.gather()
        self._trace = trace

    def number_tells(self) -> QueuedTells:
        """Take the tells, with numbers."""
        tells, numbers = self.tells, self._numbers
        batch = QueuedTells(numbers.next, tells.copy(), self._classes, self._trace)
        numbers.next += len(tells)
        tells.clear()
        return batch

    def gather(self) -> None:
        """Pass on everything."""
        if self.asks.payloads:
            asks, self.asks = self.asks, QueuedAsks(0, [], [], self._classes)
            self._pass_on(asks)
        if self.tells:
            self._pass_on(self.number_tells())
