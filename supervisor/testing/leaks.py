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


def _processes() -> Things:
    """Our children, zombies too, and all that was started from here meanwhile, which inherits the mark."""
    found: Things = {}
    mark = f"{_VARIABLE}={os.getpid()}\0".encode()
    mine = str(os.getpid()), str(getattr(_tracker(), "_pid", None))
    for name in _names("/proc"):
        if not name.isdigit() or name in mine:
            continue
        with contextlib.suppress(OSError):
            head, _, rest = Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")
            if rest.split()[1] == mine[0] or mark in Path(f"/proc/{name}/environ").read_bytes():
                found[name] = f"{name} ({head.partition('(')[2]})"
    return found


def _threads() -> Things:
    """Our threads, without those of an event loop's executor, which end with the loop."""
    return {thread.ident: thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


def _descriptors() -> Things:
    """Our descriptors, by number and target."""
    found: Things = {}
    for name in _names("/dev/fd"):
        with contextlib.suppress(OSError, ValueError):
            target = str(Path(f"/dev/fd/{name}").readlink())
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
    "processes": _processes,
    "threads": _threads,
    "descriptors": _descriptors,
}
