"""Delivery: what waits, what is in flight, what is over; and after a death, the fate of each message.

Law: a message is in exactly one place: the queue, one life's flight, or over. Nothing is forgotten, nothing is begun
     twice that may not be.
May import: the words of `actors`.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import count
from typing import Final

import msgspec

from actors.blackbox import Progress
from actors.envelope import ASK, FEED, STREAM, Envelope

Posted = Envelope[msgspec.Raw]


class Fate(StrEnum):
    """What becomes of a message that was in flight when its life ended."""

    REQUEUED = "requeued"  # the next life gets it
    FINISHED = "finished"  # its handler had returned; only the answer was lost
    CRASHED = "crashed"  # it was being handled and may not be begun again
    POISON = "poison"  # it was being handled, once too often
    UNWANTED = "unwanted"  # nobody waits for it any more


class Loss(msgspec.Struct, frozen=True):
    """One message that was in flight when its life ended.

    Attributes:
        posted: the message.
        fate: what becomes of it.
        started: whether its handler had begun, None when that is not known.
        finished: whether its handler had returned, None when that is not known.
        deliveries: how often it has been begun.
    """

    posted: Posted
    fate: Fate
    started: bool | None
    finished: bool | None
    deliveries: int


_GAPS: Final = 64  # messages taken back that may lie in the queue before it is tidied


class Delivery:
    """The bookkeeping of one queue of a mailbox, and of the lives that take from it. A life is named by who lives it.

    A life must begin its messages in the order of their numbers: its black box and what it says it is through with
    rest on that. A message that a dead life had may come to a life that has later ones already; there it bears a higher
    number, its turn, for as long as that life has it. Otherwise the turn is the sequence number.

    Args:
        max_deliveries: how often an idempotent message may be begun.
        numbers: where sequence numbers come from, ascending from 1; queues between which messages move share one.
        weighed: whether bytes are counted.
    """

    def __init__(self, max_deliveries: int = 3, numbers: Iterator[int] | None = None, *, weighed: bool = False) -> None:
        self._weighed = weighed
        self._max_deliveries = max_deliveries
        self._numbers = count(1) if numbers is None else numbers
        self._queue: deque[Posted] = deque()
        self._flights: dict[str, dict[int, Posted]] = {}  # life to turn to message
        self._last_turn: dict[str, int] = {}
        self._deliveries: dict[int, int] = {}
        self._unwanted: set[int] = set()  # taken back, and still lying in the queue or in a flight
        self._sizes: dict[int, int] = {}  # of messages, when anybody asks for the sum
        self.unsettled = 0  # messages waiting or in flight that somebody wants
        self.bytes = 0  # how many bytes these have, if they are counted

    def offer(self, kind: int, sender: str | None, deadline: float | None, payload: bytes) -> int:
        """Put a message at the end of the queue; its sequence number."""
        seq = next(self._numbers)
        self._queue.append(Envelope(seq, kind, sender, deadline, msgspec.Raw(payload)))
        self.unsettled += 1
        if self._weighed:
            self._weigh(seq, len(payload))
        return seq

    @property
    def queued(self) -> int:
        """How many lie in the queue, unwanted ones included."""
        return len(self._queue)

    def in_flight(self, life: str) -> int:
        """How many messages a life has in its hands."""
        return len(self._flights.get(life, ()))

    def take(self, life: str, most: int, most_bytes: int, now: float = 0.0) -> tuple[list[Posted], list[Posted]]:
        """Move messages from the head of the queue into a life's hands: the first, and more within both bounds.

        Returns what is to be sent, with each message's turn in place of its sequence number; and what is over because
        its deadline has passed.
        """
        flight = self._flights.setdefault(life, {})
        last = self._last_turn.get(life, 0)
        taken: list[Posted] = []
        expired: list[Posted] = []
        queue, unwanted, size = self._queue, self._unwanted, 0
        while queue and len(taken) < most and size < most_bytes:
            posted = queue.popleft()
            if unwanted and posted.seq in unwanted:
                unwanted.discard(posted.seq)
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
            flight[last] = posted
            size += _size(posted)
        self._last_turn[life] = last
        return taken, expired

    def held(self, life: str, turn: int) -> Posted | None:
        """A message that a life has in its hands."""
        return self._flights.get(life, {}).get(turn)

    def flowing(self, life: str) -> bool:
        """Whether a life has a stream or a feed in its hands."""
        return any(posted.kind in (STREAM, FEED) for posted in self._flights.get(life, {}).values())

    def holder(self, seq: int) -> tuple[str, int] | None:
        """The life that has a message in its hands, and its turn there."""
        for life, flight in self._flights.items():
            turn = _turn_of(seq, flight)
            if turn is not None:
                return life, turn
        return None

    def finish(self, life: str, turn: int) -> Posted | None:
        """A life is done with one message; None when it had no such message."""
        flight = self._flights.get(life)
        posted = flight.pop(turn, None) if flight is not None else None
        if posted is not None:
            self._over(posted.seq)
        return posted

    def finish_through(self, life: str, through: int) -> list[int]:
        """A life is done with everything up to a turn; the sequence numbers of what that was."""
        flight = self._flights.get(life)
        if not flight:
            return []
        turns = []
        for turn in flight:
            if turn > through:
                break
            turns.append(turn)
        over = [flight.pop(turn).seq for turn in turns]
        for seq in over:
            self._over(seq)
        if not flight:
            flight.clear()  # so that the next walk does not step over the gaps of this one
        return over

    def take_back(self, seq: int) -> tuple[str, int] | None:
        """Nobody wants this message any more, which is not over yet: the life that has it and its turn, or None."""
        self._unwanted.add(seq)
        holder = self.holder(seq)
        if holder is not None:
            return holder
        self._over_unseen(seq)
        if len(self._unwanted) > _GAPS and len(self._unwanted) * 2 > len(self._queue):
            self._close_gaps()
        return None

    def lose(self, life: str, progress: Progress | None, idempotent: Callable[[Posted], bool]) -> tuple[Loss, ...]:
        """A life is over: the fate of everything it had in its hands. What may go to the next life is queued again.

        Args:
            life: which.
            progress: what its black box says; None when it cannot be read.
            idempotent: whether a message may be begun again.
        """
        flight = self._flights.pop(life, {})
        self._last_turn.pop(life, None)
        losses = tuple(self._fate(turn, posted, progress, idempotent) for turn, posted in flight.items())
        self._queue_again(sorted((loss.posted for loss in losses if loss.fate is Fate.REQUEUED), key=_seq))
        for loss in losses:
            if loss.fate is not Fate.REQUEUED:
                self._over(loss.posted.seq)
        return losses

    def drop_oldest(self) -> Posted | None:
        """Take the message that has waited longest out of the queue; None when all are in flight."""
        while self._queue:
            posted = self._queue.popleft()
            if posted.seq not in self._unwanted:
                self._over(posted.seq)
                return posted
            self._unwanted.discard(posted.seq)
        return None

    def drain(self) -> list[Posted]:
        """Empty the queue: everything in it that somebody wanted, in order."""
        left = [posted for posted in self._queue if posted.seq not in self._unwanted]
        self._unwanted.difference_update(posted.seq for posted in self._queue)
        self._queue.clear()
        for posted in left:
            self._over(posted.seq)
        return left

    def release(self) -> list[tuple[Posted, int]]:
        """Empty the queue into other hands: everything wanted, in order, and how often it has been begun."""
        given = [(posted, self._deliveries.get(posted.seq, 0)) for posted in self.waiting()]
        self.drain()
        return given

    def adopt(self, posted: Posted, deliveries: int) -> None:
        """Take over a message that another queue released; it finds its place by its sequence number."""
        self.unsettled += 1
        if self._weighed:
            self._weigh(posted.seq, _size(posted))
        if deliveries:
            self._deliveries[posted.seq] = deliveries
        if self._queue and self._queue[-1].seq > posted.seq:
            self._queue = deque(heapq.merge(self._queue, (posted,), key=_seq))
        else:
            self._queue.append(posted)

    def waiting(self) -> list[Posted]:
        """What lies in the queue and is wanted, in order."""
        return [posted for posted in self._queue if posted.seq not in self._unwanted]

    def deliveries(self, seq: int) -> int:
        """How often a message has been begun by lives that ended."""
        return self._deliveries.get(seq, 0)

    def _fate(self, turn: int, posted: Posted, progress: Progress | None, idempotent: Callable[[Posted], bool]) -> Loss:
        seq = posted.seq
        started = None if progress is None else turn <= progress.begun
        finished = None if progress is None else bool(started) and turn not in progress.active
        if started is not False:
            self._deliveries[seq] = self._deliveries.get(seq, 0) + 1
        deliveries = self._deliveries.get(seq, 0)
        if seq in self._unwanted:
            fate = Fate.UNWANTED
        elif started is False:
            fate = Fate.REQUEUED
        elif finished and not (posted.kind == ASK and idempotent(posted) and deliveries < self._max_deliveries):
            fate = Fate.FINISHED
        elif finished:
            fate = Fate.REQUEUED  # handling it again gives the asker its answer
        elif posted.kind in (STREAM, FEED) or not idempotent(posted):  # what has flowed cannot flow again
            fate = Fate.CRASHED
        else:
            fate = Fate.REQUEUED if deliveries < self._max_deliveries else Fate.POISON
        return Loss(posted, fate, started, finished, deliveries)

    def _queue_again(self, posted: list[Posted]) -> None:
        """Back to the head of the queue, by sequence number among those that came back before."""
        if not posted:
            return
        last = posted[-1].seq
        ahead = []
        while self._queue and self._queue[0].seq < last:
            ahead.append(self._queue.popleft())
        merged = list(heapq.merge(posted, ahead, key=_seq))
        self._queue.extendleft(reversed(merged))

    def _close_gaps(self) -> None:
        gone = {posted.seq for posted in self._queue if posted.seq in self._unwanted}
        self._queue = deque(posted for posted in self._queue if posted.seq not in gone)
        self._unwanted -= gone

    def _over_unseen(self, seq: int) -> None:
        self.unsettled -= 1
        self._deliveries.pop(seq, None)
        self.bytes -= self._sizes.pop(seq, 0)

    def _weigh(self, seq: int, size: int) -> None:
        self._sizes[seq] = size
        self.bytes += size

    def _over(self, seq: int) -> None:
        self.unsettled -= 1
        if self._unwanted:
            self._unwanted.discard(seq)
        if self._deliveries:
            self._deliveries.pop(seq, None)
        if self._sizes:
            self.bytes -= self._sizes.pop(seq, 0)


def _seq(posted: Posted) -> int:
    return posted.seq


def _size(posted: Posted) -> int:
    return memoryview(posted.message).nbytes


def _turn_of(seq: int, flight: dict[int, Posted]) -> int | None:
    """The turn under which a flight holds a message, None when it does not; nearly always that is its number."""
    posted = flight.get(seq)
    if posted is not None and posted.seq == seq:
        return seq
    return next((turn for turn, held in flight.items() if held.seq == seq), None)
