"""Memory: the peak memory of this process, a reserve for reporting a MemoryError, and what is given back.

The reserve costs address space, but no memory until it is used.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import contextlib
import mmap
import sys
from typing import Final

RESERVE: Final = 8 * 1024 * 1024  # bytes; formatting a traceback reads the sources it shows


class Reserve:
    """Address space kept free, so that a MemoryError can be reported."""

    def __init__(self) -> None:
        self._kept: mmap.mmap | None = None
        self.fill()

    def fill(self) -> None:
        """Reserve it again, if there is enough."""
        if self._kept is None:
            with contextlib.suppress(OSError, MemoryError):
                self._kept = mmap.mmap(-1, RESERVE)

    def release(self) -> None:
        """Free the reserve for use."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def give_back() -> None:
    """Give the system what was freed in between, as by imports; with glibc, which keeps it otherwise."""
    if sys.platform == "linux":
        from actors.process import libc  # noqa: PLC0415 - it is there, see `process.setup.bind`

        with contextlib.suppress(OSError):
            libc.call("malloc_trim", 0)


def peak_memory() -> int:
    """The peak memory of this process in bytes; 0 where the system does not tell.

    The kernel's own figure (ru_maxrss) is wrong here: on Linux a spawned process inherits its parent's peak.
    """
    try:
        with open("/proc/self/status", "rb") as status:  # noqa: PTH123 - pathlib costs every child memory
            return next((int(line.split()[1]) * 1024 for line in status if line.startswith(b"VmHWM:")), 0)
    except (OSError, ValueError, MemoryError):
        return 0
