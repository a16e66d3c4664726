"""Exiting: the end of a process, without the interpreter's teardown where that would only free memory.

The teardown takes longer than everything else at a stop. What code relies on at an exit is done all the same, in the
interpreter's order: multiprocessing's finalizers, the join of threads that are no daemons, atexit handlers, the flush
of Python's streams, C's atexit handlers, the flush of C's streams. A process that has opened something keeps the
teardown: an object that was not closed may hold unwritten bytes. So does one of a free-threaded Python in which other
threads run: nothing but the teardown stops them before C's handlers take away what they use.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from multiprocessing import util
from typing import NoReturn

from actors.output.capture import flush_streams
from actors.process.diagnostics import has_lock
from actors.process.heartbeat import HEARTBEAT_THREAD

Descriptor = tuple[int, int, int]  # number, device, inode


class Exit:
    """How this process exits."""

    def __init__(self) -> None:
        self._inherited: set[Descriptor] | None = None

    def note_descriptors(self) -> None:
        """What is open now is not the actor's. Called before any of its code runs."""
        self._inherited = _open_descriptors()

    def exit(self, code: int) -> None:
        """Run what is registered for the exit, then exit; returns where the interpreter has to tear itself down."""
        util._exit_function()  # type: ignore[attr-defined]  # noqa: SLF001 - the interpreter and multiprocessing
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - call these three
        atexit._run_exitfuncs()  # noqa: SLF001
        flush_streams()
        if self._has_opened_nothing() and (has_lock() or _alone()):
            _exit_without_teardown(code)

    def _has_opened_nothing(self) -> bool:
        opened = _open_descriptors()
        return self._inherited is not None and opened is not None and opened <= self._inherited


def _alone() -> bool:
    """Whether no thread of the actor's runs; that of the heartbeat waits in the kernel."""
    threads = {thread.name for thread in threading.enumerate() if thread is not threading.current_thread()}
    return threads <= {HEARTBEAT_THREAD}


def leave(code: int) -> NoReturn:
    """Exit through the interpreter.

    One that began with PYTHONINSPECT takes `sys.exit` for an error, which it prints, and exits with another code.
    """
    if sys.flags.inspect:
        import ctypes  # noqa: PLC0415 - nobody else pays for it

        ctypes.pythonapi.Py_Exit(code)
    sys.exit(code)


def _open_descriptors() -> set[Descriptor] | None:
    """The descriptors that are open; None where the system does not tell."""
    found = set()
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - pathlib is not imported
    except (OSError, ValueError):
        return None
    for number in numbers:
        with contextlib.suppress(OSError):  # the one that has listed them
            status = os.fstat(number)
            found.add((number, status.st_dev, status.st_ino))
    return found


def _exit_without_teardown(code: int) -> None:
    with contextlib.suppress(Exception):  # also where the actor's code has broken imports: sys.modules.clear()
        if sys.platform == "linux":
            from actors.process import libc  # noqa: PLC0415 - it is there, see `process.setup.bind`

            libc.call_locked("exit", code)
