"""Priority: processes that run only while nothing else wants the processor.

A nice value cannot be lowered again without privilege; a scheduling policy can be left. SCHED_IDLE gives way at once to
every other process, and the kernel lets a process leave it where it has CAP_SYS_NICE or a high enough RLIMIT_NICE.
SCHED_BATCH can always be left; it never interrupts another process that runs, and has the same share as any.

Runs in any thread. Where the system has no such policies nothing happens.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import threading
from typing import Final

_PATIENCE: Final = 0.2  # seconds for a thread to show which policies it may leave
_ROUNDS: Final = 5  # looks for threads that begin meanwhile


def follow(thread: int) -> None:
    """Give this thread the nice value and the processors of another one of its process: a child inherits them."""
    with contextlib.suppress(OSError):
        nice = os.getpriority(os.PRIO_PROCESS, thread)
        if nice != os.getpriority(os.PRIO_PROCESS, 0):
            os.setpriority(os.PRIO_PROCESS, 0, nice)
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            processors = os.sched_getaffinity(thread)
            if processors != os.sched_getaffinity(0):
                os.sched_setaffinity(0, processors)


def step_back(pid: int) -> bool:
    """Let a process that has just begun give way to others; whether it does.

    A daemon with a policy of its own chose it, and its processes keep it.
    """
    if not hasattr(os, "sched_setscheduler"):
        return False
    with contextlib.suppress(OSError):
        if os.sched_getscheduler(pid) == os.SCHED_OTHER:
            os.sched_setscheduler(pid, lowest(), os.sched_param(0))
            return True
    return False


def step_forward(pid: int) -> None:
    """Let all threads of a process that has stepped back run as others do."""
    done: set[str] = set()
    for _ in range(_ROUNDS):
        found = {task for task in _tasks(pid) if task not in done}
        if not found:
            return
        for task in sorted(found, key=lambda task: task != str(pid)):  # threads that it starts now are as it is
            with contextlib.suppress(OSError):
                os.sched_setscheduler(int(task), os.SCHED_OTHER, os.sched_param(0))
        done |= found


def lowest() -> int:
    """The lowest policy that this process may leave again."""
    left: list[int] = []
    tried = threading.Event()

    def try_it() -> None:  # the policy of this one thread, which ends
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            left.append(os.SCHED_IDLE)
        tried.set()

    try:
        _thread.start_new_thread(try_it, ())  # where memory is short it may never run, and Thread.start waits for that
    except RuntimeError:
        return os.SCHED_BATCH
    tried.wait(_PATIENCE)
    return left[0] if left else os.SCHED_BATCH


def _tasks(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
