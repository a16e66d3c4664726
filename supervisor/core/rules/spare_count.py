"""Spare count: how many spares a tree keeps. Pure.

`spares="auto"` keeps as many as were needed at once lately: the most restarts within the time in which one spare is
made. It keeps at least one, and no more than its share of the memory holds.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, Protocol

SpareCount = int | Literal["auto"]

KEEP: Final = 300.0  # seconds for which restarts are remembered
AT_ONCE: Final = 1.0  # seconds: restarts within it need a spare each, also where one is made faster
SHARE: Final = 16  # spares take at most one part in this many of the memory
MOST: Final = 32  # spares, however much memory there is
_FIRST: Final = 32 * 1024 * 1024  # bytes that a spare is taken to need until one was measured


class SpareSize(Protocol):
    """How many spares are kept; times are in seconds, of a clock that does not go back."""

    def used(self, now: float) -> None:
        """A restart has used a spare, or would have."""

    def made(self, seconds: float, size: int | None) -> None:
        """A spare is ready: how long that took, and its memory in bytes, None where that is not known."""

    def wanted(self, now: float) -> int:
        """How many to keep now."""


class Fixed:
    """A number that was given."""

    def __init__(self, count: int) -> None:
        self._count = count

    def used(self, now: float) -> None:
        """It changes nothing."""

    def made(self, seconds: float, size: int | None) -> None:
        """It changes nothing."""

    def wanted(self, now: float) -> int:
        """The number."""
        del now
        return self._count


class Demand:
    """As many as are needed at once.

    Args:
        memory: bytes that this machine or control group has; None where that is not known.
    """

    def __init__(self, memory: int | None) -> None:
        self._room = None if memory is None else memory // SHARE
        self._uses: deque[float] = deque()
        self._takes = AT_ONCE
        self._size = _FIRST

    def used(self, now: float) -> None:
        """A restart has used a spare, or would have."""
        self._uses.append(now)

    def made(self, seconds: float, size: int | None) -> None:
        """A spare is ready."""
        self._takes = max(AT_ONCE, seconds)
        self._size = size or self._size

    def wanted(self, now: float) -> int:
        """The most restarts within the time in which one is made, since the last `KEEP` seconds, within the bounds."""
        while self._uses and self._uses[0] <= now - KEEP:
            self._uses.popleft()
        uses = list(self._uses)
        most = begin = 0
        for end, at in enumerate(uses):
            while uses[begin] <= at - self._takes:
                begin += 1
            most = max(most, end - begin + 1)
        bound = MOST if self._room is None else min(MOST, self._room // max(1, self._size))
        return max(1, min(most, bound))


def spare_size(count: SpareCount, memory: int | None) -> SpareSize:
    """What decides how many spares are kept."""
    return Demand(memory) if count == "auto" else Fixed(count)
