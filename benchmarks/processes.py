"""What the kernel says about processes: memory, threads, time used; and which of them belong to one contender.

A contender and everything it starts carries a mark in its environment, so that nothing is overlooked, also when it
has been handed over to another parent, and so that nothing else is ever killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.absent import Absent

MARK = "ACTORS_BENCHMARK"

_PROC = Path("/proc")


def marked(mark: str = "") -> set[int]:
    """The processes that carry this mark, and what they started; without a mark, those with that of this process."""
    return carrying(f"{MARK}={mark or os.environ.get(MARK, '')}")


def carrying(variable: str) -> set[int]:
    """The processes with this in their environment, as NAME=value, and what they started."""
    wanted = variable.encode()
    found, parents = set(), {}
    for entry in _PROC.glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int(_stat(entry)[1])
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except OSError:  # gone meanwhile, or of another user
            continue
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more  # some write their name over their environment
    return found


def kill_marked(mark: str) -> None:
    """End everything that carries this mark, and what it started, but not the process that calls."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        unknown = _starting()  # before the look at the others: who is known by then is among those
        pids = marked(mark) - {os.getpid()}
        if not pids and not unknown:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _starting() -> bool:
    """Whether a program is being loaded somewhere, which has no environment to be known by yet."""
    for entry in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if not (entry / "cmdline").read_bytes():
                state, parent, *_ = _stat(entry)
                if state not in "ZX" and not {parent, entry.name} & {"0", "2"}:  # the dead, and the kernel's threads
                    return True
    return False


def _stat(entry: Path) -> list[str]:
    """What stands behind the name, which may be any bytes."""
    return (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()


def pss_kib(*pids: int) -> float:
    """The proportional share of memory: a page that n processes share counts one n-th; who is gone has none."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            total += _rollup(pid)["Pss"]
    return total


def own_kib(pid: int) -> float:
    """What it has for itself: its heap and stacks, and its share of shared memory; no files."""
    rollup = _rollup(pid)
    return rollup["Pss_Anon"] + rollup["Pss_Shmem"]


def threads(pid: int) -> int:
    """How many threads it has."""
    return sum(1 for _ in _proc(pid, "task").iterdir())


def cpu_seconds(pids: Iterable[int]) -> float:
    """What these processes have used of processors, all their living threads together."""
    nanoseconds = 0
    for pid in pids:
        for schedstat in _PROC.glob(f"{pid}/task/*/schedstat"):
            with contextlib.suppress(OSError):  # a thread that ended meanwhile
                nanoseconds += int(schedstat.read_text().split()[0])
    return nanoseconds / 1e9


def _rollup(pid: int) -> dict[str, float]:
    lines = _proc(pid, "smaps_rollup").read_text().splitlines()[1:]
    return {name: float(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}


def _proc(pid: int, name: str) -> Path:
    if not (_PROC / "self" / name).exists():
        raise Absent(f"this system has no /proc/<pid>/{name}")
    return _PROC / str(pid) / name
