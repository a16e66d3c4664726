"""LeanProcess: multiprocessing's spawned process, but for one thing: it does not import the daemon's main module.

Law: what starts here is what `multiprocessing.get_context("spawn")` starts, with the same arguments, descriptors and
     resource tracker. Only the main module is left out: a process whose actor needs it is told so in its part.
May import: nothing of ours.

multiprocessing asks nobody what it tells a process, so the one function that gathers and sends it is written anew here,
with multiprocessing's own parts. Nothing of multiprocessing is changed for anyone else.
"""

from __future__ import annotations

import io
import os
from multiprocessing import popen_spawn_posix, reduction, resource_tracker, spawn, util
from multiprocessing.context import SpawnProcess, set_spawning_popen
from multiprocessing.process import BaseProcess
from typing import Any, Final

_MAIN: Final = ("init_main_from_name", "init_main_from_path")


def main_module() -> dict[str, str]:
    """What `multiprocessing.spawn.prepare` has to be told to import the daemon's main module; empty without one."""
    told = spawn.get_preparation_data("main")
    return {key: str(told[key]) for key in _MAIN if key in told}


class LeanProcess(SpawnProcess):
    """Started, watched and closed like any `multiprocessing.Process`; on the other side it is a plain SpawnProcess."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> popen_spawn_posix.Popen:  # noqa: N802 - multiprocessing's name
        return _LeanPopen(process_obj)

    def __reduce__(self) -> tuple[Any, ...]:
        return object.__new__, (SpawnProcess,), vars(self)


class _LeanPopen(popen_spawn_posix.Popen):
    _fds: list[int]

    def _launch(self, process_obj: BaseProcess) -> None:
        """As the original, step by step."""
        tracker = resource_tracker.getfd()
        if tracker is not None:
            self._fds.append(tracker)
        told: dict[str, Any] = spawn.get_preparation_data(process_obj.name)
        for key in _MAIN:
            told.pop(key, None)
        data = io.BytesIO()
        set_spawning_popen(self)
        try:
            reduction.dump(told, data)
            reduction.dump(process_obj, data)
        finally:
            set_spawning_popen(None)
        ours: list[int] = []
        theirs: list[int] = []
        try:
            sentinel, held = os.pipe()  # the process holds the writing end: its death is end of file
            ours.append(sentinel)
            theirs.append(held)
            read, write = os.pipe()
            ours.append(write)
            theirs.append(read)
            command = spawn.get_command_line(tracker_fd=tracker, pipe_handle=read)
            self._fds.extend(theirs)
            self.pid = util.spawnv_passfds(os.fsencode(spawn.get_executable()), command, self._fds)
            self.sentinel = sentinel
            with open(write, "wb", closefd=False) as pipe:
                pipe.write(data.getbuffer())
        finally:
            self.finalizer = util.Finalize(self, _close_all, (ours,))
            for fd in theirs:
                os.close(fd)


def _close_all(descriptors: list[int]) -> None:
    for fd in descriptors:
        os.close(fd)
