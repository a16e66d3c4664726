"""Beginning: the first steps of every process that a tree starts, whatever it runs.

Runs in that process, in its main thread.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing.process
import os
import signal
import sys
from collections.abc import Iterator
from multiprocessing import spawn
from typing import TYPE_CHECKING, Final, NoReturn, cast

import msgspec

from actors.errors import UsageError
from actors.exits import EXIT_ORPHANED
from actors.ipc.blackbox import BlackBox
from actors.ipc.channel import Channel
from actors.wire.to_child import StartActor

if TYPE_CHECKING:
    from actors.protocol.protocol import ActorProtocol

_PR_SET_PDEATHSIG: Final = 1
_decode: Final = msgspec.msgpack.Decoder(StartActor).decode
_IMPORTING: Final = "_inheriting"  # multiprocessing's name for "do not start processes now"


def exit_with_parent(daemon: int) -> None:
    """Bind this process to the life of its daemon: when the daemon is gone, this process exits.

    Linux: PR_SET_PDEATHSIG, which the kernel delivers even to a process stuck in a C loop. It is sent when the thread
    that spawned this process ends; the daemon spawns from a thread that lives as long as the supervisor. Elsewhere
    the end of file on the channel does the same between two messages.
    """
    if sys.platform == "linux":
        from actors.process import libc  # noqa: PLC0415 - a daemon, which imports this module, does not need it

        with contextlib.suppress(OSError):
            libc.call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != daemon:  # it died before the line above
        os._exit(EXIT_ORPHANED)


def await_part(channel: Channel, box: BlackBox) -> StartActor:
    """Wait for the first frame of the life, in a process that is never a spare."""
    frames = channel.receive()
    if not frames:
        os._exit(EXIT_ORPHANED)
    part = _decode(cast("bytes", frames[0]))
    box.recorder.take()
    return part


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


@contextlib.contextmanager
def only_importing() -> Iterator[None]:
    """While inside, no process may be started.

    An actor's module whose import starts its daemon would do so again in this process, and in the next, without end.
    multiprocessing has a flag for it, set while it imports the main module; `Supervisor` checks it, too.
    """
    process = multiprocessing.process.current_process()
    setattr(process, _IMPORTING, True)
    try:
        yield
    finally:
        delattr(process, _IMPORTING)


def import_module(module: str, main: dict[str, bytes]) -> None:
    """Import a module; `__main__` as multiprocessing does in a spawned process, from what `main` says."""
    if module == "__main__":
        spawn.prepare({key: os.fsdecode(value) for key, value in main.items()})
    else:
        importlib.import_module(module)


def import_needs(protocol: ActorProtocol) -> None:
    """Import what this actor's life needs, and not each: before its first message, and while nothing is short yet.

    A class that reaches other actors by other ways than its own code pays for that at the first of them.
    """
    needs = {
        "actors.child.messages.keeping": protocol.state is not None,
        "actors.child.messages.remote_ref": protocol.talks,
        "actors.child.messages.streams": protocol.flows,
        "actors.child.runners.sync_flows": protocol.flows and not protocol.asynchronous,
    }
    for module, needed in needs.items():
        if needed:
            importlib.import_module(module)
