"""Health check: asks one life about once a second how its actor is, and notes what it says.

Only for classes that override `Actor.health`. A life that does not answer is busy, not unwell.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from supervisor.ports import Control

PACE: Final = 1.0  # seconds between an answer and the next question


class HealthCheck:
    """Asks one life until it has ended.

    Args:
        life: its process.
        loop: the daemon's.
        changed: called when what it says has changed.

    Attributes:
        degraded: what it said last, None when it is well.
    """

    def __init__(self, life: Control, loop: asyncio.AbstractEventLoop, changed: Callable[[str | None], None]) -> None:
        self.degraded: str | None = None
        self._life = life
        self._loop = loop
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None
        self._life.ask_health()

    def heard(self, degraded: str | None) -> None:
        """The life has answered."""
        self.close()
        self._timer = self._loop.call_later(PACE, self._life.ask_health)
        if degraded != self.degraded:
            self.degraded = degraded
            self._changed(degraded)

    def close(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
