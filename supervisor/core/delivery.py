"""Delivery: what waits, what is in flight, what is over; and after a death, the fate of each message.

Law: a message is in exactly one place: the queue, one life's flight, or over. Nothing is forgotten, nothing is begun
     twice that may not be.
May import: the words of `actors`.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from actors.blackbox import Progress
from actors.envelope import ASK, Envelope

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
    """The bookkeeping of one mailbox, shared by the lives that serve it. A life is named by any number of one's own.

    Args:
        max_deliveries: how often an idempotent message may be begun.
    """

    def __init__(self, max_deliveries: int = 3) -> None:
        self._max_deliveries = max_deliveries
        self._queue: deque[Posted] = deque()
        self._flights: dict[int, dict[int, Posted]] = {}
        self._deliveries: dict[int, int] = {}
        self._unwanted: set[int] = set()  # taken back, and still lying in the queue or in a flight
        self._next = 1
        self.unsettled = 0  # messages waiting or in flight that somebody wants

    def offer(self, kind: int, sender: str | None, deadline: float | None, payload: bytes) -> int:
        """Put a message at the end of the queue; its sequence number."""
        seq = self._next
        self._next = seq + 1
        self._queue.append(Envelope(seq, kind, sender, deadline, msgspec.Raw(payload)))
        self.unsettled += 1
        return seq

    @property
    def queued(self) -> int:
        """How many lie in the queue, unwanted ones included."""
        return len(self._queue)

    def in_flight(self, life: int) -> int:
        """How many messages a life has in its hands."""
        return len(self._flights.get(life, ()))

    def flight(self, life: int, seq: int) -> Posted | None:
        """One message that a life has in its hands."""
        return self._flights.get(life, {}).get(seq)

    def take(self, life: int, most: int, most_bytes: int) -> list[Posted]:
        """Move messages from the head of the queue into a life's hands: the first, and more within both bounds."""
        flight = self._flights.setdefault(life, {})
        taken: list[Posted] = []
        queue, unwanted, size = self._queue, self._unwanted, 0
        while queue and len(taken) < most and size < most_bytes:
            posted = queue.popleft()
            if unwanted and posted.seq in unwanted:
                unwanted.discard(posted.seq)
                continue
            taken.append(posted)
            flight[posted.seq] = posted
            size += _size(posted)
        return taken

    def finish(self, life: int, seq: int) -> Posted | None:
        """A life is done with one message; None when it had no such message."""
        flight = self._flights.get(life)
        posted = flight.pop(seq, None) if flight is not None else None
        if posted is not None:
            self._over(seq)
        return posted

    def finish_through(self, life: int, through: int) -> int:
        """A life is done with everything up to a sequence number; how many that were."""
        flight = self._flights.get(life)
        if not flight:
            return 0
        over = []
        for seq in flight:
            if seq > through:
                break
            over.append(seq)
        for seq in over:
            del flight[seq]
            self._over(seq)
        if not flight:
            flight.clear()  # so that the next walk does not step over the gaps of this one
        return len(over)

    def take_back(self, seq: int) -> int | None:
        """Nobody wants this message any more, which is not over yet: the life that has it, None when none does."""
        for life, flight in self._flights.items():
            if seq in flight:
                self._unwanted.add(seq)
                return life
        self._unwanted.add(seq)
        self._over_unseen(seq)
        if len(self._unwanted) > _GAPS and len(self._unwanted) * 2 > len(self._queue):
            self._close_gaps()
        return None

    def lose(self, life: int, progress: Progress | None, idempotent: Callable[[Posted], bool]) -> tuple[Loss, ...]:
        """A life is over: the fate of everything it had in its hands. What may go to the next life is queued again.

        Args:
            life: which.
            progress: what its black box says; None when it cannot be read.
            idempotent: whether a message may be begun again.
        """
        losses = tuple(self._fate(posted, progress, idempotent) for posted in self._flights.pop(life, {}).values())
        self._queue_again([loss.posted for loss in losses if loss.fate is Fate.REQUEUED])
        for loss in losses:
            if loss.fate is not Fate.REQUEUED:
                self._over(loss.posted.seq)
        return losses

    def drain(self) -> list[Posted]:
        """Empty the queue: everything in it that somebody wanted, in order."""
        left = [posted for posted in self._queue if posted.seq not in self._unwanted]
        self._unwanted.difference_update(posted.seq for posted in self._queue)
        self._queue.clear()
        for posted in left:
            self._over(posted.seq)
        return left

    def waiting(self) -> list[Posted]:
        """What lies in the queue and is wanted, in order."""
        return [posted for posted in self._queue if posted.seq not in self._unwanted]

    def deliveries(self, seq: int) -> int:
        """How often a message has been begun by lives that ended."""
        return self._deliveries.get(seq, 0)

    def _fate(self, posted: Posted, progress: Progress | None, idempotent: Callable[[Posted], bool]) -> Loss:
        seq = posted.seq
        started = None if progress is None else seq <= progress.begun
        finished = None if progress is None else bool(started) and seq not in progress.active
        if started is not False and finished is not True:
            self._deliveries[seq] = self._deliveries.get(seq, 0) + 1
        deliveries = self._deliveries.get(seq, 0)
        if seq in self._unwanted:
            fate = Fate.UNWANTED
        elif started is False:
            fate = Fate.REQUEUED
        elif finished and not (posted.kind == ASK and idempotent(posted)):
            fate = Fate.FINISHED
        elif finished:
            fate = Fate.REQUEUED  # handling it again gives the asker its answer
        elif not idempotent(posted):
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

    def _over(self, seq: int) -> None:
        self.unsettled -= 1
        if self._unwanted:
            self._unwanted.discard(seq)
        if self._deliveries:
            self._deliveries.pop(seq, None)


def _seq(posted: Posted) -> int:
    return posted.seq


def _size(posted: Posted) -> int:
    return memoryview(posted.message).nbytes
