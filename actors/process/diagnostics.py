"""Diagnostics: the stacks a process writes into its black box when its interpreter is stuck or has crashed.

Everything is set up before any user code runs. Later only the C code of faulthandler runs, which needs neither the
interpreter's lock nor memory.

Runs in the actor's process, in its main thread. A fatal fault (SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL) writes the
Python stacks of all threads; so does DUMP_SIGNAL, after which the process continues. An actor that calls
`faulthandler.enable` itself sends its fatal stacks elsewhere.
"""

from __future__ import annotations

import faulthandler
import signal
from typing import Final

from actors.ipc.blackbox import BlackBox

DUMP_SIGNAL: Final[int] = signal.SIGRTMAX - 2 if hasattr(signal, "SIGRTMAX") else signal.SIGUSR2
"""Asks a process for its stacks. Blocked from the spawn until `record_faults`, because it kills by default."""


def record_faults(box: BlackBox) -> None:
    """From now on faults and DUMP_SIGNAL write stacks into the box."""
    faulthandler.enable(box.fileno(), all_threads=True)
    faulthandler.register(DUMP_SIGNAL, file=box.fileno(), all_threads=True, chain=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {DUMP_SIGNAL})
