"""Wait graph: which actor waits for which, and whether one more wait would close a cycle. Pure.

Only waits that block the whole actor are kept here; an actor that handles other messages meanwhile blocks no other.
"""

from __future__ import annotations

from collections import Counter


class WaitGraph:
    """The waits of one tree, by path."""

    def __init__(self) -> None:
        self._waits: dict[str, Counter[str]] = {}

    def cycle(self, waiter: str, target: str) -> tuple[str, ...] | None:
        """The cycle that a wait would close, beginning and ending with the waiter; None when it closes none."""
        if waiter == target:
            return waiter, target
        paths: list[tuple[str, ...]] = [(waiter, target)]
        seen = {target}
        while paths:
            path = paths.pop()
            for following in self._waits.get(path[-1], ()):
                if following == waiter:
                    return (*path, waiter)
                if following not in seen:
                    seen.add(following)
                    paths.append((*path, following))
        return None

    def waited_for(self, waiter: str) -> tuple[str, ...]:
        """Those for which an actor waits."""
        return tuple(self._waits.get(waiter, ()))

    def begin(self, waiter: str, target: str) -> None:
        """One actor waits for the other from now on."""
        self._waits.setdefault(waiter, Counter())[target] += 1

    def end(self, waiter: str, target: str) -> None:
        """One of these waits is over."""
        counts = self._waits.get(waiter)
        if counts is None:
            return
        counts[target] -= 1
        if counts[target] <= 0:
            del counts[target]
        if not counts:
            del self._waits[waiter]
