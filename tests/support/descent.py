"""Who is whose child, by the parent that each process names.

`/proc/PID/task/TID/children` lists one thread's children; those of a thread that is just ending are in no list.
"""

from __future__ import annotations

from pathlib import Path

from supervisor.system.procfs import parent_of


def children_of(pid: int) -> list[int]:
    """The process ids of all children of a process, of whichever of its threads."""
    numbers = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [number for number in numbers if parent_of(number) == pid]
