"""Timers: deadlines of the asks of one mailbox, and delayed tells.

Deadlines share one timer of the loop: most asks end long before theirs, so adding a deadline is cheap, ending an ask
costs nothing, and entries of ended asks are removed together. Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Iterator
from heapq import heapify, heappop, heappush
from typing import Final

from supervisor.mailbox.validation import Admitted

_TIDY: Final = 64  # entries below which ended ones are not removed
_EARLY: Final = 0.0005  # seconds by which a loop's timer may be early


class Deadlines:
    """The deadlines of the waiting asks of one mailbox, by sequence number.

    Args:
        loop: its timers are used.
        waiting: the asks that still wait.
        late: called for each that still waits at its deadline.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, waiting: Container[int], late: Callable[[int], None]) -> None:
        self._loop = loop
        self._waiting = waiting
        self._late = late
        self._heap: list[tuple[float, int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tidy_at = _TIDY

    def add(self, deadline: float, seq: int) -> None:
        """An ask waits until `deadline` on time.monotonic()."""
        heap = self._heap
        heappush(heap, (deadline, seq))
        if heap[0][1] == seq:
            self._set_timer()
        elif len(heap) > self._tidy_at:
            self._tidy()

    def close(self) -> None:
        """Cancel the timer."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        wait = self._heap[0][0] - time.monotonic()
        self._timer = self._loop.call_later(max(0.0, wait), self._fire)

    def _fire(self) -> None:
        self._timer = None
        heap, now = self._heap, time.monotonic() + _EARLY
        while heap and (heap[0][0] <= now or heap[0][1] not in self._waiting):
            _, seq = heappop(heap)
            if seq in self._waiting:
                self._late(seq)
        if heap:
            self._set_timer()

    def _tidy(self) -> None:
        self._heap[:] = [entry for entry in self._heap if entry[1] in self._waiting]
        heapify(self._heap)
        self._tidy_at = max(_TIDY, 2 * len(self._heap))


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
