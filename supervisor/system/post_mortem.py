"""Post-mortem: what the kernel says of a process that has ended: exit code, resources, kills for lack of memory.

When another part of the daemon has taken the exit code, the kernel is asked through the pidfd. What the kernel does
not know is None, and no error. It waits, for `COMPLETE` seconds at most, only where the system has neither pidfds nor
`waitid`: there `has_ended` cannot tell.

The kernel keeps no record that a parent can read of whom it has killed for lack of memory, only counters. One that rose
just before a SIGKILL of unknown origin is the best evidence there is.

Runs on the loop's thread.
"""

from __future__ import annotations

import fcntl
import os
import resource
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.context import SpawnProcess
from typing import Final

import msgspec

AnyFile = str | os.PathLike[str]

_UNIT: Final = 1 if sys.platform == "darwin" else 1024  # bytes, of ru_maxrss

COMPLETE: Final = 0.05  # seconds from the end of a process's descriptors to its own

_PIDFD_GET_INFO: Final = 0xC040FF0B  # Linux 6.13; ioctl: struct pidfd_info in its first version, 64 bytes
_PIDFD_INFO_EXIT: Final = 8  # Linux 6.15; bit: the status, once the process is reaped
_PIDFD_INFO: Final = struct.Struct("=Q52xi")  # mask, what is not needed here, status

RECENT: Final = 1.0  # seconds; when several processes are killed together, each gets the whole number
FRESH: Final = 60.0  # seconds for which a kill anywhere on the machine explains the next death here

_CGROUPS: Final = "/sys/fs/cgroup"
_MACHINE: Final = "/proc/vmstat"
_MAX_CHARACTERS: Final = 64 * 1024  # characters of any of these files


class ExitStatus(msgspec.Struct, frozen=True):
    """Exit code and resources of a process.

    Attributes:
        exit_code: as in `multiprocessing.Process.exitcode`: below 0 a signal, None when it is not known.
        cpu_time: seconds of CPU time, with those of its own children that it waited for; None when not known.
        peak_memory: its peak memory in bytes; None when not known.
    """

    exit_code: int | None = None
    cpu_time: float | None = None
    peak_memory: int | None = None


def reap(process: SpawnProcess, pidfd: int = -1) -> ExitStatus:
    """Reap a process that has ended; `process.exitcode` has the exit code, too, if it is known."""
    popen = getattr(process, "_popen", None)
    if process.pid is None or popen is None or popen.returncode is not None or not hasattr(os, "wait4"):
        return ExitStatus(process.exitcode)
    until = time.monotonic() + (COMPLETE if pidfd < 0 and not hasattr(os, "waitid") else 0.0)
    try:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        while pid == 0 and time.monotonic() < until:
            time.sleep(COMPLETE / 50)
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    except ChildProcessError:  # another part of the daemon was faster
        popen.returncode = _told(pidfd)
        return ExitStatus(popen.returncode)
    if pid == 0:
        return ExitStatus(process.exitcode)
    popen.returncode = os.waitstatus_to_exitcode(status)
    return ExitStatus(popen.returncode, usage.ru_utime + usage.ru_stime, _peak(usage))


def has_ended(pid: int) -> bool:
    """Whether a child of this process has ended, reaped or not; it is not reaped by this.

    True where the system has no `waitid` and cannot tell.
    """
    if not hasattr(os, "waitid"):
        return True
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _told(pidfd: int) -> int | None:
    """The exit code of a reaped process, as the kernel reports it; None where it does not."""
    if pidfd < 0 or sys.platform != "linux":
        return None
    info = bytearray(64)
    _PIDFD_INFO.pack_into(info, 0, _PIDFD_INFO_EXIT, 0)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
    except OSError:
        return None
    mask, status = _PIDFD_INFO.unpack_from(info)
    return os.waitstatus_to_exitcode(status) if mask & _PIDFD_INFO_EXIT else None


def _peak(usage: resource.struct_rusage) -> int | None:
    """Its peak memory. The kernel counts from before the exec, when it was a copy of the daemon."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage.ru_maxrss * _UNIT if usage.ru_maxrss > before else None


class OomWitness:
    """Remembers the counts, so that an earlier kill is not taken for the cause of a death now.

    A process in a control group of its own shows in the machine's count alone, as do all others of the machine. Where
    the group has a count and only the machine's rose, that is evidence if the former look was at most FRESH seconds
    ago; else it is not known whether the kill was of the daemon's.

    Args:
        group: the file with the count of the daemon's control group, None without one.
        machine: that with the count of the whole machine, None without one.
        clock: seconds.
    """

    def __init__(
        self, group: AnyFile | None, machine: AnyFile | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._group = _Counter(group)
        self._machine = _Counter(machine)
        self.look()

    def look(self) -> int | None:
        """How many processes were killed since the last look that is older than RECENT; None when not known."""
        now = self._clock()
        in_group, _ = self._group.look(now)
        in_machine, seconds = self._machine.look(now)
        if in_group or not in_machine:
            return in_machine if in_group is None else in_group
        return in_machine if in_group is None or seconds <= FRESH else None


class _Counter:
    """A count of the kernel's, and when it was looked at."""

    def __init__(self, source: AnyFile | None) -> None:
        self._source = source
        self._looks: deque[tuple[float, int]] = deque()

    def look(self, now: float) -> tuple[int | None, float]:
        """By how much it rose since the last look that is older than RECENT, and how many seconds that is ago."""
        count = None if self._source is None else _count(self._source)
        if count is None:
            return None, 0.0
        looks = self._looks
        looks.append((now, count))
        while len(looks) > 2 and looks[1][0] <= now - RECENT:
            looks.popleft()
        then, before = looks[0]
        return count - before, now - then


def oom_witness() -> OomWitness:
    """The one for this process."""
    return OomWitness(next((path for path in _groups() if _count(path) is not None), None), _MACHINE)


def _groups() -> Iterator[str]:
    """Files that may hold the count of the daemon's control group, best first."""
    for line in _read("/proc/self/cgroup").splitlines():
        _, controllers, place = line.split(":", 2)
        if not controllers:
            yield f"{_CGROUPS}/{place.lstrip('/')}/memory.events"
        elif controllers == "memory":
            yield f"{_CGROUPS}/memory/{place.lstrip('/')}/memory.oom_control"
    yield f"{_CGROUPS}/memory.events"  # in a container the group's own name may not be visible
    yield f"{_CGROUPS}/memory/memory.oom_control"


def _count(source: AnyFile) -> int | None:
    for line in _read(source).splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.isdigit():
            return int(value)
    return None


def _read(file: AnyFile) -> str:
    try:
        with open(file, encoding="ascii", errors="replace") as opened:
            return opened.read(_MAX_CHARACTERS)
    except OSError:
        return ""
