"""procfs: a few numbers about a process from /proc.

A number that cannot be read is None; without /proc all are. Nothing blocks.

Runs in any thread. The kernel makes these lines in memory when they are read; no disk is involved.
"""

from __future__ import annotations

import os

from actors.event import close_fd
from supervisor.core.health.condition import UNSEEN, Condition

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MOST = 16 * 1024  # bytes of such a text; the kernel gives it at once


def condition(pid: int | None) -> Condition:
    """The state of a process now."""
    stat = None if pid is None else _read(pid, "stat")
    if pid is None or stat is None:
        return UNSEEN
    waits = (_read(pid, "schedstat") or "").split()
    return Condition(stat.rpartition(") ")[2][:1], int(waits[1]) if len(waits) > 1 else 0)


def resident_bytes(pid: int) -> int | None:
    """The resident memory of a process now, in bytes."""
    line = _read(pid, "statm")
    return None if line is None else int(line.split()[1]) * _PAGE


def peak_bytes(pid: int) -> int | None:
    """The peak resident memory of a process until now, in bytes."""
    lines = (_read(pid, "status") or "").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def cpu_seconds(pid: int) -> float | None:
    """The CPU time of a process and of its children that have ended, as `wait4` will tell it; in seconds."""
    stat = _read(pid, "stat")
    fields = [] if stat is None else stat.rpartition(") ")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS if len(fields) > 14 else None


def open_descriptors(pid: int) -> int | None:
    """How many descriptors a process has; None for a process of another user, too."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None


def descriptor_count(pid: int) -> int | None:
    """As `open_descriptors`, as quick for many of them; None also where the kernel (before 6.2) does not count them."""
    try:
        return os.stat(f"/proc/{pid}/fd").st_size or None
    except OSError:
        return None


def parent_of(pid: int) -> int | None:
    """The process id of the parent of a process."""
    stat = _read(pid, "stat")
    return None if stat is None else int(stat.rpartition(") ")[2].split()[1])


def group_runs(leader: int) -> bool:
    """Whether a process group has a process that is no zombie; without /proc, whether it has any."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    numbers = [name for name in os.listdir("/proc") if name.isdigit()] if os.path.isdir("/proc/self") else []
    stats = [(_read(int(number), "stat") or "").rpartition(") ")[2].split() for number in numbers]
    return not stats or any(fields[2] == str(leader) and fields[0] not in "ZX" for fields in stats if fields)


def _read(pid: int, what: str) -> str | None:
    try:  # not by an object of a file, which costs three times as much
        fd = os.open(f"/proc/{pid}/{what}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, _MOST).decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        close_fd(fd)


def text_of(file: str | os.PathLike[str]) -> str:
    """The text of a file of the kernel's; empty where it cannot be read."""
    try:
        with open(file, encoding="ascii", errors="replace") as opened:
            return opened.read()
    except OSError:
        return ""
