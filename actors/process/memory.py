"""Memory: how much this process has had at most, and a reserve with which it can speak when there is no more.

The reserve costs address space and no memory, as long as nobody needs it.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import contextlib
import mmap
from typing import Final

RESERVE: Final = 8 * 1024 * 1024  # bytes; formatting a traceback reads the sources it shows


class Reserve:
    """Address space that is kept, so that a MemoryError can be put into words."""

    def __init__(self) -> None:
        self._kept: mmap.mmap | None = None
        self.fill()

    def fill(self) -> None:
        """Keep it again, if there is as much."""
        if self._kept is None:
            with contextlib.suppress(OSError, MemoryError):
                self._kept = mmap.mmap(-1, RESERVE)

    def release(self) -> None:
        """From now on it may be used."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def peak_memory() -> int:
    """The most memory this process has had, in bytes; 0 where the system does not say.

    The kernel's own account (ru_maxrss) would not do: on Linux a spawned process inherits its parent's peak there.
    """
    try:
        with open("/proc/self/status", "rb") as status:  # noqa: PTH123 - pathlib costs every child memory
            return next((int(line.split()[1]) * 1024 for line in status if line.startswith(b"VmHWM:")), 0)
    except (OSError, ValueError, MemoryError):
        return 0
