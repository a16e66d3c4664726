"""LeanProcess: multiprocessing's spawned process, without the parts that an actor's process does not need.

It starts what `multiprocessing.get_context("spawn")` starts, with the same arguments, descriptors and resource
tracker. Left out are the daemon's main module, which a process imports only if its actor needs it, `typing_extensions`,
which msgspec would import, and the rule that a daemonic process starts none: these processes end with their daemon in
any case. From CPython 3.14 on, what multiprocessing and msgspec import and an idle actor does not use is imported when
it is used (`actors.lazy`); all other imports are as the user has set them.

multiprocessing has no hook for what it sends to a process, so the one function that gathers and sends it is rewritten
here from multiprocessing's own parts. multiprocessing itself is not changed.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import (
    get_all_start_methods,
    get_start_method,
    popen_spawn_posix,
    reduction,
    resource_tracker,
    spawn,
    util,
)
from multiprocessing.context import SpawnProcess, set_spawning_popen
from multiprocessing.process import (  # type: ignore[attr-defined]  # typeshed
    ORIGINAL_DIR,
    AuthenticationString,
    BaseProcess,
)
from typing import Any, Final

from actors.errors import UsageError
from actors.event import close_fd
from actors.lazy import OPENING, MainFunction
from actors.queue.pickling import PROTOCOL
from supervisor.system.pipe_budget import fit

_STANDARD: Final = {
    *("name", "log_to_stderr", "log_level", "authkey", "sys_path", "sys_argv", "orig_dir", "dir", "start_method"),
    *("init_main_from_name", "init_main_from_path"),
}
"""What `multiprocessing.spawn.get_preparation_data` gathers."""


def main_module() -> dict[str, bytes]:
    """What `multiprocessing.spawn.prepare` needs to import the daemon's main module, encoded; empty without one.

    As the original, also where a debugger has replaced the main module by one without a `__spec__`.
    """
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return {"init_main_from_name": os.fsencode(spec.name)}
    file = getattr(main, "__file__", None)
    if file is None:
        return {}
    return {"init_main_from_path": os.fsencode(os.path.normpath(os.path.join(ORIGINAL_DIR or "", file)))}


def _preparation(name: str) -> dict[str, Any]:
    """As the original, without the main module, the key, which the process object carries, and the working directory.

    A process inherits that, and it may have been removed.
    """
    told: dict[str, Any] = {
        **_added_by_tools(name),
        "name": name,
        "log_to_stderr": util._log_to_stderr,  # type: ignore[attr-defined]  # noqa: SLF001
        "sys_path": [place or ORIGINAL_DIR or "" for place in sys.path],
        "sys_argv": sys.argv,
        "orig_dir": ORIGINAL_DIR,
        "start_method": _start_method(),
    }
    if util._logger is not None:  # type: ignore[attr-defined]  # noqa: SLF001
        told["log_level"] = util.get_logger().getEffectiveLevel()
    return told


def _start_method() -> str:
    """That of this process; another library's own, which a new process does not know, is told as spawn."""
    method = get_start_method()
    return method if method in get_all_start_methods() else "spawn"


def _tools_add() -> bool:
    """Whether a tool has replaced what multiprocessing tells a process, as coverage does to measure it."""
    return bool(spawn.get_preparation_data.__module__ != spawn.__name__)


def _added_by_tools(name: str) -> dict[str, Any]:
    """What a tool adds that has replaced the original."""
    if not _tools_add():
        return {}
    with contextlib.suppress(OSError):  # the working directory was removed
        told = spawn.get_preparation_data(name)
        return {key: told[key] for key in told.keys() - _STANDARD}
    return {}


def check_interpreter() -> None:
    """Check that there is a Python to start processes with.

    Raises:
        UsageError: there is none where multiprocessing looks for it.
    """
    executable = os.fsdecode(spawn.get_executable() or "")
    if not (os.path.isfile(executable) and os.access(executable, os.X_OK)):
        raise UsageError(
            f"no process can be started: multiprocessing would execute {executable!r}, which is not a program that may "
            f"be executed; name a Python with multiprocessing.set_executable(...)"
        )


class LeanProcess(SpawnProcess):
    """Watched and closed like any `multiprocessing.Process`; on the other side it is a plain SpawnProcess.

    It also starts from a daemonic process, and from one of a library that replaces multiprocessing's, as billiard
    does. It may have children itself. multiprocessing neither waits for it nor ends it at the daemon's exit.

    Args:
        module: whose function `main` it runs; the daemon does not import it.
        name: of the process.
        args: of the function.
        held: descriptors that it keeps open until it ends, and knows nothing of.
    """

    _popen: _LeanPopen
    _config: dict[str, Any]
    _target: Any
    _args: Any
    _kwargs: Any

    def __init__(self, module: str, name: str, args: tuple[Any, ...], held: tuple[int, ...] = ()) -> None:
        super().__init__(name=name, args=args)
        self._held = held
        self._target = MainFunction(module)
        key = AuthenticationString(self._config["authkey"])  # the only class of keys it sends to a process
        self._config = {**self._config, "daemon": False, "authkey": key}

    def start(self) -> None:
        """As the original, also in a daemonic daemon, and without joining the processes that its exit waits for."""
        self._popen = self._Popen(self)
        self._sentinel = self._popen.sentinel
        del self._target, self._args, self._kwargs

    def give_away(self) -> int:
        """Close multiprocessing's view of its end, where that is seen otherwise; it cannot be joined then.

        Returns the descriptor whose closing tells the process that its parent is gone; the caller owns it.
        """
        return self._popen.give_away()

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> _LeanPopen:  # noqa: N802 - multiprocessing's name
        return _LeanPopen(process_obj, vars(process_obj).pop("_held"))  # the rest is sent to the process

    def __reduce__(self) -> tuple[Any, ...]:
        return object.__new__, (SpawnProcess,), vars(self)


class _LeanPopen(popen_spawn_posix.Popen):
    _fds: list[int]
    pid: int = 0
    sentinel: int = -1
    _ours: list[int]
    finalizer: util.Finalize

    def __init__(self, process_obj: BaseProcess, held: tuple[int, ...]) -> None:
        """As the original, but the daemon's streams are not flushed: one that fails, or blocks, would stop the start.

        A process that is spawned has no copy of what waits in them.
        """
        self._fds = [*held]
        self.returncode = None
        self._launch(process_obj)

    def give_away(self) -> int:
        """Close the descriptor that is at its end when the process ends, and give the other one to the caller."""
        self.finalizer.cancel()
        sentinel, held = self._ours
        self._ours.clear()
        close_fd(sentinel)
        return held

    def _launch(self, process_obj: BaseProcess) -> None:
        """As the original, step by step."""
        tracker = resource_tracker.getfd()
        if tracker is not None:
            self._fds.append(tracker)
        self._send(self._spawn(process_obj.name, tracker, self._pickled(process_obj)))

    def _pickled(self, process_obj: BaseProcess) -> memoryview:
        """What the process reads: how it prepares itself, and what it runs. Descriptors in it will be inherited."""
        told = _preparation(process_obj.name)
        data = io.BytesIO()
        set_spawning_popen(self)
        try:
            reduction.dump(told, data, PROTOCOL)
            reduction.dump(process_obj, data, PROTOCOL)
        finally:
            set_spawning_popen(None)
        return memoryview(data.getvalue())

    def _spawn(self, name: str, tracker: int | None, data: memoryview) -> memoryview:
        """Start the interpreter; returns what it is still to be sent."""
        ours: list[int] = []
        self._ours = ours
        theirs: list[int] = []
        try:
            sentinel, held = os.pipe()  # the process holds the writing end: its death is end of file
            ours.append(sentinel)
            theirs.append(held)
            fit(held, 0)
            read, write = os.pipe()
            ours.append(write)
            theirs.append(read)
            if fit(write, data.nbytes):  # told before it is there: it needs no daemon that lives a moment longer
                data = data[os.write(write, data) :]
            self._fds.extend(theirs)
            command = _command(name, tracker, read)
            self.pid = util.spawnv_passfds(os.fsencode(spawn.get_executable()), command, self._fds)
            self.sentinel = sentinel
        except BaseException:
            _close_all(ours)
            ours.clear()
            raise
        finally:
            self.finalizer = util.Finalize(self, _close_all, (ours,))
            _close_all(theirs)  # before the rest is sent, which would wait for ever for our own copy of the other end
        return data

    def _send(self, data: memoryview) -> None:
        """Send the process what it reads; one that cannot be told what to run is killed."""
        _, write = self._ours
        try:
            with contextlib.suppress(BrokenPipeError), open(write, "wb", closefd=False) as pipe:
                pipe.write(data)  # a dead process does not read it; its end is reported as any
        except BaseException:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            self.finalizer()  # the error refers to this frame, which would keep the descriptors open
            raise


def _command(name: str, tracker: int | None, read: int) -> list[str]:
    """The command line of a process of that name, which reads from that descriptor."""
    command = spawn.get_command_line(tracker_fd=tracker, pipe_handle=read)
    if not getattr(sys, "frozen", False):  # where freeze_support reads all of it
        if not _tools_add():
            program = command.index("-c", 1) + 1  # the first is the interpreter, in bytes: -bb refuses to compare
            command[program] = OPENING + command[program]
        command.append(f"actor {name}")  # for `ps`; multiprocessing reads what is before it
    return command


def _close_all(descriptors: list[int], close: Callable[[int], None] = os.close) -> None:
    """Runs at the interpreter's exit, too, when this module's names may be gone."""
    for fd in descriptors:
        try:  # noqa: SIM105 - see above
            close(fd)
        except OSError:  # other code has closed it
            pass
