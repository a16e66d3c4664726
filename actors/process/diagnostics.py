"""Faults: what a process leaves in its black box when its interpreter cannot speak any more.

Everything is set up before any code of the user's runs; afterwards nothing of ours runs, only the C code of
faulthandler, which needs neither the interpreter's lock nor memory.

Runs in the actor's process, in its main thread. A deadly fault (SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL) writes the
Python stacks of all threads; so does DUMP_SIGNAL, after which the process goes on. An actor that calls
`faulthandler.enable` for itself takes its fatal stacks to where it says, its standard error for instance.
"""

from __future__ import annotations

import faulthandler
import signal
from typing import Final

from actors.ipc.blackbox import BlackBox

DUMP_SIGNAL: Final[int] = signal.SIGRTMAX - 2 if hasattr(signal, "SIGRTMAX") else signal.SIGUSR2
"""Asks a process for its stacks. Blocked from its spawn on until `record_faults`, because by default it is deadly."""


def record_faults(box: BlackBox) -> None:
    """From now on faults and DUMP_SIGNAL leave stacks in the box."""
    faulthandler.enable(box.fileno(), all_threads=True)
    faulthandler.register(DUMP_SIGNAL, file=box.fileno(), all_threads=True, chain=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {DUMP_SIGNAL})
