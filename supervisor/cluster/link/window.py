"""Window: how many messages are sent to a life on another machine before it has answered those before. Pure.

What is there when a machine is lost has an unknown fate. So it is as much as the life handles in a short while, and a
few when it handles nothing: what is behind a long or hung handler stays in the mailbox, for the next life.
"""

from __future__ import annotations

from typing import Final

FEW: Final = 4  # messages
SPAN: Final = 0.02  # seconds over which is counted
SPANS: Final = 4  # of what is handled in that time are sent ahead
REST: Final = 0.1  # seconds without an answer after which it is a few again


class Window:
    """The window of one life."""

    def __init__(self) -> None:
        self._size = FEW
        self._since = 0.0
        self._count = 0
        self._last = 0.0

    def ended(self, count: int, now: float) -> None:
        """That many messages have ended."""
        if now - self._last > REST:
            self._since, self._count, self._size = now, 0, FEW
        self._last = now
        self._count += count
        if now - self._since >= SPAN:
            self._size = max(FEW, self._count * SPANS)
            self._since, self._count = now, 0

    def size(self, now: float) -> int:
        """How many may be in flight."""
        return FEW if now - self._last > REST else self._size
