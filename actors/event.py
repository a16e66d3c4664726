"""SafeEvent: multiprocessing.Event's interface on one kernel object that no death can block.

There is no lock. Every operation is one system call that never waits. A process killed at any instruction has either
done it or not, and blocks no other.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from multiprocessing import context, reduction
from typing import Any, Final

from actors.errors import UsageError

ONE: Final = (1).to_bytes(8, sys.byteorder)  # the increment of an eventfd; a pipe holds the bytes themselves
PIPE: Final = 64 * 1024  # bytes: one read of this size empties an eventfd and every pipe made here
MAX_POLL_MS: Final = 2**31 - 1  # milliseconds: the longest time poll(2) accepts


def readable(fd: int, timeout: float | None = 0) -> bool:
    """Wait until `fd` can be read, at most `timeout` seconds (None: for ever). Takes nothing from it."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    ready = poll.poll(None if timeout is None else min(max(timeout, 0) * 1000, MAX_POLL_MS))
    return any(mask & select.POLLIN for _, mask in ready)


class KernelCounter:
    """A number in the kernel that processes share: `fileno()` is readable while it is above zero.

    Usable in every process and thread that has it; each process owns only its descriptors.

    Args:
        initial: what it counts from.
        semaphore: whether `take()` takes one; otherwise it takes everything.
    """

    _close_fd = staticmethod(os.close)  # bound here: at interpreter exit module globals may be gone
    _fds: tuple[int, ...] = ()  # once it is closed

    def __init__(self, initial: int = 0, *, semaphore: bool = False) -> None:
        self._semaphore = semaphore
        self._most = len(ONE) if semaphore else PIPE  # bytes of one read
        self._fds = _kernel_object(initial, semaphore=semaphore)

    def fileno(self) -> int:
        """The descriptor that is readable while the number is above zero.

        Raises:
            ValueError: it was closed in this process.
        """
        return self._end(0)

    def add(self) -> None:
        """Increment; never waits."""
        try:
            os.write(self._end(-1), ONE)
        except BlockingIOError:  # full: it is far above zero
            pass
        except OSError:
            self._end(-1)  # closed by another thread: raise
            raise

    def take(self) -> int:
        """Take one (or all); never waits. How many were taken."""
        try:
            read = os.read(self._end(0), self._most)
        except BlockingIOError:
            return 0
        except OSError:
            self._end(0)  # closed by another thread: raise
            raise
        return 1 if self._semaphore or read == ONE else _counted(read)

    def close(self) -> None:
        """Close the descriptors in this process. May be called twice."""
        for fd in self.__dict__.pop("_fds", ()):  # in one step: threads may close it at the same time
            try:  # noqa: SIM105 - at interpreter exit contextlib may be gone
                self._close_fd(fd)
            except OSError:
                pass

    def _end(self, index: int) -> int:
        fds = self._fds
        if not fds:
            raise ValueError(f"{type(self).__name__} is closed in this process; make a new one")
        return fds[index]

    def __getstate__(self) -> tuple[bool, tuple[Any, ...]]:
        context.assert_spawning(self)
        self._end(0)
        return self._semaphore, tuple(reduction.DupFd(fd) for fd in self._fds)

    def __setstate__(self, state: tuple[bool, tuple[Any, ...]]) -> None:
        self._semaphore, inherited = state
        self._most = len(ONE) if self._semaphore else PIPE
        self._fds = tuple(adopt(fd) for fd in inherited)

    def __del__(self) -> None:
        self.close()


class SafeEvent(KernelCounter):
    """A flag between processes, with multiprocessing.Event's interface, that survives `kill -9` of any process.

    May be used from any thread and process. It reaches a process as an argument of `Process` (any start method);
    pickling it at another time raises RuntimeError, as with every multiprocessing object. On the event loop `set`,
    `clear` and `is_set` may be called directly: none of them waits.
    """

    def __init__(self) -> None:
        super().__init__()

    def set(self) -> None:
        """Set the flag and wake all waiters. Never waits."""
        self.add()

    def clear(self) -> None:
        """Clear the flag. Never waits."""
        self.take()

    def is_set(self) -> bool:
        """Whether the flag is set."""
        return readable(self.fileno())

    def wait(self, timeout: float | None = None) -> bool:
        """Block the calling thread until the flag is set.

        Args:
            timeout: seconds; None waits for ever.

        Returns:
            True when the flag is set, False when the time was over first.

        Raises:
            ValueError: it was closed in this process.
        """
        return readable(self.fileno(), timeout)

    def __repr__(self) -> str:
        state = "closed" if not self._fds else "set" if self.is_set() else "unset"
        return f"<{type(self).__name__} {state}>"


def _counted(read: bytes) -> int:
    """How many increments were read: an eventfd tells the sum, a pipe holds them one by one."""
    return len(read) // len(ONE) if len(read) > len(ONE) else int.from_bytes(read, sys.byteorder)


def close_fd(fd: int) -> None:
    """Close a descriptor. One below 0, or one that other code has closed, is no error."""
    if fd >= 0:
        with contextlib.suppress(OSError):
            os.close(fd)


def adopt(inherited: Any) -> int:
    """Own a descriptor that was passed to this process, without passing it to programs this one starts."""
    fd: int = inherited.detach()
    os.set_inheritable(fd, False)
    return fd


def _kernel_object(initial: int, *, semaphore: bool) -> tuple[int, ...]:
    """Make the counter: an eventfd where there is one, else a pipe of at most 8192 eight-byte marks."""
    if hasattr(os, "eventfd"):
        flags = os.EFD_CLOEXEC | os.EFD_NONBLOCK | (os.EFD_SEMAPHORE if semaphore else 0)
        return (os.eventfd(initial, flags),)
    ends = os.pipe()
    for fd in ends:
        os.set_blocking(fd, False)
    if initial and os.write(ends[1], ONE * initial) < len(ONE) * initial:
        for fd in ends:
            os.close(fd)
        raise UsageError(f"a counter of {initial} needs eventfd (Linux); here it can hold {PIPE // len(ONE)}")
    return ends
