"""MessageQueue: what waits, what is in flight, what has ended; and after a death, the fate of each message. Pure.

A message is in exactly one place: queued, in flight to one life, or ended. No message is dropped silently, and none
is begun twice unless it is idempotent.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, cast

import msgspec

from actors.wire.frames import ASK, CANCELLED, EXPIRED, FEED, STREAM, TELL, UNDECODABLE
from actors.wire.framing import Attachment
from actors.wire.progress import Progress
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.in_flight import InFlight
from supervisor.core.delivery.messages import Classes, QueuedMessage, QueuedTells, SequenceNumbers


class LostMessage(msgspec.Struct, frozen=True):
    """One message that was in flight when its life ended.

    Attributes:
        message: the message.
        fate: how it ended, None when it is queued again.
        started: whether its handler had begun, None when that is not known.
        finished: whether its handler had returned, None when that is not known.
        deliveries: how often it has been begun.
    """

    message: QueuedMessage
    fate: Fate | None
    started: bool | None
    finished: bool | None
    deliveries: int


class Acknowledged(NamedTuple):
    """What one acknowledgement of a life ends.

    Attributes:
        handled: how many messages were wanted.
        outside: the sequence numbers of those that are in no batch.
        unwanted: the fates of the others.
    """

    handled: int
    outside: list[int]
    unwanted: list[Fate]


_NOTHING_NEW: Final = Acknowledged(0, [], [])
_GAPS: Final = 64  # cancelled messages that may lie in the queue before it is compacted


class MessageQueue:
    """The bookkeeping of one queue of a mailbox, and of the consumers that take from it. `life` names a consumer.

    A life must begin its messages in the order of their numbers: its black box and its acknowledgements rest on that.
    A message of a dead life may go to a consumer that already has later ones; there it gets a higher number, its
    delivery tag, for as long as that consumer has it. Otherwise the delivery tag is the sequence number.

    Args:
        classes: of the messages.
        max_deliveries: how often an idempotent message may be begun.
        numbers: source of sequence numbers; queues between which messages move share one.
        weighed: whether bytes are counted.

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
    ) -> None:
        self._fresh: list[bytes] = []  # accepted tells without a number yet
        self.accept_tell: Final = self._fresh.append
        self.bytes = 0  # bytes of all these, if they are counted
        self._classes = classes
        self._weighed = weighed
        self._max_deliveries = max_deliveries
        self._numbers = SequenceNumbers() if numbers is None else numbers
        self._queue: deque[QueuedMessage | QueuedTells] = deque()
        self._queued = 0
        self._flights: dict[str, InFlight] = {}
        self._deliveries: dict[int, int] = {}
        self._unwanted: dict[int, Fate] = {}  # cancelled, and still queued or in flight; how they end
        self._sizes: dict[int, int] = {}  # of messages, when the sum is needed
        self._unsettled = 0

    def enqueue(
        self,
        kind: int,
        handler: int,
        sender: str | None,
        deadline: float | None,
        payload: bytes,
        *,
        beside: tuple[int, ...] | None = None,
        attachments: tuple[Attachment, ...] | None = None,
        key: bytes | None = None,
    ) -> int:
        """Append a message to the queue; returns its sequence number."""
        if self._fresh:
            self._number()
        numbers = self._numbers
        seq = numbers.next
        numbers.next = seq + 1
        message = QueuedMessage(seq, kind, sender, deadline, msgspec.Raw(payload), beside, attachments, handler, key)
        self._queue.append(message)
        self._queued += 1
        self._unsettled += 1
        if self._weighed:
            self._weigh(seq, message.size)
        return seq

    def send_now(self, consumer: str, kind: int, handler: int, deadline: float | None, payload: bytes) -> QueuedMessage:
        """Give a tell or ask straight to a consumer, past the queue.

        Allowed only when nothing waits and bytes are not counted.
        """
        numbers = self._numbers
        seq = numbers.next
        numbers.next = seq + 1
        message = QueuedMessage(seq, kind, None, deadline, msgspec.Raw(payload), handler=handler)
        flight = self._flights.get(consumer) or self._flights.setdefault(consumer, InFlight())
        flight.messages[seq] = message
        flight.last_tag = seq
        flight.count += 1
        flight.given += 1
        self._unsettled += 1
        return message

    @property
    def unsettled(self) -> int:
        """How many messages wait or are in flight, without the cancelled ones."""
        return self._unsettled + len(self._fresh)

    @property
    def queued(self) -> int:
        """How many lie in the queue, cancelled ones included."""
        return self._queued + len(self._fresh)

    def in_flight(self, consumer: str) -> int:
        """How many messages are in flight to a consumer."""
        flight = self._flights.get(consumer)
        return 0 if flight is None else flight.count

    def take_tells(self, consumer: str, most: int) -> QueuedTells | None:
        """Take the batch of tells at the head of the queue, if the consumer may have all of it; else None."""
        if self._fresh:
            self._number()
        flight = self._flights.get(consumer) or self._flights.setdefault(consumer, InFlight())
        batch = self._queue[0] if self._queue else None
        if type(batch) is not QueuedTells or batch.seq <= flight.last_tag or most < 1:
            return None
        if len(batch.payloads) > most:
            self._queue[0] = batch.split(most)
        else:
            self._queue.popleft()
        size = len(batch.payloads)
        self._queued -= size
        flight.batches.append(batch)
        flight.count += size
        flight.given += size
        flight.last_tag = batch.seq + size - 1
        return batch

    def take(
        self, consumer: str, most: int, most_bytes: int, now: float = 0.0
    ) -> tuple[list[QueuedMessage], list[QueuedMessage]]:
        """Take messages from the head of the queue for a consumer: the first, and more within both bounds.

        Returns what is to be sent, with delivery tags in place of sequence numbers; and what has ended because its
        deadline has passed. A batch of tells behind them stays; one at the head is taken apart.
        """
        if self._fresh:
            self._number()
        flight = self._flights.get(consumer) or self._flights.setdefault(consumer, InFlight())
        last = flight.last_tag
        taken: list[QueuedMessage] = []
        expired: list[QueuedMessage] = []
        queue, unwanted, size = self._queue, self._unwanted, 0
        while queue and len(taken) < most and size < most_bytes:
            message = queue.popleft()
            if type(message) is QueuedTells:
                if taken:
                    queue.appendleft(message)
                    break
                queue.extendleft(reversed(list(message.messages())))
                continue
            assert isinstance(message, QueuedMessage)  # noqa: S101 - there is no third kind
            self._queued -= 1
            if unwanted and message.seq in unwanted:
                del unwanted[message.seq]
                continue
            if message.deadline is not None and message.deadline < now:
                self._over(message.seq)
                expired.append(message)
                continue
            if message.seq > last:
                last = message.seq
                taken.append(message)
            else:
                last += 1
                taken.append(msgspec.structs.replace(message, seq=last))
            flight.messages[last] = message
            flight.count += 1
            size += message.size
        flight.given += len(taken)
        flight.last_tag = last
        return taken, expired

    def held(self, consumer: str, delivery_tag: int) -> QueuedMessage | None:
        """A message in flight to a consumer; None for one of a batch."""
        flight = self._flights.get(consumer)
        return None if flight is None else flight.messages.get(delivery_tag)

    def flowing(self, consumer: str) -> bool:
        """Whether a stream or a feed is in flight to a consumer."""
        flight = self._flights.get(consumer)
        return flight is not None and any(message.kind in (STREAM, FEED) for message in flight.messages.values())

    def handled(self, consumer: str) -> int:
        """How many messages of a consumer have ended."""
        flight = self._flights.get(consumer)
        return 0 if flight is None else flight.given - flight.count

    def holder(self, seq: int) -> tuple[str, int] | None:
        """The consumer that has a message, and its delivery tag there."""
        for consumer, flight in self._flights.items():
            delivery_tag = flight.tag_of(seq)
            if delivery_tag is not None:
                return consumer, delivery_tag
        return None

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

    def given_up(self, consumer: str, delivery_tag: int) -> Fate | None:
        """The fate of a message in flight that was cancelled; None when it is wanted."""
        message = self.held(consumer, delivery_tag)
        return None if message is None else self._unwanted.get(message.seq)

    def finish_up_to(self, consumer: str, ack_up_to: int) -> Acknowledged:
        """All messages of a consumer up to a delivery tag have ended."""
        flight = self._flights.get(consumer)
        if flight is None or not flight.count:
            return _NOTHING_NEW
        told = 0
        batches = flight.batches
        while batches and batches[0].seq <= ack_up_to:
            batch = batches[0]
            done = ack_up_to - batch.seq + 1
            if done < len(batch.payloads):
                del batch.payloads[:done]
                batch.seq += done
                told += done
                break
            told += len(batch.payloads)
            batches.popleft()
        self._unsettled -= told
        over = flight.take_up_to(ack_up_to) if flight.messages else []
        unwanted = [self._unwanted[seq] for seq in over if seq in self._unwanted] if self._unwanted else []
        for seq in over:
            self._over(seq)
        told += len(over)
        flight.count -= told
        return Acknowledged(told - len(unwanted), over, unwanted)

    def cancel_message(self, seq: int, fate: Fate) -> tuple[str, int] | None:
        """Cancel a message that has not ended.

        Returns the consumer that has it and its delivery tag, None when it is queued.

        Args:
            seq: its number.
            fate: how it ends, unless a life handles it all the same.
        """
        self._unwanted[seq] = fate
        holder = self.holder(seq)
        if holder is not None:
            return holder
        self._over_unseen(seq)
        if len(self._unwanted) > _GAPS and len(self._unwanted) * 2 > self._queued:
            self._close_gaps()
        return None

    def ask_back(self, consumer: str, begun: int) -> list[int]:
        """The delivery tags to ask a life to give back: those it has not begun. They stay in flight until it does.

        Args:
            consumer: its name.
            begun: the highest delivery tag it has begun.
        """
        flight = self._flights.get(consumer) or InFlight()
        flight.asked = {
            delivery_tag
            for delivery_tag, message in flight.messages.items()
            if delivery_tag > begun and message.seq not in self._unwanted
        }
        return sorted(flight.asked)

    def take_over(self, consumer: str) -> None:
        """A life certainly does not begin what it was asked to give back: queue that again."""
        flight = self._flights[consumer]
        tags = flight.asked & flight.messages.keys()
        flight.returned |= tags
        flight.asked = set()
        self._return(flight, tags)

    def came_back(self, consumer: str, delivery_tag: int, outcome: int) -> bool:
        """Whether an outcome returns a message that the life was asked to give back; then it is queued again."""
        flight = self._flights.get(consumer)
        if flight is None or outcome not in (CANCELLED, EXPIRED, UNDECODABLE):
            return False
        if delivery_tag in flight.returned:
            flight.returned.discard(delivery_tag)
            return True
        if outcome != CANCELLED or delivery_tag not in flight.asked & flight.messages.keys():
            return False
        if flight.messages[delivery_tag].seq in self._unwanted:
            return False
        self._return(flight, {delivery_tag})
        return True

    def lose(self, consumer: str, progress: Progress | None) -> tuple[LostMessage, ...]:
        """A life has ended: the fate of everything in flight to it. What may go to the next life is queued again.

        Args:
            consumer: its name.
            progress: what its black box says; None when it cannot be read.
        """
        flight = self._flights.pop(consumer, None) or InFlight()
        told = ((message.seq, message) for batch in flight.batches for message in batch.messages())
        held = heapq.merge(flight.messages.items(), told, key=_tag)
        losses = tuple(self._fate(delivery_tag, message, progress) for delivery_tag, message in held)
        self._queue_again(sorted((loss.message for loss in losses if loss.fate is None), key=_seq))
        for loss in losses:
            if loss.fate is not None:
                self._over(loss.message.seq)
        return losses

    def drop_oldest(self) -> QueuedMessage | None:
        """Remove the message that has waited longest; None when all are in flight."""
        self._take_apart()
        while self._queue:
            message = self._queue.popleft()
            assert isinstance(message, QueuedMessage)  # noqa: S101 - no batch is left
            self._queued -= 1
            if message.seq not in self._unwanted:
                self._over(message.seq)
                return message
            del self._unwanted[message.seq]
        return None

    def drain(self) -> list[QueuedMessage]:
        """Empty the queue; returns everything wanted, in order."""
        left = self.waiting()
        for item in self._queue:
            self._unwanted.pop(item.seq, None)  # cancelled messages are in no batch
        self._queue.clear()
        self._queued = 0
        for message in left:
            self._over(message.seq)
        return left

    def release(self) -> list[tuple[QueuedMessage, int]]:
        """Empty the queue for another one: everything wanted, in order, and how often it has been begun."""
        given = [(message, self._deliveries.get(message.seq, 0)) for message in self.waiting()]
        self.drain()
        return given

    def adopt(self, message: QueuedMessage, deliveries: int) -> None:
        """Add a message that another queue released, at its place by sequence number."""
        self._take_apart()
        self._queued += 1
        self._unsettled += 1
        if self._weighed:
            self._weigh(message.seq, message.size)
        if deliveries:
            self._deliveries[message.seq] = deliveries
        if self._queue and self._queue[-1].seq > message.seq:
            self._queue = deque(heapq.merge(self._queue, (message,), key=_seq))
        else:
            self._queue.append(message)

    def waiting(self) -> list[QueuedMessage]:
        """What is queued and wanted, in order."""
        if self._fresh:
            self._number()
        return [message for message in _apart(self._queue) if message.seq not in self._unwanted]

    def deliveries(self, seq: int) -> int:
        """How often a message has been begun by lives that ended."""
        return self._deliveries.get(seq, 0)

    def _fate(self, delivery_tag: int, message: QueuedMessage, progress: Progress | None) -> LostMessage:
        seq = message.seq
        started = None if progress is None else delivery_tag <= progress.begun
        finished = None if progress is None else bool(started) and delivery_tag not in progress.active
        if started is not False:
            self._deliveries[seq] = self._deliveries.get(seq, 0) + 1
        deliveries = self._deliveries.get(seq, 0)
        idempotent = self._classes.idempotent[message.handler]
        fate: Fate | None
        if seq in self._unwanted:
            fate = self._unwanted[seq]
        elif started is False:
            fate = None
        elif finished and message.kind == ASK and idempotent and deliveries < self._max_deliveries:
            fate = None  # handling it again gives the asker its reply
        elif finished:
            fate = Fate.HANDLED if message.kind == TELL else Fate.HANDLED_UNANSWERED
        elif message.kind in (STREAM, FEED) or not idempotent:  # what has flowed cannot flow again
            fate = Fate.CRASHED
        else:
            fate = None if deliveries < self._max_deliveries else Fate.POISON
        return LostMessage(message, fate, started, finished, deliveries)

    def _return(self, flight: InFlight, tags: set[int]) -> None:
        self._queue_again(sorted((flight.messages.pop(delivery_tag) for delivery_tag in tags), key=_seq))
        flight.count -= len(tags)
        flight.given -= len(tags)

    def _queue_again(self, messages: list[QueuedMessage]) -> None:
        """Put back at the head of the queue, by sequence number among those that came back before."""
        if not messages:
            return
        last = messages[-1].seq
        ahead = []
        while self._queue and self._queue[0].seq < last:  # a batch is never between what came back
            ahead.append(self._queue.popleft())
        merged = list(heapq.merge(messages, ahead, key=_seq))
        self._queue.extendleft(reversed(merged))
        self._queued += len(messages)

    def _number(self) -> None:
        """Give the fresh tells their numbers, as a batch at the end of the queue."""
        numbers, count = self._numbers, len(self._fresh)
        self._queue.append(QueuedTells(numbers.next, self._fresh.copy(), self._classes))
        self._fresh.clear()
        numbers.next += count
        self._queued += count
        self._unsettled += count

    def _take_apart(self) -> deque[QueuedMessage]:
        """Turn all batches in the queue into separate messages."""
        if self._fresh:
            self._number()
        if any(type(item) is QueuedTells for item in self._queue):
            self._queue = deque(_apart(self._queue))
        return cast("deque[QueuedMessage]", self._queue)

    def _close_gaps(self) -> None:
        gone = {item.seq for item in self._queue if item.seq in self._unwanted}  # cancelled messages are in no batch
        self._queue = deque(item for item in self._queue if item.seq not in gone)
        self._queued -= len(gone)
        for seq in gone:
            del self._unwanted[seq]

    def _over_unseen(self, seq: int) -> None:
        self._unsettled -= 1
        self._deliveries.pop(seq, None)
        self.bytes -= self._sizes.pop(seq, 0)

    def _weigh(self, seq: int, size: int) -> None:
        self._sizes[seq] = size
        self.bytes += size

    def _over(self, seq: int) -> None:
        self._unsettled -= 1
        if self._unwanted:
            self._unwanted.pop(seq, None)
        if self._deliveries:
            self._deliveries.pop(seq, None)
        if self._sizes:
            self.bytes -= self._sizes.pop(seq, 0)


def _seq(message: QueuedMessage | QueuedTells) -> int:
    return message.seq


def _tag(held: tuple[int, QueuedMessage]) -> int:
    return held[0]


def _apart(items: Iterable[QueuedMessage | QueuedTells]) -> Iterator[QueuedMessage]:
    for item in items:
        if isinstance(item, QueuedTells):
            yield from item.messages()
        else:
            yield item
