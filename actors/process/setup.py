"""Setup: what a process sets on itself before it runs any code of its actor or function.

    bind ─▶ guard ─▶ its StartActor arrives ─▶ become ─▶ imports

Runs in that process, in its main thread.
"""

from __future__ import annotations

import contextlib
import multiprocessing.process
import os
import signal
import sys
from typing import Final, NoReturn

from actors.errors import UsageError
from actors.exits import EXIT_ORPHANED
from actors.ipc.blackbox import BlackBox
from actors.process.descendants import mark_descendants
from actors.process.diagnostics import accept_dumps, record_faults
from actors.process.heartbeat import shield, start_heartbeat
from actors.process.options import apply_options
from actors.process.signals import leave_to_the_daemon
from actors.process.tracebacks import ActorFailed
from actors.wire.to_child import StartActor

_PR_SET_PDEATHSIG: Final = 1


def bind(daemon: int, mark: str) -> object:
    """Bind this process to the life of its daemon: when the daemon is gone, this process exits.

    See `end_with`; the daemon spawns from a thread that lives as long as the supervisor. Where the system has no such
    thing, the end of file on the channel does the same between two messages.

    Args:
        daemon: process id of the daemon.
        mark: marks this process and all its descendants.

    Returns:
        What is to be kept as long as the process lives.
    """
    end_with(daemon)
    return mark_descendants(mark)


def end_with(parent: int) -> None:
    """From now on this process is killed when the thread that spawned it ends, and so when its parent does.

    Linux: PR_SET_PDEATHSIG, which the kernel delivers even to a process stuck in a C loop.

    Args:
        parent: its process id. If that has ended already, this process exits at once.
    """
    if sys.platform == "linux":
        from actors.process import libc  # noqa: PLC0415 - it has what Linux has

        with contextlib.suppress(OSError):
            libc.call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os._exit(EXIT_ORPHANED)


def guard(box: BlackBox) -> None:
    """From now on no signal to the whole service ends this process, a fault leaves its stacks, `breakpoint()` helps."""
    leave_to_the_daemon()
    os.environ.pop("PYTHONINSPECT", None)  # at its end this process would begin an interactive session, and fail
    explain_breakpoints()
    record_faults(box)
    shield()


def become(start: StartActor, box: BlackBox) -> None:
    """Take the name and the options of the life that begins here.

    Raises:
        ActorFailed: the system refuses an option.
    """
    multiprocessing.process.current_process().name = start.path
    show_as(start.path)
    try:
        apply_options(start.conditions)
    except UsageError as error:
        raise ActorFailed("setting up its process", error) from error
    if start.heartbeat:
        start_heartbeat(box)  # after the options, which count for one thread; before imports that may hang
    else:
        accept_dumps()


def show_as(path: str) -> None:
    """Set the name that `top` and `ps -o comm` show: the end of the path, of which the kernel keeps 15 bytes."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "wb") as comm:  # noqa: PTH123 - pathlib is not imported
        comm.write(path.encode()[-15:])


def explain_breakpoints() -> None:
    """From now on `breakpoint()` says how to debug this process, which has no terminal.

    PYTHONBREAKPOINT in the environment, and what a debugger has put into its place, do as they say.
    """
    if "PYTHONBREAKPOINT" not in os.environ and sys.breakpointhook is sys.__breakpointhook__:
        sys.breakpointhook = _no_terminal


def _no_terminal(*args: object, **kwargs: object) -> NoReturn:
    del args, kwargs
    attach = f"attach to it: `{sys.executable} -m pdb -p {os.getpid()}`"
    raise UsageError(
        "breakpoint() needs a terminal, and the process of an actor has none; run the actor in the test's process "
        "(`actors.testing.inline`), or set PYTHONBREAKPOINT=debugpy.breakpoint in the daemon's environment"
        + (f", or {attach}" if sys.version_info >= (3, 14) else "")
    )
