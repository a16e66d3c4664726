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
        posted: the message.
        fate: how it ended, None when it is queued again.
        started: whether its handler had begun, None when that is not known.
        finished: whether its handler had returned, None when that is not known.
        deliveries: how often it has been begun.
    """

    posted: QueuedMessage
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
        fresh: accepted tells without a number yet. The caller that accepts one appends its bytes, if bytes are
            not counted.
    """

    def __init__(
        self,
        classes: Classes,
        max_deliveries: int = 3,
        numbers: SequenceNumbers | None = None,
        *,
        weighed: bool = False,
    ) -> None:
        self.fresh: list[bytes] = []
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
        if self.fresh:
            self._number()
        numbers = self._numbers
        seq = numbers.next
        numbers.next = seq + 1
        posted = QueuedMessage(seq, kind, sender, deadline, msgspec.Raw(payload), beside, attachments, handler, key)
        self._queue.append(posted)
        self._queued += 1
        self._unsettled += 1
        if self._weighed:
            self._weigh(seq, posted.size)
        return seq

    def send_now(self, consumer: str, kind: int, handler: int, deadline: float | None, payload: bytes) -> QueuedMessage:
        """Give a tell or ask straight to a consumer, past the queue.

        Allowed only when nothing waits and bytes are not counted.
        """
        numbers = self._numbers
        seq = numbers.next
        numbers.next = seq + 1
        posted = QueuedMessage(seq, kind, None, deadline, msgspec.Raw(payload), handler=handler)
        flight = self._flights.get(consumer) or self._flights.setdefault(consumer, InFlight())
        flight.posted[seq] = posted
        flight.last_tag = seq
        flight.count += 1
        flight.given += 1
        self._unsettled += 1
        return posted

    @property
    def unsettled(self) -> int:
        """How many messages wait or are in flight, without the cancelled ones."""
        return self._unsettled + len(self.fresh)

    @property
    def queued(self) -> int:
        """How many lie in the queue, cancelled ones included."""
        return self._queued + len(self.fresh)

    def in_flight(self, consumer: str) -> int:
        """How many messages are in flight to a consumer."""
        flight = self._flights.get(consumer)
        return 0 if flight is None else flight.count

    def take_run(self, consumer: str, most: int) -> QueuedTells | None:
        """Take the batch of tells at the head of the queue, if the consumer may have all of it; else None."""
        if self.fresh:
            self._number()
        flight = self._flights.get(consumer) or self._flights.setdefault(consumer, InFlight())
        run = self._queue[0] if self._queue else None
        if type(run) is not QueuedTells or run.seq <= flight.last_tag or most < 1:
            return None
        if len(run.payloads) > most:
            self._queue[0] = run.split(most)
        else:
            self._queue.popleft()
        size = len(run.payloads)
        self._queued -= size
        flight.runs.append(run)
        flight.count += size
        flight.given += size
        flight.last_tag = run.seq + size - 1
        return run

    def take(
        self, consumer: str, most: int, most_bytes: int, now: float = 0.0
    ) -> tuple[list[QueuedMessage], list[QueuedMessage]]:
        """Take messages from the head of the queue for a consumer: the first, and more within both bounds.

        Returns what is to be sent, with delivery tags in place of sequence numbers; and what has ended because its
        deadline has passed. A batch of tells behind them stays; one at the head is taken apart.
        """
        if self.fresh:
            self._number()
        flight = self._flights.get(consumer) or self._flights.setdefault(consumer, InFlight())
        last = flight.last_tag
        taken: list[QueuedMessage] = []
        expired: list[QueuedMessage] = []
        queue, unwanted, size = self._queue, self._unwanted, 0
        while queue and len(taken) < most and size < most_bytes:
            posted = queue.popleft()
            if type(posted) is QueuedTells:
                if taken:
                    queue.appendleft(posted)
                    break
                queue.extendleft(reversed(list(posted.posted())))
                continue
            assert isinstance(posted, QueuedMessage)  # noqa: S101 - there is no third kind
            self._queued -= 1
            if unwanted and posted.seq in unwanted:
                del unwanted[posted.seq]
                continue
            if posted.deadline is not None and posted.deadline < now:
                self._over(posted.seq)
                expired.append(posted)
                continue
            if posted.seq > last:
                last = posted.seq
                taken.append(posted)
            else:
                last += 1
                taken.append(msgspec.structs.replace(posted, seq=last))
            flight.posted[last] = posted
            flight.count += 1
            size += posted.size
        flight.given += len(taken)
        flight.last_tag = last
        return taken, expired

    def held(self, consumer: str, delivery_tag: int) -> QueuedMessage | None:
        """A message in flight to a consumer; None for one of a batch."""
        flight = self._flights.get(consumer)
        return None if flight is None else flight.posted.get(delivery_tag)

    def flowing(self, consumer: str) -> bool:
        """Whether a stream or a feed is in flight to a consumer."""
        flight = self._flights.get(consumer)
        return flight is not None and any(posted.kind in (STREAM, FEED) for posted in flight.posted.values())

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
        posted = flight.posted.pop(delivery_tag, None) or flight.take_out(delivery_tag)
        if posted is not None:
            flight.count -= 1
            self._over(posted.seq)
        return posted

    def given_up(self, consumer: str, delivery_tag: int) -> Fate | None:
        """The fate of a message in flight that was cancelled; None when it is wanted."""
        posted = self.held(consumer, delivery_tag)
        return None if posted is None else self._unwanted.get(posted.seq)

    def finish_up_to(self, consumer: str, ack_up_to: int) -> Acknowledged:
        """All messages of a consumer up to a delivery tag have ended."""
        flight = self._flights.get(consumer)
        if flight is None or not flight.count:
            return _NOTHING_NEW
        told = 0
        runs = flight.runs
        while runs and runs[0].seq <= ack_up_to:
            run = runs.popleft()
            done = ack_up_to - run.seq + 1
            if done < len(run.payloads):
                runs.appendleft(run.split(done))
            told += len(run.payloads)
        self._unsettled -= told
        over = flight.take_up_to(ack_up_to) if flight.posted else []
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
            for delivery_tag, posted in flight.posted.items()
            if delivery_tag > begun and posted.seq not in self._unwanted
        }
        return sorted(flight.asked)

    def take_over(self, consumer: str) -> None:
        """A life certainly does not begin what it was asked to give back: queue that again."""
        flight = self._flights[consumer]
        turns = flight.asked & flight.posted.keys()
        flight.returned |= turns
        flight.asked = set()
        self._return(flight, turns)

    def came_back(self, consumer: str, delivery_tag: int, outcome: int) -> bool:
        """Whether an outcome returns a message that the life was asked to give back; then it is queued again."""
        flight = self._flights.get(consumer)
        if flight is None or outcome not in (CANCELLED, EXPIRED, UNDECODABLE):
            return False
        if delivery_tag in flight.returned:
            flight.returned.discard(delivery_tag)
            return True
        if outcome != CANCELLED or delivery_tag not in flight.asked & flight.posted.keys():
            return False
        if flight.posted[delivery_tag].seq in self._unwanted:
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
        told = ((posted.seq, posted) for run in flight.runs for posted in run.posted())
        held = heapq.merge(flight.posted.items(), told, key=_turn)
        losses = tuple(self._fate(delivery_tag, posted, progress) for delivery_tag, posted in held)
        self._queue_again(sorted((loss.posted for loss in losses if loss.fate is None), key=_seq))
        for loss in losses:
            if loss.fate is not None:
                self._over(loss.posted.seq)
        return losses

    def drop_oldest(self) -> QueuedMessage | None:
        """Remove the message that has waited longest; None when all are in flight."""
        self._take_apart()
        while self._queue:
            posted = self._queue.popleft()
            assert isinstance(posted, QueuedMessage)  # noqa: S101 - no run is left
            self._queued -= 1
            if posted.seq not in self._unwanted:
                self._over(posted.seq)
                return posted
            del self._unwanted[posted.seq]
        return None

    def drain(self) -> list[QueuedMessage]:
        """Empty the queue; returns everything wanted, in order."""
        left = self.waiting()
        for item in self._queue:
            self._unwanted.pop(item.seq, None)  # cancelled messages are in no batch
        self._queue.clear()
        self._queued = 0
        for posted in left:
            self._over(posted.seq)
        return left

    def release(self) -> list[tuple[QueuedMessage, int]]:
        """Empty the queue for another one: everything wanted, in order, and how often it has been begun."""
        given = [(posted, self._deliveries.get(posted.seq, 0)) for posted in self.waiting()]
        self.drain()
        return given

    def adopt(self, posted: QueuedMessage, deliveries: int) -> None:
        """Add a message that another queue released, at its place by sequence number."""
        self._take_apart()
        self._queued += 1
        self._unsettled += 1
        if self._weighed:
            self._weigh(posted.seq, posted.size)
        if deliveries:
            self._deliveries[posted.seq] = deliveries
        if self._queue and self._queue[-1].seq > posted.seq:
            self._queue = deque(heapq.merge(self._queue, (posted,), key=_seq))
        else:
            self._queue.append(posted)

    def waiting(self) -> list[QueuedMessage]:
        """What is queued and wanted, in order."""
        if self.fresh:
            self._number()
        return [posted for posted in _apart(self._queue) if posted.seq not in self._unwanted]

    def deliveries(self, seq: int) -> int:
        """How often a message has been begun by lives that ended."""
        return self._deliveries.get(seq, 0)

    def _fate(self, delivery_tag: int, posted: QueuedMessage, progress: Progress | None) -> LostMessage:
        seq = posted.seq
        started = None if progress is None else delivery_tag <= progress.begun
        finished = None if progress is None else bool(started) and delivery_tag not in progress.active
        if started is not False:
            self._deliveries[seq] = self._deliveries.get(seq, 0) + 1
        deliveries = self._deliveries.get(seq, 0)
        idempotent = self._classes.idempotent[posted.handler]
        fate: Fate | None
        if seq in self._unwanted:
            fate = self._unwanted[seq]
        elif started is False:
            fate = None
        elif finished and posted.kind == ASK and idempotent and deliveries < self._max_deliveries:
            fate = None  # handling it again gives the asker its reply
        elif finished:
            fate = Fate.HANDLED if posted.kind == TELL else Fate.HANDLED_UNANSWERED
        elif posted.kind in (STREAM, FEED) or not idempotent:  # what has flowed cannot flow again
            fate = Fate.CRASHED
        else:
            fate = None if deliveries < self._max_deliveries else Fate.POISON
        return LostMessage(posted, fate, started, finished, deliveries)

    def _return(self, flight: InFlight, turns: set[int]) -> None:
        self._queue_again(sorted((flight.posted.pop(delivery_tag) for delivery_tag in turns), key=_seq))
        flight.count -= len(turns)
        flight.given -= len(turns)

    def _queue_again(self, posted: list[QueuedMessage]) -> None:
        """Put back at the head of the queue, by sequence number among those that came back before."""
        if not posted:
            return
        last = posted[-1].seq
        ahead = []
        while self._queue and self._queue[0].seq < last:  # a batch is never between what came back
            ahead.append(self._queue.popleft())
        merged = list(heapq.merge(posted, ahead, key=_seq))
        self._queue.extendleft(reversed(merged))
        self._queued += len(posted)

    def _number(self) -> None:
        """Give the fresh tells their numbers, as a batch at the end of the queue."""
        run = QueuedTells(self._numbers.take(len(self.fresh)), self.fresh.copy(), self._classes)
        self.fresh.clear()
        self._queue.append(run)
        self._queued += len(run.payloads)
        self._unsettled += len(run.payloads)

    def _take_apart(self) -> deque[QueuedMessage]:
        """Turn all batches in the queue into separate messages."""
        if self.fresh:
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


def _seq(posted: QueuedMessage | QueuedTells) -> int:
    return posted.seq


def _turn(held: tuple[int, QueuedMessage]) -> int:
    return held[0]


def _apart(items: Iterable[QueuedMessage | QueuedTells]) -> Iterator[QueuedMessage]:
    for item in items:
        if isinstance(item, QueuedTells):
            yield from item.posted()
        else:
            yield item
