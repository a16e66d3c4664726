"""Heartbeat: a thread that answers whether this process's interpreter runs, and where its threads are.

It sleeps in the kernel until a signal asks; then it needs the interpreter's lock to write the stacks and one count into
the black box. An answer shows that Python code runs; no thread of it moves while the lock is held. Silence shows that
something else holds the lock, for instance a loop in C: then DUMP_SIGNAL asks faulthandler's C code, which runs in this
thread without the lock. No thread of the actor's is interrupted, so no system call of it is cut short.

Runs in the actor's process, in a thread of its own; started only where handlers have a limit.
"""

from __future__ import annotations

import faulthandler
import signal
import threading
from typing import Final

from actors.ipc.blackbox import BlackBox
from actors.process.diagnostics import accept_dumps, write_other_stacks

HEARTBEAT_THREAD: Final = "actors-heartbeat"
HEARTBEAT_SIGNAL: Final[int | None] = signal.SIGRTMAX - 3 if hasattr(signal, "SIGRTMAX") else None
"""Asks a process whether its interpreter runs; None where no signal is spare. Blocked from the spawn, so that
every thread inherits that, also one that a library starts while the actor's module is imported."""


def shield() -> None:
    """Make HEARTBEAT_SIGNAL harmless in this process: a thread that unblocks all signals does not die of it.

    Called before any user code is imported.
    """
    if HEARTBEAT_SIGNAL is not None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {HEARTBEAT_SIGNAL})
        signal.signal(HEARTBEAT_SIGNAL, signal.SIG_IGN)


def start_heartbeat(box: BlackBox) -> None:
    """From now on HEARTBEAT_SIGNAL puts stacks and one heartbeat more into the box while the interpreter runs.

    DUMP_SIGNAL is accepted by the same thread; where no signal is spare, by the calling one.
    """
    if HEARTBEAT_SIGNAL is None:
        accept_dumps()
        return
    wanted = {HEARTBEAT_SIGNAL}

    def answer() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the actor's own threads handle signals
        accept_dumps()
        while True:
            signal.sigwait(wanted)
            faulthandler.dump_traceback(box.fileno(), all_threads=True)
            write_other_stacks(box.fileno())
            box.recorder.beat()

    threading.Thread(target=answer, name=HEARTBEAT_THREAD, daemon=True).start()
