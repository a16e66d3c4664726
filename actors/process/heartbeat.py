"""Heartbeat: a thread that answers whether this process's interpreter runs.

It sleeps in the kernel until a signal asks; then it needs the interpreter's lock for one store into the black box. An
answer shows that Python code runs; silence shows that something holds the lock, for instance a loop in C.

Runs in the actor's process, in a thread of its own; started only where handlers have a limit.
"""

from __future__ import annotations

import signal
import threading
from typing import Final

from actors.ipc.blackbox import BlackBox

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
    """From now on HEARTBEAT_SIGNAL increments the box's pulse, as long as the interpreter runs."""
    if HEARTBEAT_SIGNAL is None:
        return
    wanted = {HEARTBEAT_SIGNAL}

    def answer() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the actor's own threads handle signals
        while True:
            signal.sigwait(wanted)
            box.beat()

    threading.Thread(target=answer, name="actors-heartbeat", daemon=True).start()
