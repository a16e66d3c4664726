"""Recycler: notices when a life has reached a limit of its spec, and asks for the next life.

Only specs with limits have one. A request may be put off; then it is repeated.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from supervisor.core.health.lifetime_limits import Limits, Used, reached, with_jitter
from supervisor.messaging.tree_context import TreeContext
from supervisor.specs import ChildSpec

PACE: Final = 1.0  # seconds between two looks at memory, and until a request that was put off is repeated


class Recycled(Protocol):
    """The life it looks at."""

    @property
    def handled(self) -> int:
        """How many of its messages have ended."""

    def resident_bytes(self) -> int | None:
        """The resident memory of its process."""

    def make_room(self, because: str) -> None:
        """Start the next life, now or when asked again."""


def recycler_of(spec: ChildSpec, child: Recycled, tree: TreeContext) -> Recycler | None:
    """The recycler of a life that has just become ready; None when its spec sets no limit."""
    age = with_jitter(spec.max_age, spec.max_age_jitter, tree.dice.random())
    limits = Limits(messages=spec.max_messages, age=age, rss=spec.max_rss)
    return None if limits == Limits() else Recycler(limits, child, tree.loop)


class Recycler:
    """Looks at one life until it has ended."""

    def __init__(self, limits: Limits, child: Recycled, loop: asyncio.AbstractEventLoop) -> None:
        self._limits = limits
        self._child = child
        self._loop = loop
        self._ready_at = loop.time()
        self._rss = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wait()

    def heard(self) -> None:
        """Some messages of the life have ended."""
        if self._limits.messages is not None:
            self._consider()

    def close(self) -> None:
        """The life has ended, or is about to."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._wait()  # first: a look that fails, which the loop reports, is not the last one
        if self._limits.rss is not None:
            self._rss = self._child.resident_bytes() or 0
        self._consider()

    def _consider(self) -> None:
        """Ask for the next life if a limit has been reached."""
        because = reached(self._limits, Used(messages=self._child.handled, age=self._age(), rss=self._rss))
        if because:
            self._child.make_room(because)

    def _wait(self) -> None:
        """Schedule the next look.

        For memory always, for an age when it comes, and again if a request is put off or fails.
        """
        left = None if self._limits.age is None else self._limits.age - self._age()
        if self._limits.rss is not None or (left is not None and left <= 0):
            self._timer = self._loop.call_later(PACE, self._look)
        elif left is not None:
            self._timer = self._loop.call_later(left, self._look)

    def _age(self) -> float:
        return self._loop.time() - self._ready_at
