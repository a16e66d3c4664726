"""Diagnostics: the stacks a process writes into its black box when its interpreter is stuck or has crashed.

Everything is set up before any user code runs. Later only the C code of faulthandler runs, which needs neither the
interpreter's lock nor memory.

Set up in the actor's process, in its main thread. A fatal fault (SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL) writes the
Python stacks of all threads; so does DUMP_SIGNAL, after which the process continues. An actor that calls
`faulthandler.enable` itself sends its fatal stacks elsewhere.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Callable
from typing import Final

from actors.ipc.blackbox import BlackBox

DUMP_SIGNAL: Final[int] = signal.SIGRTMAX - 2 if hasattr(signal, "SIGRTMAX") else signal.SIGUSR2
"""Asks a process for its stacks. Blocked from the spawn, because it kills by default and because a handler that runs
in a thread cuts its system calls short. One thread unblocks it with `accept_dumps`; every other thread inherits the
block."""


def has_lock() -> bool:
    """Whether only one thread of this process runs Python code at a time: False in a free-threaded Python."""
    asked = getattr(sys, "_is_gil_enabled", None)  # from 3.13 on
    return asked is None or bool(asked())


_more: Final[list[Callable[[int], None]]] = []  # what writes other stacks than those of threads


def show_also(write: Callable[[int], None]) -> None:
    """From now on what this writes into a descriptor follows the stacks of the threads."""
    _more[:] = [write]


def write_other_stacks(fd: int) -> None:
    """Write the stacks that faulthandler does not know, those of tasks."""
    for write in _more:
        write(fd)


def record_faults(box: BlackBox) -> None:
    """From now on faults write stacks into the box, and so does DUMP_SIGNAL where a thread accepts it.

    The stacks of tasks follow those of threads as soon as the main thread runs Python code; not in a free-threaded
    Python, whose dumps take more of the small signal stack: a chained one, which the next may interrupt, overflows it.
    """
    faulthandler.enable(box.fileno(), all_threads=True)
    signal.signal(DUMP_SIGNAL, lambda number, frame: write_other_stacks(box.fileno()))  # noqa: ARG005 - Python's own
    faulthandler.register(DUMP_SIGNAL, file=box.fileno(), all_threads=True, chain=has_lock())


def accept_dumps() -> None:
    """From now on the kernel may deliver DUMP_SIGNAL to this thread, which then writes the stacks of all threads."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {DUMP_SIGNAL})
