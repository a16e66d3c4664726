"""OomWitness: whether the kernel has killed for lack of memory lately, by its own count.

It reads files and never waits. A count that cannot be read is None, not zero.

Runs on the loop's thread. The kernel keeps no record of its victims that a parent can read, only counters. One that
rose just before a SIGKILL of unknown origin is the best evidence there is.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

RECENT: Final = 1.0  # seconds; when several processes are killed together, each gets the whole number

_CGROUPS: Final = Path("/sys/fs/cgroup")
_MACHINE: Final = Path("/proc/vmstat")
_MAX_CHARACTERS: Final = 64 * 1024  # characters of any of these files


class OomWitness:
    """Remembers the count, so that an earlier kill is not taken for the cause of a death now.

    Attributes:
        source: the file it reads: of the daemon's own control group where there is one, else of the whole
            machine; None
            when there is none.
    """

    def __init__(self, sources: Iterator[Path] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        found = (path for path in sources or _sources() if _count(path) is not None)
        self.source = next(found, None)
        self._looks: deque[tuple[float, int]] = deque()
        self.look()

    def look(self) -> int | None:
        """How many processes were killed since the last look that is older than RECENT; None when not known."""
        count = None if self.source is None else _count(self.source)
        if count is None:
            return None
        now = self._clock()
        self._looks.append((now, count))
        while len(self._looks) > 2 and self._looks[1][0] <= now - RECENT:
            self._looks.popleft()
        return count - self._looks[0][1]


def _sources() -> Iterator[Path]:
    """Files that may hold the count, best first."""
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, place = line.split(":", 2)
        if not controllers:
            yield _CGROUPS / place.lstrip("/") / "memory.events"
        elif controllers == "memory":
            yield _CGROUPS / "memory" / place.lstrip("/") / "memory.oom_control"
    yield _CGROUPS / "memory.events"  # in a container the group's own name may not be visible
    yield _CGROUPS / "memory" / "memory.oom_control"
    yield _MACHINE


def _count(source: Path) -> int | None:
    for line in _read(source).splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.isdigit():
            return int(value)
    return None


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read(_MAX_CHARACTERS)
    except OSError:
        return ""
