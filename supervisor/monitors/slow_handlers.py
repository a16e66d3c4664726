"""Slow handlers: reports each handler of a life that takes longer than `soft_timeout`, with the stacks; ends nothing.

A handler is reported once it has taken so long, then at twice that time, four times, ... An idle life is looked at once
in `soft_timeout`, and is never woken.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from actors.wire.progress import Work
from supervisor.monitors.examination import Examination
from supervisor.ports.life import Life

if TYPE_CHECKING:
    from actors.child.messages.driver import Clock

Report = Callable[[Work, float, str | None], None]
"""Takes a handler call, the seconds it has taken, and the stacks of its process."""


class SlowHandlers:
    """Watches one life, from when it is ready until it has ended.

    Args:
        limit: seconds, `soft_timeout` of the spec.
        life: its process.
        loop: the daemon's.
        clock: of the life.
        report: called for each slow handler.
    """

    def __init__(self, limit: float, life: Life, loop: asyncio.AbstractEventLoop, clock: Clock, report: Report) -> None:
        self._limit = int(limit * 1e9)
        self._life = life
        self._loop = loop
        self._clock = clock
        self._report = report
        self._next: dict[tuple[int, int], int] = {}  # ns after which a call is reported next, by lane and beginning
        self._examination: Examination | None = None
        self._timer = loop.call_later(limit, self._step, self._look)

    def close(self) -> None:
        """Stop looking."""
        self._timer.cancel()
        if self._examination is not None:
            self._examination.close()

    def _look(self) -> None:
        if self._life.said_farewell:  # a handler that left by sys.exit looks as if it continued
            return
        now, calls = self._clock.monotonic_ns(), self._life.activity().work
        self._next = {key: self._next.get(key, self._limit) for key in map(_key, calls)}
        if any(self._due(call) <= now for call in calls):
            self._examination = Examination(self._life, self._loop, heartbeat=True, then=self._examined)
        else:
            self._later(now)

    def _examined(self) -> None:
        """The stacks are there, if they came in time."""
        if self._life.said_farewell:
            return
        stacks = None if self._examination is None else self._examination.stacks
        now = self._clock.monotonic_ns()
        for call in self._life.activity().work:
            if _key(call) in self._next and self._due(call) <= now:
                while self._due(call) <= now:
                    self._next[_key(call)] *= 2
                self._step(partial(self._report, call, (now - call.since) / 1e9, stacks))
        self._later(now)

    def _due(self, call: Work) -> int:
        """When a call is reported: after its time, and not before the end of an extension that it asked for."""
        return max(call.since + self._next[_key(call)], call.until)

    def _later(self, now: int) -> None:
        ends = [self._due(call) for call in self._life.activity().work if _key(call) in self._next]
        wait = max(0, min([*ends, now + self._limit]) - now) / 1e9
        self._timer = self._loop.call_later(wait, self._step, self._look)

    def _step(self, what: Callable[[], None]) -> None:
        """A look that fails does not end the watch."""
        try:
            what()
        except Exception as error:
            self._loop.call_exception_handler({"message": f"error in {self!r}; it continues", "exception": error})
            self._later(self._clock.monotonic_ns())


def _key(call: Work) -> tuple[int, int]:
    return call.lane, call.since
