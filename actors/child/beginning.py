"""Beginning: how the process of a life gets what it runs: its first frame, and the modules that this names.

Runs in that process, in its main thread.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing.process
import os
from collections.abc import Iterator
from multiprocessing import spawn
from typing import TYPE_CHECKING, Final, cast

import msgspec

from actors.exits import EXIT_ORPHANED
from actors.ipc.blackbox import BlackBox
from actors.ipc.channel import Channel
from actors.wire.to_child import StartActor

if TYPE_CHECKING:
    from actors.protocol.protocol import ActorProtocol

_decode: Final = msgspec.msgpack.Decoder(StartActor).decode
_MAIN: Final = ("__main__", "__mp_main__")  # its name in the program, and in what multiprocessing starts
_IMPORTING: Final = "_inheriting"  # multiprocessing's name for "do not start processes now"


def await_start(channel: Channel, box: BlackBox) -> StartActor:
    """Wait for the first frame of the life, in a process that is never a spare."""
    frames = channel.receive()
    if not frames:
        os._exit(EXIT_ORPHANED)
    start = _decode(cast("bytes", frames[0]))
    box.recorder.take()
    return start


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
    """Import a module; the daemon's main one as multiprocessing does in a spawned process, from what `main` says."""
    if module in _MAIN:
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
