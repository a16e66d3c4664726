"""Leaks: what is there after a test and was not there before: processes, threads, descriptors.

Counted by kind, so that what was replaced, as the process of a restarted actor, is no leak. Processes are seen where
the system has /proc, descriptors where it has /dev/fd.

Runs in the test's thread.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Final

LINGER: Final = 2.0  # seconds in which what is on its way out may still be seen
LOOK: Final = 0.005  # seconds between two looks

_VARIABLE: Final = "ACTORS_NO_LEAKS"  # environment variable, inherited by all that a test starts

Things = dict[object, str]
"""What there is of one kind, in words, by what tells one from another."""


class Leaks:
    """What is there now, to compare with later.

    Attributes:
        processes: how many there are.
    """

    def __init__(self) -> None:
        os.environ[_VARIABLE] = str(os.getpid())
        self._before = {kind: look() for kind, look in _LOOKS.items()}
        self.processes = len(self._before["processes"])

    def left(self) -> str:
        """What is there and was not there before, in words; empty when that is nothing, at the latest after LINGER."""
        deadline = time.monotonic() + LINGER
        while (left := self._more()) and time.monotonic() < deadline:
            gc.collect()
            time.sleep(LOOK)
        os.environ.pop(_VARIABLE, None)
        return "; ".join(f"{kind}: {', '.join(things)}" for kind, things in left.items())

    def _more(self) -> dict[str, list[str]]:
        more = {}
        for kind, look in _LOOKS.items():
            before, now = self._before[kind], look()
            if len(now) > len(before):
                more[kind] = sorted(now[key] for key in now.keys() - before.keys())
        return more


class _Processes:
    """Our children, zombies too, and all that was started from here meanwhile, which inherits the mark.

    A process that is neither does not become it: it is examined once, as long as it is there.
    """

    def __init__(self) -> None:
        self._others: set[tuple[str, int]] = set()  # by pid and inode of its folder, which a reused pid does not share

    def __call__(self) -> Things:
        found: Things = {}
        others: set[tuple[str, int]] = set()
        mark = f"{_VARIABLE}={os.getpid()}\0".encode()
        mine = str(os.getpid()), str(getattr(_tracker(), "_pid", None))
        for process in _running():
            name, _ = process
            if process in self._others:
                others.add(process)
            elif name not in mine:
                with contextlib.suppress(OSError):
                    head, _, rest = Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")
                    parent = rest.split()[1]
                    if parent == mine[0] or mark in (environment := _environment(name, parent)):
                        found[name] = f"{name} ({head.partition('(')[2]})"
                    elif environment:  # nothing is read of one in the middle of its exec
                        others.add(process)
        self._others = others
        return found


def _environment(name: str, parent: str) -> bytes:
    """Of a process that is not our child; of the kernel's threads and of what we may not read, what is none of ours."""
    if parent in {"0", "2"}:
        return b"\0"
    try:
        return Path(f"/proc/{name}/environ").read_bytes()
    except PermissionError:
        return b"\0"


def _running() -> list[tuple[str, int]]:
    """Every process of the system: its pid, and the inode of its folder in /proc."""
    with contextlib.suppress(OSError), os.scandir("/proc") as entries:
        return [(entry.name, entry.inode()) for entry in entries if entry.name.isdigit()]
    return []


def _threads() -> Things:
    """Our threads, without those of an event loop's executor, which end with the loop."""
    return {thread.ident: thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


def _descriptors() -> Things:
    """Our descriptors, by number and target."""
    found: Things = {}
    for name in _names("/dev/fd"):
        with contextlib.suppress(OSError, ValueError):
            target = os.readlink(f"/dev/fd/{name}")  # noqa: PTH115 - a path is six times as much work
            if int(name) != getattr(_tracker(), "_fd", None):
                found[name, target] = f"{name} ({target})"
    return found


def _tracker() -> Any:
    """Multiprocessing's resource tracker: a process that stays, and a descriptor."""
    return getattr(resource_tracker, "_resource_tracker", None)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return []


_LOOKS: Final[dict[str, Callable[[], Things]]] = {
    "processes": _Processes(),
    "threads": _threads,
    "descriptors": _descriptors,
}
