"""Pipe budget: how large pipes are made, so that many actors leave room for other programs of the same user.

What a limit forbids is skipped and is no error: a smaller pipe carries the same bytes in more system calls.

Linux counts the memory of all pipes of an unprivileged user. From `fs.pipe-user-pages-soft` on (16384 pages), each
new pipe of that user, in any program, holds 8 KiB and cannot grow. Shrinking a pipe is always allowed.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import threading
from typing import Final

from supervisor.system.procfs import text_of

CAPACITY: Final = 256 * 1024  # bytes that a pipe of a channel may hold
SHARE: Final = 4  # this process enlarges pipes up to one part in this many of a user's limit
_LIMIT: Final = "/proc/sys/fs/pipe-user-pages-soft"


class PipeBudget:
    """Bytes by which this process has enlarged pipes. May be used from any thread.

    Args:
        most: bytes, None without a bound.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Reserve `size` bytes until `give_back`; returns whether the budget allows it."""
        with self._lock:
            if self._most is not None and self._taken + size > self._most:
                return False
            self._taken += size
            return True

    def give_back(self, size: int) -> None:
        """Return the bytes of closed pipes."""
        with self._lock:
            self._taken -= size


def user_limit(path: str | os.PathLike[str] = _LIMIT) -> int | None:
    """How many bytes of pipes a user may have before the kernel makes them smaller; None without a limit."""
    try:
        pages = int(text_of(path))
    except ValueError:
        return None
    return pages * mmap.PAGESIZE or None


def fit(fd: int, size: int) -> bool:
    """Resize a pipe to `size` bytes, rounded up; unchanged where a limit forbids it or the system has no such call.

    Returns whether it certainly holds as much.
    """
    with contextlib.suppress(OSError, AttributeError):
        return fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, max(size, mmap.PAGESIZE)) >= size
    return False


def widen(*ends: int) -> int:
    """Let pipes hold CAPACITY bytes each if the budget has room; returns what to give back to it, 0 if it had none."""
    size = len(ends) * CAPACITY
    if not BUDGET.take(size):
        return 0
    for fd in ends:
        fit(fd, CAPACITY)
    return size


def _budget() -> PipeBudget:
    limit = user_limit()
    return PipeBudget(None if limit is None else limit // SHARE)


BUDGET: Final = _budget()
