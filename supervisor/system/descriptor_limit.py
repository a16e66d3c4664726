"""Descriptor limit: whether the daemon may open as many descriptors as a tree takes.

Nothing is refused and no limit is changed: the daemon is warned once, before its tree starts.
"""

from __future__ import annotations

import os
import resource
from typing import Final

PER_PROCESS: Final = 9  # in the daemon, of each process, while it starts; one less once it is ready
PER_TREE: Final = 16  # its orphan reaper, its threads, and what one start needs briefly


def shortage(processes: int) -> tuple[int, int] | None:
    """How many descriptors a tree of this many processes takes with those open now, and the limit, if that is too low.

    None when it is high enough.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = needed_for(processes) + _open_now()
    return None if limit == resource.RLIM_INFINITY or needed <= limit else (needed, limit)


def needed_for(processes: int) -> int:
    """How many descriptors a tree of this many processes takes in the daemon."""
    return PER_TREE + PER_PROCESS * processes


def _open_now() -> int:
    """How many descriptors the daemon has open; 0 where the system does not tell."""
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return 0


def max_shared_values() -> int:
    """How many shared values the messages of a tree may hold: a quarter of the descriptors of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**30 if soft == resource.RLIM_INFINITY else max(16, soft // 4)
