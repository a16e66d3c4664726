"""Never falling: a sum of which a part may be lost, as a counter.

The CPU time of a process that died before its life began on it is in no report. What the sum falls by is added from
then on, since a scraper takes a counter that falls for one that began anew.

Callable from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Collection


class NeverFalling:
    """Sums by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}
        self._added: dict[str, float] = {}

    def of(self, name: str, value: float) -> float:
        """What to show for a value that was read now."""
        with self._lock:
            lost = max(0.0, self._seen.get(name, value) - value)
            self._seen[name] = value
            added = self._added[name] = self._added.get(name, 0.0) + lost
            return value + added

    def keep(self, names: Collection[str]) -> None:
        """Forget all others."""
        with self._lock:
            for name in self._seen.keys() - set(names):
                del self._seen[name], self._added[name]
