"""Health check: asks one life about once a second how its actor is, and notes what it says.

Only for classes that override `Actor.health`. A life that has not called it yet is busy, not unwell; one whose
`health` does not return is unwell.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from supervisor.ports.life import Life

if TYPE_CHECKING:
    from actors.child.messages.driver import Clock

PACE: Final = 1.0  # seconds between an answer and the next question
ANSWER: Final = 5.0  # seconds that `health` may take before its actor counts as unwell


class HealthCheck:
    """Asks one life until it has ended.

    Args:
        life: its process.
        loop: the daemon's.
        clock: the one whose time the life notes.
        changed: called when what it says has changed.

    Attributes:
        degraded: what it said last, or that it does not answer; None when it is well.
    """

    def __init__(
        self, life: Life, loop: asyncio.AbstractEventLoop, clock: Clock, changed: Callable[[str | None], None]
    ) -> None:
        self.degraded: str | None = None
        self._life = life
        self._loop = loop
        self._clock = clock
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None
        self._ask()

    def heard(self, degraded: str | None) -> None:
        """The life has answered."""
        self.close()
        self._timer = self._loop.call_later(PACE, self._ask)
        self._note(degraded)

    def close(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _ask(self) -> None:
        self._life.ask_health()
        self._timer = self._loop.call_later(ANSWER, self._look)

    def _look(self) -> None:
        """No answer yet: its process says whether `health` runs, and since when."""
        since = self._life.activity().health_since
        left = ANSWER - (self._clock.monotonic_ns() - since) / 1e9 if since else ANSWER
        if left <= 0:
            self._note(f"health() did not answer within {ANSWER:g} s")
        self._timer = self._loop.call_later(left if left > 0 else ANSWER, self._look)

    def _note(self, degraded: str | None) -> None:
        if degraded != self.degraded:
            self.degraded = degraded
            self._changed(degraded)
