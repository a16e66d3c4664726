"""Descriptors: whether the daemon may open as many as a tree takes.

Nothing is refused for it and no limit is changed: a daemon is warned, once, before its tree starts.
"""

from __future__ import annotations

import os
import resource
from typing import Final

PER_PROCESS: Final = 9  # in the daemon, of each process, while it starts; one less once it is ready
PER_TREE: Final = 16  # its guardian, its threads, and what one start needs for a moment


def shortage(processes: int) -> tuple[int, int] | None:
    """What a tree of so many processes takes with what is open now, and the limit, if that is too low; else None."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = needed_for(processes) + _open_now()
    return None if limit == resource.RLIM_INFINITY or needed <= limit else (needed, limit)


def needed_for(processes: int) -> int:
    """How many descriptors a tree of so many processes takes in the daemon."""
    return PER_TREE + PER_PROCESS * processes


def _open_now() -> int:
    """How many the daemon has; 0 where the system does not say."""
    try:
        return len(os.listdir("/dev/fd"))  # noqa: PTH208 - names alone are counted
    except OSError:
        return 0
