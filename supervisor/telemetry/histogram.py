"""Histogram: how many values lie below each of its bounds, and their sum.

Values are collected and sorted in bulk, since one at a time would cost as much as sending a message.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

SECONDS: Final = (  # bounds for times, from 50 µs to a minute
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
MANY: Final = 1024  # values that are sorted together
_FEW: Final = 8  # values that are not worth a progression


class Histogram:
    """A histogram of seconds.

    Attributes:
        total: the sum of all values; see `buckets`.
        singles: values that are not counted yet. Whoever has no time for `add` appends there, and folds when they are
            `MANY`.
    """

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.total = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)  # values up to each bound, and above the last; not cumulated
        self._values: dict[int, list[float]] = {1: []}  # those that are not counted yet, by how many each stands for
        self.singles = self._values[1]

    def add(self, value: float) -> None:
        """Add one value."""
        self.singles.append(value)
        if len(self.singles) >= MANY:
            self.fold()

    def add_all(self, values: list[float], each: int = 1) -> None:
        """Add some values, each of them so many times."""
        kept = self._values.get(each) or self._values.setdefault(each, [])
        kept += values
        if len(kept) >= MANY:
            self.fold()

    def add_progression(self, first: float, step: float, count: int) -> None:
        """Add so many values that differ by the same step; values below 0 count as 0."""
        if count <= _FEW or step == 0:
            for index in range(count):
                self.add(max(0.0, first + step * index))
            return
        last = first + step * (count - 1)
        low, high = min(first, last), max(first, last)
        gap, below, added = abs(step), 0, 0.0
        negative = min(count, max(0, int(-low / gap) + 1)) if low < 0 else 0
        if negative < count:
            added = (low + gap * negative + high) * (count - negative) / 2
        for at, bound in enumerate(self._bounds):
            upto = count if bound >= high else max(negative, int((bound - low) / gap) + 1 if bound >= low else 0)
            self._counts[at] += upto - below
            below = upto
        self._counts[-1] += count - below
        self.total += added

    def buckets(self) -> list[tuple[str, int]]:
        """The cumulated counts by upper bound, as Prometheus has them."""
        self.fold()
        found, below = [], 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            below += count
            found.append((bound, below))
        return found

    def fold(self) -> None:
        """Count all values; `buckets` does it, too."""
        for each, values in self._values.items():
            values.sort()
            self.total += sum(values) * each
            below = 0
            for at, bound in enumerate(self._bounds):
                upto = bisect_right(values, bound, below)
                self._counts[at] += (upto - below) * each
                below = upto
            self._counts[-1] += (len(values) - below) * each
            values.clear()
