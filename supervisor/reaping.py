"""Reaping: the exit code of a process that is gone, and what it has used.

Law: nothing here waits. What another part of the daemon has taken is not known, and that is no error.
May import: nothing of ours.

Runs on the loop's thread.
"""

from __future__ import annotations

import os
import resource
import sys
from multiprocessing.context import SpawnProcess
from typing import Final

import msgspec

_UNIT: Final = 1 if sys.platform == "darwin" else 1024  # bytes, of ru_maxrss


class Remains(msgspec.Struct, frozen=True):
    """What is left of a process.

    Attributes:
        exit_code: as in `multiprocessing.Process.exitcode`: below 0 a signal, None when nobody knows.
        cpu_time: seconds it has computed, with those of its own children that it waited for; None when not known.
        peak_memory: the most memory it had, in bytes; None when not known.
    """

    exit_code: int | None = None
    cpu_time: float | None = None
    peak_memory: int | None = None


def reap(process: SpawnProcess) -> Remains:
    """Take what is left of a process that is gone; afterwards `process.exitcode` tells the exit code as always."""
    popen = getattr(process, "_popen", None)
    if process.pid is None or popen is None or popen.returncode is not None or not hasattr(os, "wait4"):
        return Remains(process.exitcode)
    try:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    except ChildProcessError:  # someone else was faster
        return Remains()
    if pid == 0:  # without a pidfd one hears of the death a little before it is complete
        return Remains(process.exitcode)
    popen.returncode = os.waitstatus_to_exitcode(status)
    return Remains(popen.returncode, usage.ru_utime + usage.ru_stime, _peak(usage))


def _peak(usage: resource.struct_rusage) -> int | None:
    """The most memory it had. The kernel counts from before the exec, when it was a copy of the daemon."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage.ru_maxrss * _UNIT if usage.ru_maxrss > before else None
