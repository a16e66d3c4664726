"""Pulse: a thread that answers whether this process's interpreter runs.

It sleeps in the kernel until it is asked; then it needs the interpreter's lock for one store into the black box.
So an answer shows that Python code runs, and silence that something holds the lock, a loop in C for instance.

Runs in the actor's process, in a thread of its own; started only where handlers have a limit.
"""

from __future__ import annotations

import signal
import threading
from typing import Final

from actors.ipc.blackbox import BlackBox

PULSE_SIGNAL: Final[int | None] = signal.SIGRTMAX - 3 if hasattr(signal, "SIGRTMAX") else None
"""Asks a process for a sign of life; None where the system has no signal to spare. Blocked from the spawn on, so that
every thread of the process inherits that, also one that a library starts while the actor's module is imported."""


def shield() -> None:
    """Make PULSE_SIGNAL harmless in this process: a thread that unblocks all signals does not die of it.

    Called before any code of the user's is imported.
    """
    if PULSE_SIGNAL is not None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {PULSE_SIGNAL})
        signal.signal(PULSE_SIGNAL, signal.SIG_IGN)


def start_pulse(box: BlackBox) -> None:
    """From now on PULSE_SIGNAL makes the box's pulse go up, as long as the interpreter runs."""
    if PULSE_SIGNAL is None:
        return
    wanted = {PULSE_SIGNAL}

    def answer() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are meant for the actor's threads
        while True:
            signal.sigwait(wanted)
            box.beat()

    threading.Thread(target=answer, name="actors-pulse", daemon=True).start()
