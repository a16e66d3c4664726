"""Main: the one function that spawned processes run: from a bare interpreter to a working actor, and to its exit.

First the process is bound to its daemon's life; every later error leaves as a crash report.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final, cast

import msgspec

from actors.actor import Actor
from actors.child.beginning import import_module, import_needs, only_importing
from actors.child.exiting import Exit, leave
from actors.child.fork import Copies
from actors.child.life import Life
from actors.child.messages.inbox import reader_of
from actors.child.serving import find_class, serve, serve_to_the_end, unpickled
from actors.errors import UsageError
from actors.event import SafeEvent
from actors.exits import EXIT_ORPHANED
from actors.ipc.blackbox import TEXT, BlackBox
from actors.ipc.channel import Channel
from actors.ipc.output_pipe import OutputPipe
from actors.ipc.pipes import Duplex
from actors.output.capture import Output, flush_streams
from actors.process.memory import Reserve, give_back, peak_memory
from actors.process.setup import become, bind, guard
from actors.process.tracebacks import EXIT_FAILED, ActorFailed, failure_of
from actors.protocol.protocol import ActorProtocol, protocol_of
from actors.wire.framing import Frame
from actors.wire.to_child import Preload, StartActor

_decode: Final = msgspec.msgpack.Decoder(StartActor | Preload).decode


def main(  # noqa: PLR0917 - what spawn passes, once
    duplex: Duplex, box: BlackBox, ready: SafeEvent, stop: SafeEvent, output_pipe: OutputPipe, daemon: int, mark: str
) -> None:
    """Run one actor, then exit.

    Args:
        duplex: this process's end of its channel.
        box: its black box.
        ready: set once `on_start` has returned.
        stop: set by the daemon when the actor must finish its message and exit.
        output_pipe: where it writes its output for the daemon's log.
        daemon: process id of the daemon.
        mark: marks this process and all its descendants.
    """
    _bound = bind(daemon, mark)
    guard(box)
    way_out = Exit()
    exit_code = _run_and_report(Channel(duplex), box, ready, stop, output_pipe, way_out)
    way_out.exit(exit_code)
    leave(exit_code)


def _run_and_report(  # noqa: PLR0917 - what spawn passes
    channel: Channel, box: BlackBox, ready: SafeEvent, stop: SafeEvent, output_pipe: OutputPipe, way_out: Exit
) -> int:
    """Run the actor until it ends, and report that; returns the exit code, and keeps nothing of the actor."""
    reserve = Reserve()
    copies = Copies(channel, box)
    os.register_at_fork(after_in_child=copies.begin)
    try:
        return serve_to_the_end(
            lambda: _run(channel, box, ready, stop, reserve, output_pipe=output_pipe, way_out=way_out, copies=copies),
            channel,
            reserve,
            copies,
        )
    finally:
        flush_streams()
        output_pipe.settle()
        box.recorder.note_peak(peak_memory())


def _run(
    channel: Channel,
    box: BlackBox,
    ready: SafeEvent,
    stop: SafeEvent,
    reserve: Reserve,
    *,
    output_pipe: OutputPipe,
    way_out: Exit,
    copies: Copies,
) -> None:
    start, frames, output = _await_start(channel, box, ready, output_pipe, way_out)
    output.level = start.log_level
    become(start, box)
    cls, protocol = _imported(start)
    life = Life(start, protocol, channel, box, stop, reserve=reserve, output=output, copies=copies)
    if frames:
        life.inbox.take_in(frames)
    with only_importing():
        args, kwargs = unpickled(start)
    output.relay_loggers()
    give_back()
    serve(cls, args, kwargs, life, ready)


def _imported(start: StartActor) -> tuple[type[Actor], ActorProtocol]:
    """The actor class, and its table of handlers.

    Raises:
        ActorFailed: its module cannot be imported, or has no such class.
    """
    try:
        with only_importing():
            if start.main:
                import_module("__main__", start.main)
            cls = find_class(start)
            protocol = protocol_of(cls)
            import_needs(protocol)
    except BaseException as error:
        raise ActorFailed(f"importing {start.module}:{start.qualname}", error) from error
    return cls, protocol


def _await_start(
    channel: Channel, box: BlackBox, ready: SafeEvent, output_pipe: OutputPipe, way_out: Exit
) -> tuple[StartActor, list[Frame], Output]:
    """The StartActor, and the frames that came with it. A spare waits here, and imports meanwhile."""
    output: Output | None = None
    while frames := channel.receive():
        for at, data in enumerate(frames):
            frame = _decode(cast("bytes", data))
            if output is None:
                output = Output(output_pipe, captured=frame.captured)
                output.begin()
                way_out.note_descriptors()
            if isinstance(frame, StartActor):
                box.recorder.take()
                return frame, frames[at + 1 :], output
            if frame.quiet:
                _import_ahead(frame, box)
            else:
                _preload(frame, box, channel if data is frames[-1] else None)
                ready.set()
    os._exit(EXIT_ORPHANED)


def _preload(preload: Preload, box: BlackBox, unread: Channel | None) -> None:
    """Import modules that actors may need, until one of them is to start here: until `unread` has something to read.

    The black box says which module, in case this process dies in it. One that raises ends the process without a crash
    report, which the channel of a life that has just got this process would take for its own.
    """
    for number, module in enumerate(preload.modules, 1):
        if unread is None or unread.readable(0):
            break
        box.recorder.import_module(number)
        try:
            with only_importing():
                import_module(module, preload.main)
                _read_actors(module)
        except BaseException as error:
            failure = failure_of(error)
            os.write(box.fileno(), f"{failure.type_name}: {failure.message}".encode()[:TEXT])
            os._exit(EXIT_FAILED)
    box.recorder.import_module(0)


def _import_ahead(preload: Preload, box: BlackBox) -> None:
    """Import the module of the life that is about to start; what is raised here is raised, and told, there again."""
    for number, module in enumerate(preload.modules, 1):
        box.recorder.import_module(number)
        with contextlib.suppress(BaseException), only_importing():
            import_module(module, preload.main)
            _read_actors(module)
    box.recorder.import_module(0)


def _read_actors(module: str) -> None:
    """Read the tables of the actors in a module, which takes longer than everything else at a start.

    Not of those with codecs: codecs count for the whole process, and this one may run another actor.
    """
    for value in list(vars(sys.modules[module]).values()):
        if isinstance(value, type) and issubclass(value, Actor) and value.__module__ == module and not value.codecs:
            with contextlib.suppress(UsageError):  # the supervisor of a class that cannot work reports it
                protocol = protocol_of(value)
                reader_of(protocol)
                import_needs(protocol)
