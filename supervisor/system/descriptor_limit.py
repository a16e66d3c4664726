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
    limit = _soft(resource.getrlimit(resource.RLIMIT_NOFILE))
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
    return _share_of(_soft(resource.getrlimit(resource.RLIMIT_NOFILE)), 16)


def ahead_of(limit: int | tuple[int, int] | None) -> int:
    """How many shared values of messages in flight an actor's process may have: a quarter of its descriptors.

    A value that is open as an array takes another one on Pythons before 3.13, and half is left to the actor's own code.

    Args:
        limit: of the process, as its spec says; None where it is the daemon's.
    """
    return _share_of(_soft(resource.getrlimit(resource.RLIMIT_NOFILE) if limit is None else limit), 1)


def _soft(limit: int | tuple[int, int]) -> int:
    return limit if isinstance(limit, int) else limit[0]


def _share_of(soft: int, least: int) -> int:
    return 2**30 if soft == resource.RLIM_INFINITY else max(least, soft // 4)
