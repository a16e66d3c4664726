"""Patience: how long one of the daemon's own helper processes may take, in time that it could use. Pure.

Time does not count in which the helper wanted a processor and got none, or in which the daemon itself was late: a
loaded or suspended machine is no fault of the helper. It is over at two looks in a row, so that the helper had a chance
to run in between.
"""

from __future__ import annotations

from typing import Final

from supervisor.core.health.condition import Condition

AGAIN: Final = 0.2  # seconds to the next look when it would be over
MOST: Final = 15  # times the patience: the longest wait for a helper that wants a processor and gets none
_WANTS: Final = ("R", "D")  # it wants a processor, or waits for a disk
_HELD: Final = "t"  # by a debugger


class Patience:
    """Waits for one helper process.

    Args:
        seconds: that it may take.
        now: seconds, of a clock that does not go back.
        condition: of its process.
    """

    def __init__(self, seconds: float, now: float, condition: Condition) -> None:
        self._left = seconds
        self._ends = now + seconds * MOST
        self._last = now
        self._due = now + seconds
        self._starved = condition.starved
        self._warned = False

    def look(self, now: float, condition: Condition) -> float:
        """Seconds until the next look is due; 0.0 when the helper has taken too long."""
        late = max(0.0, now - self._due)
        starved = max(0, condition.starved - self._starved) / 1e9
        self._left -= max(0.0, now - self._last - late - starved)
        self._last, self._starved = now, condition.starved
        return self._next(now, condition)

    def _next(self, now: float, condition: Condition) -> float:
        over = self._left <= 0
        excused = condition.state == _HELD or (condition.state in _WANTS and now < self._ends)
        if over and self._warned and not excused:
            return 0.0
        self._warned = over and not excused
        wait = AGAIN if over else max(AGAIN, self._left)
        self._due = now + wait
        return wait
