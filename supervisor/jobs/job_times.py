"""JobTimes: finds the jobs of one `run` or `map` that run longer than they may. One timer, whatever their number.

    timer ─▶ what does each process handle, and since when? (black box) ─▶ late

A job that has not begun is not over its time, so only the processes are looked at, not what waits.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import Final

from actors.jobs.jobs import IMPORT_LIMIT
from supervisor.clock import clock_of
from supervisor.mailbox.mailbox import Mailbox
from supervisor.ports.life import Delivery

_LOOK_AGAIN: Final = 0.1  # seconds; the end of an import brings the end of a job's time nearer


class JobTimes:
    """The time of the jobs of one call.

    Args:
        mailbox: of the pool.
        timeout: seconds each may run, None for no limit.
        under_way: the numbers of their messages.
        late: called with the number of one that has run longer.
    """

    def __init__(
        self, mailbox: Mailbox, timeout: float | None, under_way: Collection[int], late: Callable[[int], None]
    ) -> None:
        self._mailbox = mailbox
        self._timeout = timeout
        self._under_way = under_way
        self._late = late
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Jobs are under way: look at them as long as they are, or until `forget`."""
        if self._timer is None and self._timeout is not None:
            self._timer = asyncio.get_running_loop().call_later(self._timeout, self._look, self._timeout)

    def forget(self) -> None:
        """None is under way any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, timeout: float) -> None:
        self._timer = None
        now = clock_of(asyncio.get_running_loop()).monotonic_ns()
        nearest = timeout  # what begins after this look has that long
        for seq, delivery_tag, life in list(self._begun()):
            left = _time_left(life, delivery_tag, timeout, now)
            if left > 0:
                nearest = min(nearest, left)
            else:
                self._late(seq)
        if self._under_way:
            self._timer = asyncio.get_running_loop().call_later(nearest, self._look, timeout)

    def _begun(self) -> Iterator[tuple[int, int, Delivery]]:
        """Number and delivery tag of each job that runs, and the life that runs it."""
        consumers = self._mailbox.consumers
        for name, life in consumers.served.items():
            flight = consumers.queue_of(name).flights.of(name)
            for delivery_tag in life.progress().active:
                seq = flight.number_of(delivery_tag)
                if seq is not None and seq in self._under_way:
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
