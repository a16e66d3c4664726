"""Command main: what a process runs until it executes the program of a command: from a bare interpreter to `exec`.

It begins as an actor's process does. It sets its ready event right before the exec, which closes its channel: that
tells the daemon that the program runs. An exec that fails leaves as a crash report. Nothing of Python reaches the
program, and no descriptor but 0, 1 and 2. Its standard input is empty.

Runs in the command's process, in its main thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from typing import TYPE_CHECKING

from actors.child.beginning import await_start
from actors.event import SafeEvent
from actors.ipc.blackbox import BlackBox
from actors.ipc.channel import Channel
from actors.ipc.output_pipe import OutputPipe
from actors.ipc.pipes import Duplex
from actors.process.options import apply_options
from actors.process.setup import bind
from actors.process.tracebacks import ActorFailed
from actors.wire.codec import encode

if TYPE_CHECKING:
    from collections.abc import Iterable


def main(  # noqa: PLR0917 - what spawn passes, once
    duplex: Duplex,
    box: BlackBox,
    ready: SafeEvent,
    stop: SafeEvent,
    output_pipe: OutputPipe,
    daemon: int,
    mark: str,
    argv: tuple[str, ...],
) -> None:
    """Execute a program. The arguments up to `mark` are as in `actors.child.main`."""
    _bound = bind(daemon, mark)
    channel = Channel(duplex)
    try:
        start = await_start(channel, box)
        if stop.is_set():
            return
        if start.captured:
            output_pipe.open(1, 2)
        _close_rest_on_exec()
        _be_as_any_other()
        apply_options(start.conditions)
        ready.set()
        os.execvpe(argv[0], argv, os.environ)  # noqa: S606 - no shell is the point
    except BaseException as error:
        failed = ActorFailed(f"executing {argv[0]}{_why(argv[0], error)}", error)
        channel.send(encode(failed.crash_report()))
        sys.exit(failed.exit_code)


def _why(program: str, error: BaseException) -> str:
    """What the system's error does not say of a program that is there."""
    if isinstance(error, FileNotFoundError) and os.path.exists(program):  # noqa: PTH110 - pathlib is not imported
        return ", whose first line names an interpreter that is missing"
    if isinstance(error, OSError) and error.errno == errno.ENOEXEC:
        return ", which is not a program: a script begins with #! and its interpreter"
    return ""


def _close_rest_on_exec() -> None:
    """The program gets descriptors 0, 1 and 2 and no other; 0 is empty."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for fd in _open_descriptors():
        if fd > 2:
            with contextlib.suppress(OSError):  # the one that has listed them, and those that are not open
                os.set_inheritable(fd, False)


def _open_descriptors() -> Iterable[int]:
    """Those of this process; where the system does not list them, as without /proc, all that there may be."""
    try:
        return [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - pathlib is not imported
    except FileNotFoundError:
        return range(os.sysconf("SC_OPEN_MAX"))


def _be_as_any_other() -> None:
    """Handle signals as a program does that a shell has started. One that waits is delivered now.

    An exec keeps an ignored signal ignored: those that Python ignores, and those that the daemon was started with. With
    its stop signal ignored no program would stop.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) in {signal.SIG_IGN, signal.default_int_handler}:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
