"""Function main: what the process of a function runs: from a bare interpreter to the exit.

It begins as an actor's process does. There is no mailbox, so it sends at most one frame, its crash report. SIGTERM
raises SystemExit in the function once the daemon has asked it to stop; at another time it does nothing, since it may
have been sent to the whole service.

Runs in the function's process, in its main thread.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Mapping
from multiprocessing import util
from types import FrameType
from typing import Any, cast

from actors.child.beginning import await_start, import_module, only_importing
from actors.child.exiting import leave
from actors.event import SafeEvent
from actors.ipc.blackbox import BlackBox
from actors.ipc.channel import Channel
from actors.ipc.output_pipe import OutputPipe
from actors.ipc.pipes import Duplex
from actors.output.capture import Output, flush_streams
from actors.process.memory import Reserve, peak_memory
from actors.process.setup import become, bind, guard
from actors.process.tracebacks import ActorFailed
from actors.wire.codec import encode
from actors.wire.to_child import StartActor

Content = tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]
"""A function, its positional and its keyword arguments."""


class Call:
    """A function and its arguments, on their way into its process. Picklable only while a process is being spawned.

    They stay bytes there until the process is set up. Queues, events and pipes among the arguments arrive as those of
    `multiprocessing.Process` do.

    Args:
        function: what is called.
        args: its positional arguments.
        kwargs: its keyword arguments.
        ready: name of the keyword argument that gets the callable with which it says that it is ready; empty for a
            function that is ready when it is called.
    """

    def __init__(
        self, function: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any], ready: str
    ) -> None:
        self._content = function, args, dict(kwargs)
        self._pickled = b""
        self.ready = ready

    def __getstate__(self) -> tuple[bytes, str]:
        from actors.queue.pickling import pickled  # noqa: PLC0415 - the daemon pickles it

        return pickled(self._content), self.ready

    def __setstate__(self, state: tuple[bytes, str]) -> None:
        self._pickled, self.ready = state

    def content(self) -> Content:
        """The function and its arguments; imports their modules."""
        return cast("Content", pickle.loads(self._pickled))


class Stopped(SystemExit):
    """Raised in the function when the daemon has asked it to stop."""


def main(  # noqa: PLR0917 - what spawn passes, once
    duplex: Duplex,
    box: BlackBox,
    ready: SafeEvent,
    stop: SafeEvent,
    output_pipe: OutputPipe,
    daemon: int,
    mark: str,
    call: Call,
) -> None:
    """Call one function, then exit. The arguments up to `mark` are as in `actors.child.main`."""
    _bound = bind(daemon, mark)
    guard(box)
    _stop_by_sigterm(stop)
    leave(_run_and_report(Channel(duplex), box, ready, stop, call, output_pipe=output_pipe))


def _run_and_report(
    channel: Channel, box: BlackBox, ready: SafeEvent, stop: SafeEvent, call: Call, *, output_pipe: OutputPipe
) -> int:
    """Call the function, and report how it ended; returns the exit code."""
    reserve = Reserve()
    try:
        _run(channel, box, ready, stop, call, output_pipe=output_pipe)
    except BaseException as error:
        reserve.release()
        failed = error if isinstance(error, ActorFailed) else ActorFailed("outside of the function", error)
        channel.send(encode(failed.crash_report()))
        return failed.exit_code
    else:
        return 0
    finally:
        flush_streams()
        output_pipe.settle()
        box.recorder.note_peak(peak_memory())


def _stop_by_sigterm(stop: SafeEvent) -> None:
    """From now on SIGTERM raises Stopped once the daemon has asked for that. In a fork it acts as in any program."""

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what signal passes
        _stop_if_asked(stop)

    def forked() -> None:
        if signal.getsignal(signal.SIGTERM) is handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    os.register_at_fork(after_in_child=forked)
    signal.signal(signal.SIGTERM, handle)


def _stop_if_asked(stop: SafeEvent) -> None:
    if stop.is_set():
        raise Stopped


def _run(
    channel: Channel, box: BlackBox, ready: SafeEvent, stop: SafeEvent, call: Call, *, output_pipe: OutputPipe
) -> None:
    """Call the function, until it returns or is stopped; what it has put into queues is sent."""
    try:
        _call(channel, box, ready, stop, call, output_pipe=output_pipe)
    except ActorFailed as failed:
        if not isinstance(failed.error, Stopped):
            raise
    except Stopped:
        pass
    finally:
        signal.signal(signal.SIGTERM, _let_pass)
        util._exit_function()  # type: ignore[attr-defined]  # noqa: SLF001 - the queues' threads send what was put


def _call(
    channel: Channel, box: BlackBox, ready: SafeEvent, stop: SafeEvent, call: Call, *, output_pipe: OutputPipe
) -> None:
    start = await_start(channel, box)
    output = Output(output_pipe, captured=start.captured)
    output.begin()
    output.level = start.log_level
    become(start, box)
    function, args, kwargs = _imported(start, call)
    output.relay_loggers()
    if call.ready:
        kwargs[call.ready] = ready.set
    else:
        ready.set()
    _stop_if_asked(stop)
    try:
        function(*args, **kwargs)
    except BaseException as error:
        raise ActorFailed(f"in {start.qualname}", error) from error
    if not stop.is_set():
        box.recorder.leave()


def _imported(start: StartActor, call: Call) -> Content:
    """The function and its arguments.

    Raises:
        ActorFailed: a module of them cannot be imported.
    """
    try:
        with only_importing():
            if start.main:
                import_module("__main__", start.main)
            return call.content()
    except BaseException as error:
        raise ActorFailed(f"importing {start.qualname} and its arguments", error) from error


def _let_pass(number: int, frame: FrameType | None) -> None:
    """The function has ended."""
