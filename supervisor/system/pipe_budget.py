"""Pipes: how large the kernel makes them, so that many actors leave room for the other programs of their user.

What a limit forbids is not done, and is no error: a smaller pipe carries the same, in more turns.

Linux counts the memory of all pipes of a user without privileges. From `fs.pipe-user-pages-soft` on (16384 pages), each
new pipe of that user, in any program, holds 8 KiB and cannot grow. Shrinking one is always allowed.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import threading
from pathlib import Path
from typing import Final

CAPACITY: Final = 256 * 1024  # bytes that a pipe of a channel may hold
SHARE: Final = 4  # one part in so many of a user's limit is what this process enlarges pipes to
_LIMIT: Final = Path("/proc/sys/fs/pipe-user-pages-soft")


class PipeBudget:
    """Bytes of pipes that this process has enlarged. May be used from any thread.

    Args:
        most: bytes, None without a bound.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Whether pipes may be enlarged to `size` bytes in all; if so, they are counted until `give_back`."""
        with self._lock:
            if self._most is not None and self._taken + size > self._most:
                return False
            self._taken += size
            return True

    def give_back(self, size: int) -> None:
        """Those pipes are closed."""
        with self._lock:
            self._taken -= size


def user_limit(path: Path = _LIMIT) -> int | None:
    """How many bytes of pipes a user may have before the kernel makes them smaller; None without such a limit."""
    try:
        pages = int(path.read_text())
    except (OSError, ValueError):
        return None
    return pages * mmap.PAGESIZE or None


def fit(fd: int, size: int) -> None:
    """Let a pipe hold `size` bytes, rounded up; as it was where a limit forbids that, or there is no such call."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, max(size, mmap.PAGESIZE))


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
