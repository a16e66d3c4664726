"""LoopStall: by how much a timer of the event loop is late, a few times a second.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from typing import Final

from supervisor.telemetry.histogram import Histogram

EVERY: Final = 0.1  # seconds between two looks


class LoopStall:
    """Looks at one loop as long as that runs, or until `close`.

    Attributes:
        late: seconds by which a look was late.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.late = Histogram()
        self._loop = loop
        self._look_again()

    def close(self) -> None:
        """Stop looking."""
        self._timer.cancel()

    def _look(self) -> None:
        self.late.add(max(0.0, self._loop.time() - self._due))
        self._look_again()

    def _look_again(self) -> None:
        self._due = self._loop.time() + EVERY
        self._timer = self._loop.call_at(self._due, self._look)
