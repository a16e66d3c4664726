"""Surroundings: what a process inherits from the daemon at its start.

Reading them changes nothing and takes a fraction of a millisecond.

Runs on the loop's thread.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from multiprocessing import spawn
from typing import Any, Final

import msgspec

from supervisor.system.procfs import text_of

_LIMITS: Final = tuple(getattr(resource, name) for name in sorted(dir(resource)) if name.startswith("RLIMIT_"))
_SETTINGS: Final = ("/proc/self/oom_score_adj", "/proc/self/coredump_filter", "/proc/self/cgroup")
_STATUS: Final = ("Umask:", "SigIgn:")  # lines of /proc/self/status that a process inherits


class Surroundings(msgspec.Struct, frozen=True):
    """What a process that starts now inherits; equal for two that start alike."""

    executable: str
    warnings: tuple[str, ...]
    argv: tuple[str, ...]
    path: tuple[str, ...]
    environment: dict[str, str]
    registry: tuple[int, int]
    status: tuple[str, ...]
    identity: tuple[Any, ...]
    limits: tuple[tuple[int, int], ...]
    nice: int
    processors: frozenset[int]
    settings: tuple[str, ...]


def surroundings() -> Surroundings:
    """The surroundings of this process."""
    affinity = getattr(os, "sched_getaffinity", None)
    return Surroundings(
        executable=os.fsdecode(spawn.get_executable() or ""),
        warnings=tuple(sys.warnoptions),
        argv=tuple(map(str, sys.argv)),
        path=tuple(map(str, sys.path)),
        environment=dict(os.environ),
        registry=_working_directory(),
        status=_status(),
        identity=(os.getuid(), os.geteuid(), os.getgid(), os.getegid(), tuple(os.getgroups())),
        limits=tuple(resource.getrlimit(limit) for limit in _LIMITS),
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        processors=frozenset(affinity(0)) if affinity else frozenset(),
        settings=tuple(map(text_of, _SETTINGS)),
    )


def _working_directory() -> tuple[int, int]:
    """Which one it is, also where it was removed; zeros where the file system does not answer (ESTALE, EIO)."""
    with contextlib.suppress(OSError):
        here = os.stat(".")
        return here.st_dev, here.st_ino
    return 0, 0


def _status() -> tuple[str, ...]:
    """The umask and the ignored signals, as the kernel shows them: reading a umask with os.umask changes it briefly."""
    return tuple(line for line in text_of("/proc/self/status").splitlines() if line.startswith(_STATUS))
