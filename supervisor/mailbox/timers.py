"""Timers: deadlines of the asks of one mailbox, and delayed tells.

Deadlines share one timer of the loop. An ask keeps its deadline itself, so a new ask costs nothing here unless its
deadline is the next one, and an ask that ends costs nothing at all. Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from math import inf
from typing import Final

from supervisor.core.delivery.queue import MessageQueue
from supervisor.mailbox.askers import PendingAsk
from supervisor.mailbox.validation import Admitted

_EARLY: Final = 0.0005  # seconds by which a loop's timer may be early
_PAUSE: Final = 0.00001  # seconds between two looks, for each ask that waits: looking takes about one part in a hundred


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
