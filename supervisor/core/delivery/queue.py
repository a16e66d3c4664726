"""MessageQueue: what waits, what is in flight, what has ended; and after a death, the fate of each message. Pure.

    accept_tell ─▶ Arrivals
                      ▼
    enqueue ─────▶ Backlog ─▶ take ─▶ InFlight of a consumer ─▶ finish
                      ▲                    │
                      └── lose, came_back ─┘

A message is in exactly one place: queued, in flight to one life, or ended. No message is dropped silently, and none
is begun twice unless it is idempotent.
"""

from __future__ import annotations

from itertools import chain
from typing import Final

import msgspec

from actors.wire.framing import Carried
from actors.wire.kinds import TELL
from actors.wire.progress import Progress
from supervisor.core.delivery.backlog import Backlog
from supervisor.core.delivery.batches import Arrivals, Batch, QueuedBulk
from supervisor.core.delivery.byte_count import ByteCount
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.in_flight import NOTHING_NEW, Acknowledged, Flights
from supervisor.core.delivery.losses import Attempts, LostMessage
from supervisor.core.delivery.messages import Classes, QueuedMessage, SequenceNumbers
from supervisor.core.delivery.parcel import Parcel

_GAPS: Final = 64  # cancelled messages that may lie in the backlog before it is compacted


class MessageQueue:
    """The bookkeeping of one queue of a mailbox, and of the consumers that take from it.

    A life must begin its messages in the order of their numbers: its black box and its acknowledgements rest on that.
    A message of a dead life may go to a consumer that already has later ones; there it gets a higher number, its
    delivery tag, for as long as that consumer has it. Otherwise the delivery tag is the sequence number.

    Args:
        classes: of the messages.
        max_deliveries: how often an idempotent message may be begun.
        numbers: source of sequence numbers; queues between which messages move share one.
        weighed: whether bytes are counted.

    Attributes:
        flights: what is in flight, by consumer.
        attempts: how often lives that ended have begun the messages.
        accept_tell: takes the bytes of a checked tell without an envelope, if bytes are not counted. It gets its
            number later, with those that follow it.
        enqueue_ask: appends a small ask of the daemon, if bytes are not counted; returns its sequence number. It
            travels with those before and after it.
        trace_tells: the tells that `accept_tell` takes from now on have that trace context.
    """

    def __init__(
        self,
        classes: Classes,
        max_deliveries: int = 3,
        numbers: SequenceNumbers | None = None,
        *,
        weighed: bool = False,
    ) -> None:
        self._classes = classes
        self._numbers = SequenceNumbers() if numbers is None else numbers
        self._unwanted: dict[int, Fate] = {}  # cancelled, and still queued or in flight; how they end
        self._backlog = Backlog(self._unwanted)
        self._arrivals = Arrivals(self._numbers, classes, self._arrived)
        self._fresh = self._arrivals.tells
        self.accept_tell: Final = self._fresh.append
        self.enqueue_ask: Final = self._arrivals.accept_ask
        self.trace_tells: Final = self._arrivals.trace_tells
        self.flights: Final = Flights(self._backlog, self._unwanted)
        self.attempts: Final = Attempts(classes, max_deliveries)
        self._flights = self.flights.by_consumer
        self._sizes = ByteCount() if weighed else None
        self._unsettled = 0  # without the arrivals

    # ---- what is known

    @property
    def unsettled(self) -> int:
        """How many messages wait or are in flight, without the cancelled ones."""
        return self._unsettled + len(self._fresh) + len(self._arrivals.asks.payloads)

    @property
    def queued(self) -> int:
        """How many lie in the queue, cancelled ones included."""
        return self._backlog.count + len(self._fresh) + len(self._arrivals.asks.payloads)

    @property
    def fresh(self) -> int:
        """How many accepted tells have no number yet."""
        return len(self._fresh)

    @property
    def cancels(self) -> bool:
        """Whether messages were cancelled that are here, queued or in flight."""
        return bool(self._unwanted)

    @property
    def total_bytes(self) -> int:
        """How many bytes all messages have, 0 when they are not counted."""
        return 0 if self._sizes is None else self._sizes.total

    def room(self, consumer: str, most: int) -> int:
        """How many more messages a consumer may get, if it may have `most`; one at a time while there are suspects."""
        flight = self._flights.get(consumer)
        return (1 if self.attempts.suspects else most) - (0 if flight is None else flight.count)

    def kind_of(self, seq: int) -> int | None:
        """The kind of a message that waits here or is in flight, None when it is not here. Looks at all of them."""
        held = chain(self.flights.messages(), self.waiting())
        return next((message.kind for message in held if message.seq == seq), None)

    def waiting(self) -> list[QueuedMessage]:
        """What is queued and wanted, in order."""
        self._arrivals.gather()
        return self._backlog.waiting()

    # ---- in

    def enqueue(
        self,
        kind: int,
        handler: int,
        sender: str | None,
        deadline: float | None,
        payload: bytes,
        *,
        beside: tuple[int, ...] | None = None,
        attachments: tuple[Carried, ...] | None = None,
        trace: str | None = None,
        key: bytes | None = None,
    ) -> int:
        """Append a message to the queue; returns its sequence number."""
        if self._fresh or self._arrivals.asks.payloads:
            self._arrivals.gather()
        numbers = self._numbers
        seq = numbers.next
        numbers.next = seq + 1
        message = QueuedMessage(
            seq, kind, sender, deadline, msgspec.Raw(payload), beside, trace, attachments, handler, key
        )
        self._backlog.append(message)
        self._unsettled += 1
        if self._sizes is not None:
            self._sizes.add(seq, message.size)
        return seq

    def enqueue_bulk(
        self, kind: int, sender: str | None, deadline: float | None, parcel: Parcel, trace: str | None = None
    ) -> int:
        """Append messages of one call to the queue; returns the sequence number of the first.

        Allowed only when bytes are not counted.
        """
        self._arrivals.gather()
        numbers = self._numbers
        seq = numbers.next
        numbers.next = seq + parcel.count
        self._arrived(QueuedBulk(seq, kind, sender, deadline, parcel, self._classes, trace))
        return seq

    def adopt(self, message: QueuedMessage, deliveries: int) -> None:
        """Add a message that another queue released, at its place by sequence number."""
        self._arrivals.gather()
        self._backlog.insert(message)
        self._unsettled += 1
        if self._sizes is not None:
            self._sizes.add(message.seq, message.size)
        if deliveries:
            self.attempts.begun[message.seq] = deliveries

    def adopt_batch(self, batch: Batch) -> None:
        """Add a batch that has its numbers, higher ones than all that were queued so far.

        Allowed only when bytes are not counted.
        """
        self._arrivals.gather()
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
        tells, asks = len(self._fresh), self._arrivals.asks.payloads
        if 0 < tells <= most and not asks and not self._backlog.count and self._numbers.next > flight.last_tag:
            batch: Batch = self._arrivals.number_tells()  # the common case: nothing else waits
            self._unsettled += tells
        else:
            if tells or asks:
                self._arrivals.gather()
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

    def take(
        self, consumer: str, most: int, most_bytes: int, now: float = 0.0
    ) -> tuple[list[QueuedMessage], list[QueuedMessage]]:
        """Take messages from the head of the queue for a consumer: the first, and more within both bounds.

        One with attachments is the last.

        Returns what is to be sent, with delivery tags in place of sequence numbers; and what has ended because its
        deadline has passed. A batch of tells behind them stays; one at the head is taken apart.
        """
        if self._fresh or self._arrivals.asks.payloads:
            self._arrivals.gather()
        flight = self._flights.get(consumer) or self.flights.open(consumer)
        backlog = self._backlog
        size = 0
        taken: list[QueuedMessage] = []
        expired: list[QueuedMessage] = []
        while len(taken) < most and size < most_bytes:
            if not taken:
                backlog.take_apart_head()
            message = backlog.pop()
            if message is None and not taken and backlog.count:
                continue  # cancelled ones were before a batch
            if message is None:
                break
            if message.deadline is not None and message.deadline < now:
                self._over(message.seq)
                expired.append(message)
                continue
            taken.append(flight.give(message))
            size += message.size
            if message.attachments is not None:
                break  # what belongs to a message comes before its frame
        return taken, expired

    # ---- ends

    def finish(self, consumer: str, delivery_tag: int) -> QueuedMessage | None:
        """One message of a consumer has ended; None when it had no such message."""
        flight = self._flights.get(consumer)
        if flight is None:
            return None
        message = flight.messages.pop(delivery_tag, None) or flight.take_out(delivery_tag)
        if message is not None:
            flight.count -= 1
            self._over(message.seq)
        return message

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

    def cancel_message(self, seq: int, fate: Fate) -> tuple[str, int] | None:
        """Cancel a message that has not ended.

        Returns the consumer that has it and its delivery tag, None when it is queued.

        Args:
            seq: its number.
            fate: how it ends, unless a life handles it all the same.
        """
        holder = self.flights.holder(seq)
        if holder is None:
            self._arrivals.gather()
            self._backlog.take_apart_at(seq)
            self._over(seq)
        self._unwanted[seq] = fate
        if holder is None and len(self._unwanted) > _GAPS and len(self._unwanted) * 2 > self._backlog.count:
            self._backlog.close_gaps()
        return holder

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

    def drop_oldest(self) -> QueuedMessage | None:
        """Remove the message that has waited longest; None when all are in flight."""
        self._arrivals.gather()
        message = None
        while message is None and self._backlog.count:
            self._backlog.take_apart_head()
            message = self._backlog.pop()
        if message is not None:
            self._over(message.seq)
        return message

    def drain(self) -> list[QueuedMessage]:
        """Empty the queue; returns everything wanted, in order."""
        left = self.waiting()
        self._backlog.clear()
        for message in left:
            self._over(message.seq)
        return left

    def release(self) -> list[tuple[QueuedMessage, int]]:
        """Empty the queue for another one: everything wanted, in order, and how often it has been begun."""
        given = [(message, self.attempts.of(message.seq)) for message in self.waiting()]
        self.drain()
        return given

    # ---- inside

    def _arrived(self, batch: Batch) -> None:
        """A batch has its numbers, and lies in the backlog from now on."""
        self._backlog.append_batch(batch)
        self._unsettled += len(batch)

    def _over(self, seq: int) -> None:
        self._unsettled -= 1
        if self._unwanted:
            self._unwanted.pop(seq, None)
        attempts = self.attempts
        if attempts.begun:
            attempts.begun.pop(seq, None)
        if attempts.suspects:
            attempts.suspects.pop(seq, None)
        if self._sizes is not None:
            self._sizes.remove(seq)
