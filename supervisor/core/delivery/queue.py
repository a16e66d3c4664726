"""MessageQueue: what waits, what is in flight, what has ended; and after a death, the fate of each message. Pure.

    accept_tell, enqueue_ask ─▶ tells, asks: together
                                     ▼
    enqueue, enqueue_bulk ──────▶ Backlog ─▶ take_batch, take ─▶ InFlight of a consumer ─▶ finish
                                     ▲                                 │
                                     └──────── lose, came_back ────────┘

A message is in exactly one place: queued, in flight to one life, or ended. No message is dropped silently, and none
is begun twice unless it is idempotent. What stays together on its way is here, the rest in `Singles`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import ClassVar, Final

import msgspec

from actors.wire.codec import encode
from actors.wire.kinds import ASK, TELL
from actors.wire.progress import Progress
from actors.wire.to_child import TELL_BATCH_HEAD, AskBatch
from supervisor.core.delivery.in_flight import NOTHING_NEW, Acknowledged
from supervisor.core.delivery.losses import LostMessage
from supervisor.core.delivery.messages import Batch, Classes, QueuedMessage, SequenceNumbers
from supervisor.core.delivery.parcel import Parcel, QueuedBulk, array_head
from supervisor.core.delivery.singles import UNBOUNDED, Singles

TOGETHER: Final = 256  # small asks that one frame carries, at most
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


class MessageQueue(Singles):
    """The bookkeeping of one queue of a mailbox, and of the consumers that take from it.

    A life must begin its messages in the order of their numbers: its black box and its acknowledgements rest on that.
    A message of a dead life may go to a consumer that already has later ones; there it gets a higher number, its
    delivery tag, for as long as that consumer has it. Otherwise the delivery tag is the sequence number.

    Args:
        classes: of the messages.
        max_deliveries: how often an idempotent message may be begun.
        numbers: source of sequence numbers; queues between which messages move share one.
        weighed: whether bytes are counted.
        most_descriptors: how many values in shared memory one consumer may have, of the messages that are in flight to
            it; each is a descriptor there. One message may have more.

    Attributes:
        accept_tell: takes the bytes of a checked tell without an envelope, if bytes are not counted. It gets its
            number later, with those that follow it.
    """

    def __init__(
        self,
        classes: Classes,
        max_deliveries: int = 3,
        numbers: SequenceNumbers | None = None,
        *,
        weighed: bool = False,
        most_descriptors: int = UNBOUNDED,
    ) -> None:
        super().__init__(classes, max_deliveries, numbers, weighed=weighed, most_descriptors=most_descriptors)
        self.accept_tell: Final = self._tells.append
        self._trace: str | None = None  # of the tells
        self._first_ask = 0
        self._deadlines: list[float | None] = []  # of the asks

    # ---- what is known

    @property
    def unsettled(self) -> int:
        """How many messages wait or are in flight, without the cancelled ones."""
        return self._unsettled + len(self._tells) + len(self._asks)

    @property
    def queued(self) -> int:
        """How many lie in the queue, cancelled ones included."""
        return self._backlog.count + len(self._tells) + len(self._asks)

    @property
    def fresh(self) -> int:
        """How many accepted tells have no number yet."""
        return len(self._tells)

    def room(self, consumer: str, most: int) -> int:
        """How many more messages a consumer may get, if it may have `most`; one at a time while there are suspects."""
        flight = self._flights.get(consumer)
        return (1 if self.attempts.suspects else most) - (0 if flight is None else flight.count)

    # ---- in

    def enqueue_ask(self, deadline: float | None, payload: bytes) -> int:
        """Append a small ask of the daemon; returns its sequence number. It travels with those before and after it.

        Allowed only when bytes are not counted.
        """
        if self._tells or len(self._asks) == TOGETHER:
            self._gather()
        numbers = self._numbers
        seq = numbers.next
        numbers.next = seq + 1
        if not self._asks:
            self._first_ask = seq
        self._asks.append(payload)
        self._deadlines.append(deadline)
        return seq

    def trace_tells(self, trace: str | None) -> None:
        """The tells that `accept_tell` takes from now on have that trace context."""
        if self._tells:
            self._gather()
        self._trace = trace

    def enqueue_bulk(
        self, kind: int, sender: str | None, deadline: float | None, parcel: Parcel, trace: str | None = None
    ) -> int:
        """Append messages of one call to the queue; returns the sequence number of the first.

        Allowed only when bytes are not counted.
        """
        self._gather()
        numbers = self._numbers
        seq = numbers.next
        numbers.next = seq + parcel.count
        self._arrived(QueuedBulk(seq, kind, sender, deadline, parcel, self._classes, trace))
        return seq

    def adopt_batch(self, batch: Batch) -> None:
        """Add a batch that has its numbers, higher ones than all that were queued so far.

        Allowed only when bytes are not counted.
        """
        self._gather()
        self._arrived(batch)

    # ---- to a consumer

    def send_now(  # noqa: PLR0917 - called for each ask
        self, consumer: str, kind: int, handler: int, deadline: float | None, payload: bytes, trace: str | None = None
    ) -> QueuedMessage:
        """Give a tell or ask straight to a consumer, past the queue.

        Allowed only when nothing waits and bytes are not counted.
        """
        numbers = self._numbers
        seq = numbers.next
        numbers.next = seq + 1
        message = QueuedMessage(seq, kind, None, deadline, msgspec.Raw(payload), trace=trace, handler=handler)
        flight = self._flights.get(consumer) or self.flights.open(consumer)
        flight.messages[seq] = message
        flight.last_tag = seq
        flight.count += 1
        flight.given += 1
        self._unsettled += 1
        return message

    def take_batch(self, consumer: str, most: int) -> Batch | None:
        """Take the batch at the head of the queue, if the consumer may have it; else None."""
        flight = self._flights.get(consumer) or self.flights.open(consumer)
        tells, asks = len(self._tells), self._asks
        if 0 < tells <= most and not asks and not self._backlog.count and self._numbers.next > flight.last_tag:
            batch: Batch = self._number_tells()  # the common case: nothing else waits
            self._unsettled += tells
        else:
            if tells or asks:
                self._gather()
            waiting = self._backlog.pop_batch(flight.last_tag, most)
            if waiting is None:
                return None
            batch = waiting
        size = len(batch)
        flight.batches.append(batch)
        flight.count += size
        flight.given += size
        flight.last_tag = batch.seq + size - 1
        return batch

    # ---- ends

    def finish_up_to(self, consumer: str, ack_up_to: int) -> Acknowledged:
        """All messages of a consumer up to a delivery tag have ended."""
        flight = self._flights.get(consumer)
        if flight is None or not flight.count:
            return NOTHING_NEW
        handled = 0
        batches = flight.batches
        over: list[int] = []
        told: list[tuple[int, int]] = []
        while batches and batches[0].seq <= ack_up_to:
            batch = batches[0]
            done = min(ack_up_to - batch.seq + 1, len(batch))
            if batch.kind == TELL:
                handled += done
                told.append((batch.seq, batch.seq + done - 1))
            else:
                over.extend(range(batch.seq, batch.seq + done))
            if done < len(batch):
                batch.drop(done)
                break
            batches.popleft()
        self._unsettled -= handled
        if flight.messages:
            over += flight.take_up_to(ack_up_to)
        unwanted = [self._unwanted[seq] for seq in over if seq in self._unwanted] if self._unwanted else []
        for seq in over:
            self._over(seq)
        handled += len(over)
        flight.count -= handled
        return Acknowledged(handled - len(unwanted), over, unwanted, told)

    def finish_replied(self, consumer: str, first: int, count: int) -> bool:
        """So many asks of batches have been answered, in order, if that is all there is to it; else nothing is done.

        Args:
            consumer: that had them.
            first: the delivery tag of the first.
            count: how many.
        """
        flight = self._flights.get(consumer)
        if flight is None or not flight.batches or self._unwanted or self.attempts.begun or self.attempts.suspects:
            return False
        if not flight.take_replied(first, count):
            return False
        self._unsettled -= count
        return True

    def lose(self, consumer: str, progress: Progress | None) -> tuple[LostMessage, ...]:
        """A life has ended: the fates of what it may have begun. What may go to the next life is queued again.

        Args:
            consumer: its name.
            progress: what its black box says; None when it cannot be read.
        """
        if (flight := self._flights.pop(consumer, None)) is None or not flight.count:
            return ()
        unbegun = flight.take_unbegun(progress)
        losses = self.attempts.lose(flight, progress, self._unwanted)
        self._backlog.put_back(chain(unbegun, (loss.message for loss in losses if loss.fate is None)))
        for loss in losses:
            if loss.fate is not None:
                self._over(loss.message.seq)
        return losses

    # ---- inside

    def _number_tells(self) -> QueuedTells:
        """Take the tells, with numbers."""
        tells, numbers = self._tells, self._numbers
        batch = QueuedTells(numbers.next, tells.copy(), self._classes, self._trace)
        numbers.next += len(tells)
        tells.clear()
        return batch

    def _gather(self) -> None:
        """Let the tells and asks that came together lie in the backlog."""
        if self._asks:
            asks = QueuedAsks(self._first_ask, self._asks, self._deadlines, self._classes)
            self._asks, self._deadlines = [], []
            self._arrived(asks)
        if self._tells:
            self._arrived(self._number_tells())

    def _arrived(self, batch: Batch) -> None:
        """A batch has its numbers, and lies in the backlog from now on."""
        self._backlog.append_batch(batch)
        self._unsettled += len(batch)
