"""Identity: which daemon this is, and how it is.

Runs on the loop's thread.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actors.process.tracebacks import printable
from supervisor.clock import machine_time
from supervisor.control.frames import Identity
from supervisor.core.rules.states import ChildState
from supervisor.tree.health import health_of
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot

_SET: Final = 1.0  # seconds by which the clock has moved when it was set, and not only corrected


class Started:
    """When a tree was entered. It is the same as long as the clock is not set."""

    def __init__(self) -> None:
        self._at = machine_time()
        self._wall = time.time()

    def wall_time(self) -> float:
        """In time.time(), as the clock is set now."""
        wall = time.time() - (machine_time() - self._at)
        if abs(wall - self._wall) > _SET:
            self._wall = wall
        return self._wall


def identity_of(tree: SupervisorSnapshot, started: float) -> Identity:
    """Which daemon this is, with its tree now; `started` is when that was entered, in time.time()."""
    children = list(_children(tree))
    return Identity(
        pid=os.getpid(),
        tree=tree.path,
        argv=tuple(map(printable, _argv())),
        cwd=_cwd(),
        python=platform.python_version(),
        started=started,
        health=health_of(tree),
        children=len(children),
        running=sum(child.state is ChildState.RUNNING for child in children),
    )


def _argv() -> list[str]:
    """Its command line; of a process that multiprocessing has spawned, as uvicorn's workers, that of their program."""
    if "--multiprocessing-fork" in sys.orig_argv:
        return [sys.orig_argv[0], *sys.argv]  # it brings its program's
    return sys.orig_argv


def _cwd() -> str:
    try:
        return printable(str(Path.cwd()))
    except OSError:  # it was removed
        return ""


def _children(node: SupervisorSnapshot | ChildSnapshot) -> Iterator[ChildSnapshot]:
    """All actors, tasks, functions and commands below a supervisor."""
    if isinstance(node, ChildSnapshot):
        yield node
        return
    for child in node.children:
        yield from _children(child)
