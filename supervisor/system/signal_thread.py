"""Signal thread: learns of each signal as it arrives, also while the main thread runs no Python code.

Python runs a signal handler in the main thread, between two instructions. In a long call into C that is too late, and a
signal that comes just before a system call does not interrupt it. What the interpreter writes to the wake-up
descriptor is there at once: this thread reads it, wakes the loops, and ends a daemon whose main thread hangs.

    kernel -> C handler -> wake-up descriptor -> this thread -> loops; other reader of the descriptor
                |                                   ^
                `-> Python handler (main thread) ---'  what it has handled

Lives while a tree serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from actors.event import close_fd
from supervisor.signal_mask import leave_to_main_thread

LAST_RESORT: Final = 5.0  # seconds from a second signal to the end of a hanging daemon
_HANDLED: Final = 0  # on the descriptor there are numbers of signals; this one, and those from `_REPEATED` on, are ours
_REPEATED: Final = 128  # plus a signal's number: handled, and it was not the first for a tree


class Count:
    """What was heard of signals, and what the main thread has handled of them."""

    def __init__(self) -> None:
        self.number = 0  # of the last signal
        self.repeated = False  # it was handled, and was not the first for some tree
        self._asked = False
        self._unhandled = 0

    def hear(self, byte: int) -> None:
        """Take in a byte of the wake-up descriptor: a stopping signal, or one of ours."""
        if _HANDLED < byte < _REPEATED:
            self.number = byte
            self._unhandled += 1
            return
        self._asked = True
        self._unhandled = 0
        if byte >= _REPEATED:
            self.number = byte - _REPEATED
            self.repeated = True

    def is_second(self) -> bool:
        """Whether a second signal came, handled or not."""
        return self.repeated or self._asked + self._unhandled >= 2


class SignalThread:
    """Made and closed in the main thread.

    Args:
        numbers: of the signals that ask to stop.
        loops: the loops of the trees that serve now; called in the thread.

    Raises:
        OSError: there is no socket pair.
        RuntimeError: there is no thread.
    """

    def __init__(self, numbers: Iterable[int], loops: Callable[[], list[asyncio.AbstractEventLoop]]) -> None:
        self._numbers = frozenset(map(int, numbers))
        self._loops = loops
        self._heard, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._other: int | None = None  # a copy of the descriptor that was woken before: of the loop, or uvloop's
        self._outlives = False
        self._count = Count()
        self._deadline: float | None = None
        self._hanging: list[asyncio.AbstractEventLoop] = []
        self._thread = threading.Thread(target=self._run, name="actors-signals", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self._close_all()
            raise
        self._before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        if self._before != -1:
            with contextlib.suppress(OSError):  # its owner has closed it
                self._other = os.dup(self._before)

    def handled(self, number: int, *, repeated: bool) -> None:
        """A handler has run in the main thread; `repeated` if the signal was not the first for some tree."""
        self._outlives |= repeated
        with contextlib.suppress(OSError):  # the thread reads no more
            self._wake.send(bytes([_REPEATED + number if repeated else _HANDLED]))

    def close(self) -> None:
        """Restore the wake-up descriptor, and end the thread; after a repeated signal it ends by itself, later."""
        self._replace_by(self._before)
        with contextlib.suppress(OSError):
            self._wake.shutdown(socket.SHUT_RDWR)  # a fork may hold it, too
        self._wake.close()
        if not self._outlives:
            self._thread.join()

    def forked(self) -> None:
        """In a fork there is no such thread, and its signals are not the daemon's."""
        self._replace_by(-1)
        self._close_all()

    def _replace_by(self, descriptor: int) -> None:
        now = signal.set_wakeup_fd(-1)
        if now != self._wake.fileno():  # other code has set its own since
            descriptor = now
        if descriptor != -1:
            with contextlib.suppress(OSError, ValueError):  # its owner has closed it
                signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)

    def _close_all(self) -> None:
        self._wake.close()
        self._close()

    def _close(self) -> None:
        self._heard.close()
        if self._other is not None:
            close_fd(self._other)

    # ---- in the thread

    def _run(self) -> None:
        leave_to_main_thread(self._numbers)
        try:
            while arrived := self._next():
                self._take(arrived)
            if self._count.repeated and self._deadline is not None:
                time.sleep(max(0.0, self._deadline - time.monotonic()))
                self._end()
        finally:
            self._close()

    def _next(self) -> bytes:
        """Wait for bytes; none at the end."""
        while True:
            self._heard.settimeout(None if self._deadline is None else max(0.001, self._deadline - time.monotonic()))
            try:
                return self._heard.recv(4096)
            except TimeoutError:
                self._end()

    def _take(self, arrived: bytes) -> None:
        signals = bytes(byte for byte in arrived if _HANDLED < byte < _REPEATED)
        if signals:
            self._wake_up(signals)
        for byte in arrived:
            if byte in self._numbers or byte not in signals:
                self._count.hear(byte)
        if not self._count.is_second():
            self._deadline = None
        elif self._deadline is None:
            self._deadline = time.monotonic() + LAST_RESORT
            self._hanging = self._loops()

    def _wake_up(self, signals: bytes) -> None:
        """Wake the loops, so that the main thread runs its handlers."""
        if self._other is not None:
            with contextlib.suppress(OSError):  # full: its reader is awake
                os.write(self._other, signals)
        for loop in self._loops():
            with contextlib.suppress(RuntimeError):  # it was closed
                loop.call_soon_threadsafe(_nothing)

    def _end(self) -> None:
        """End this process if a loop still runs: the main thread hangs."""
        number, self._count, self._deadline = self._count.number, Count(), None
        if any(loop.is_running() for loop in self._hanging):
            name = signal.Signals(number).name
            os.write(2, f"still here {LAST_RESORT:g} s after a second {name}: the process ends\n".encode())
            os._exit(128 + number)


def _nothing() -> None:
    """What a loop is woken with."""
