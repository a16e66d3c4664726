"""Timers: deadlines of the asks of one mailbox, how long jobs may run, and delayed tells.

Deadlines share one timer of the loop. An ask keeps its deadline itself, so a new ask costs nothing here unless its
deadline is the next one, and an ask that ends costs nothing at all. The times of jobs share one timer, too:

    timer ─▶ what does each process handle, and since when? (black box) ─▶ late

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Final

from actors.jobs.jobs import IMPORT_LIMIT
from supervisor.clock import clock_of
from supervisor.core.delivery.queue import MessageQueue
from supervisor.mailbox.askers import PendingAsk
from supervisor.mailbox.consumers import Consumers
from supervisor.mailbox.validation import Admitted
from supervisor.ports.life import Delivery

_EARLY: Final = 0.0005  # seconds by which a loop's timer may be early
_PAUSE: Final = 0.00001  # seconds between two looks, for each ask that waits: looking takes about one part in a hundred
_LOOK_AGAIN: Final = 0.1  # seconds; the end of an import brings the end of a job's time nearer

Late = Callable[[int], None]


class Deadlines:
    """The deadlines of the waiting asks of one mailbox.

    An ask ends late by at most `_PAUSE` for each ask that waits.

    Args:
        loop: its timers are used.
        clock: seconds, of the deadlines.
        waiting: what waits for the end of a message, by its number; only a `PendingAsk` has a deadline.
        late: called with the number of each that still waits at its deadline.

    Attributes:
        next: when the timer fires. An ask with an earlier deadline has to be announced.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        waiting: Mapping[int, tuple[object, MessageQueue]],
        late: Callable[[int], None],
    ) -> None:
        self.next = inf
        self._loop = loop
        self._clock = clock
        self._waiting = waiting
        self._late = late
        self._timer: asyncio.TimerHandle | None = None

    def announce(self, deadline: float) -> None:
        """An ask has a deadline before `next`."""
        self._set_timer(deadline)

    def close(self) -> None:
        """Cancel the timer."""
        self.next = inf
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self, when: float) -> None:
        self.next = when
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(max(0.0, when - self._clock()), self._look)

    def _look(self) -> None:
        """End the asks that are late; look again at the next deadline."""
        self.next, self._timer = inf, None
        now = self._clock()
        deadlines = [
            (asker.deadline, seq)
            for seq, (asker, _) in self._waiting.items()
            if isinstance(asker, PendingAsk) and asker.deadline is not None
        ]
        following = min((deadline for deadline, _ in deadlines if deadline > now + _EARLY), default=None)
        for deadline, seq in sorted(deadlines):
            if deadline <= now + _EARLY and seq in self._waiting:
                self._late(seq)
        if following is not None:
            self._set_timer(min(max(following, now + len(deadlines) * _PAUSE), self.next))


class JobTimes:
    """How long the jobs of one pool may run.

    A job that has not begun is not over its time, so only the processes are looked at, not what waits.

    Args:
        loop: its timers are used.
        consumers: of the pool.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, consumers: Consumers) -> None:
        self._loop = loop
        self._consumers = consumers
        self._limits: dict[int, tuple[float, Late]] = {}  # by number of the message
        self._least = inf  # of the times since there were none
        self._timer: asyncio.TimerHandle | None = None
        self._when = inf  # on the loop's clock; uvloop's handle of a timer that is due at once does not say it

    def watch(self, seqs: Iterable[int], timeout: float, late: Late) -> None:
        """Call `late` with the number of each of these messages that is handled for longer, until `forget`."""
        self._limits.update(dict.fromkeys(seqs, (timeout, late)))
        self._least = min(self._least, timeout)
        if self._timer is None or self._when > self._loop.time() + timeout:
            self._look_in(timeout)

    def forget(self, seqs: Iterable[int]) -> None:
        """These messages have ended, or are no longer wanted."""
        for seq in seqs:
            self._limits.pop(seq, None)
        if not self._limits and self._timer is not None:
            self._timer.cancel()
            self._timer, self._least = None, inf

    def _look_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._when = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        now = clock_of(self._loop).monotonic_ns()
        nearest = self._least  # what begins after this look has that long
        over: list[tuple[int, Late]] = []
        for seq, delivery_tag, life in self._begun():
            timeout, late = self._limits[seq]
            left = _time_left(life, delivery_tag, timeout, now)
            if left > 0:
                nearest = min(nearest, left)
            else:
                over.append((seq, late))
        self._look_in(nearest)  # first: whatever becomes of one job, the others keep their times
        for seq, late in over:
            if seq in self._limits:  # the end of one may be the end of another
                self.forget([seq])
                late(seq)

    def _begun(self) -> Iterator[tuple[int, int, Delivery]]:
        """Number and delivery tag of each job that runs, and the life that runs it."""
        consumers = self._consumers
        for name, life in (consumers.leaving | consumers.served).items():
            flight = consumers.queue_of(name).flights.of(name)
            for delivery_tag in life.progress().active:
                seq = flight.number_of(delivery_tag)
                if seq in self._limits:
                    yield seq, delivery_tag, life


def _time_left(life: Delivery, delivery_tag: int, timeout: float, now: int) -> float:
    """Seconds from `now` until the time of a job that runs may be over.

    Its process notes when the time is over, once its module is imported; until then it notes a later one.
    """
    work = life.activity().work
    if delivery_tag not in life.progress().active or not work:
        return timeout  # it has ended meanwhile
    since, until = work[0].since, work[0].until
    over = since + int(timeout * 1e9)
    if until:
        over = min(until, over + int(IMPORT_LIMIT * 1e9))  # the process cannot put it off without end
    left = (over - now) / 1e9
    return min(left, _LOOK_AGAIN) if until else left


class DelayedTells:
    """Delayed tells, each with a timer of the loop.

    Args:
        loop: whose timers.
        due: called with a message and its sender when it is due.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, due: Callable[[Admitted, str | None], None]) -> None:
        self._loop = loop
        self._due = due
        self._waiting: dict[int, tuple[asyncio.TimerHandle, Admitted, str | None]] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, delay: float, message: Admitted, sender: str | None) -> None:
        """Call `due` in `delay` seconds."""
        number = self._next = self._next + 1
        self._waiting[number] = self._loop.call_later(delay, self._fire, number), message, sender

    def drain(self) -> Iterator[tuple[Admitted, str | None]]:
        """Cancel all timers; the messages and their senders, the latest first."""
        while self._waiting:
            _, (timer, message, sender) = self._waiting.popitem()
            timer.cancel()
            yield message, sender

    def _fire(self, number: int) -> None:
        _, message, sender = self._waiting.pop(number)
        self._due(message, sender)
