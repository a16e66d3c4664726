"""Recycler: sees when a life has reached a limit of its spec, and asks for the next life in its place.

Only what has limits costs anything. It asks and never insists: whoever is asked may put it off, and is asked
again.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from supervisor.core.health.lifetime_limits import Limits, Used, reached, with_jitter
from supervisor.messaging.shared import TreeContext
from supervisor.specs import ChildSpec
from supervisor.system.procfs import resident_bytes

PACE: Final = 1.0  # seconds between two looks at memory, and until an ask that was put off is repeated


class Recycled(Protocol):
    """Whose life it is."""

    @property
    def handled(self) -> int:
        """How many messages the life is through with."""

    @property
    def pid(self) -> int | None:
        """Of its process."""

    def make_room(self, because: str) -> bool:
        """Let the next life follow; False to be asked again."""


def recycler_of(spec: ChildSpec, child: Recycled, tree: TreeContext) -> Recycler | None:
    """The recycler of a life that has just become ready; None when its spec sets no limit."""
    age = with_jitter(spec.max_age, spec.max_age_jitter, tree.dice.random())
    limits = Limits(messages=spec.max_messages, age=age, rss=spec.max_rss)
    return None if limits == Limits() else Recycler(limits, child, tree.loop)


class Recycler:
    """Looks at one life until it is over."""

    def __init__(self, limits: Limits, child: Recycled, loop: asyncio.AbstractEventLoop) -> None:
        self._limits = limits
        self._child = child
        self._loop = loop
        self._ready_at = loop.time()
        self._rss = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wait(put_off=False)

    def heard(self) -> None:
        """The life is through with some messages."""
        if self._limits.messages is not None:
            self._consider()

    def close(self) -> None:
        """The life is over, or about to be."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self._limits.rss is not None and self._child.pid is not None:
            self._rss = resident_bytes(self._child.pid) or 0
        self._wait(put_off=self._consider())

    def _consider(self) -> bool:
        """Ask for the next life if a limit has been reached; whether that was put off."""
        because = reached(self._limits, Used(messages=self._child.handled, age=self._age(), rss=self._rss))
        return bool(because) and not self._child.make_room(because)

    def _wait(self, *, put_off: bool) -> None:
        if put_off or self._limits.rss is not None:
            self._timer = self._loop.call_later(PACE, self._look)
        elif self._limits.age is not None:
            self._timer = self._loop.call_later(max(0.0, self._limits.age - self._age()), self._look)

    def _age(self) -> float:
        return self._loop.time() - self._ready_at
