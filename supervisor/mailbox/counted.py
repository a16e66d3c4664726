"""Counted: what the lives of one actor, or of one pool, have counted with `context.count`.

A life's counters are in its black box while it lives, and say nothing after its end. Then its sums are added to those
of the lives before.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections import Counter
from weakref import WeakSet

from actors.wire.counts import Counts, Series
from supervisor.ports.life import Doing


class Counted:
    """The sums of one mailbox's lives."""

    def __init__(self) -> None:
        self._lives: WeakSet[Doing] = WeakSet()
        self._over: Counter[Series] = Counter()

    def begin(self, life: Doing) -> None:
        """A life begins to count."""
        self._lives.add(life)

    def end(self, counts: Counts) -> None:
        """A life has ended, with these sums."""
        self._over.update(counts)

    def totals(self) -> Counts:
        """The sum of each series until now."""
        found: Counter[Series] = Counter(self._over)
        for life in self._lives:
            found.update(life.counts())
        return dict(found)
