"""Surroundings: what a process inherits from the daemon at its start, and the source files it has read since.

Reading them changes nothing and takes a fraction of a millisecond.

Runs on the loop's thread.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from multiprocessing import spawn
from pathlib import Path
from typing import Any, Final

import msgspec

_OURS: Final = frozenset({"actors", "supervisor"})
_LIBRARIES: Final = ("site-packages", "dist-packages")
_LIMITS: Final = tuple(getattr(resource, name) for name in sorted(dir(resource)) if name.startswith("RLIMIT_"))
_STANDARD: Final = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - sys.modules has strings

Stamp = tuple[int, int, int]  # of a file: mtime, size, inode


class Surroundings(msgspec.Struct, frozen=True):
    """What a process that starts now inherits; equal for two that start alike."""

    executable: str
    argv: tuple[str, ...]
    path: tuple[str, ...]
    environment: dict[str, str]
    registry: tuple[int, int]
    umask: str
    identity: tuple[Any, ...]
    limits: tuple[tuple[int, int], ...]
    nice: int
    processors: frozenset[int]


def surroundings() -> Surroundings:
    """The surroundings of this process."""
    affinity = getattr(os, "sched_getaffinity", None)
    return Surroundings(
        executable=os.fsdecode(spawn.get_executable() or ""),
        argv=tuple(map(str, sys.argv)),
        path=tuple(map(str, sys.path)),
        environment=dict(os.environ),
        registry=_working_directory(),
        umask=_umask(),
        identity=(os.getuid(), os.geteuid(), os.getgid(), os.getegid(), tuple(os.getgroups())),
        limits=tuple(resource.getrlimit(limit) for limit in _LIMITS),
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        processors=frozenset(affinity(0)) if affinity else frozenset(),
    )


def source_files(modules: tuple[str, ...]) -> dict[str, Stamp]:
    """The files of loaded modules: all in the packages of `modules`, and all outside of libraries.

    This project is a library wherever it is: also in a checkout, where its files are many.
    """
    packages = {module.partition(".")[0] for module in modules}
    files: dict[str, Stamp] = {}
    for name, module in tuple(sys.modules.items()):
        file = getattr(module, "__file__", None)
        package = name.partition(".")[0]
        if isinstance(file, str) and (package in packages or not (package in _OURS or _in_library(file))):
            stamp = _stamp(file)
            if stamp is not None:
                files[file] = stamp
    return files


def unchanged(files: dict[str, Stamp]) -> bool:
    """Whether none of these files has changed."""
    return all(_stamp(file) == stamp for file, stamp in files.items())


def _in_library(file: str) -> bool:
    return file.startswith(_STANDARD) or any(folder in file for folder in _LIBRARIES)


def _stamp(file: str) -> Stamp | None:
    with contextlib.suppress(OSError, ValueError):
        found = os.stat(file)  # noqa: PTH116 - many of them
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None


def _working_directory() -> tuple[int, int]:
    """Which one it is, also where it was removed; zeros where the file system does not answer (ESTALE, EIO)."""
    with contextlib.suppress(OSError):
        here = os.stat(".")  # noqa: PTH116 - a path would be another place
        return here.st_dev, here.st_ino
    return 0, 0


def _umask() -> str:
    """The umask as the kernel shows it; empty where it does not. Reading it with os.umask would change it briefly."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("Umask:"):
                return line
    return ""
