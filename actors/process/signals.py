"""Signals: what stops a whole service reaches every process of it; what follows from it is the daemon's to decide.

An actor lets SIGINT, SIGTERM and SIGHUP pass, and everything that it starts meets them as in any other program.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Final

LEFT_TO_THE_DAEMON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Sent to whole groups: by a terminal, by systemd to a control group, by an init. Blocked from an actor's spawn until
`leave_to_the_daemon`, so that no interpreter dies of one while it starts."""


def leave_to_the_daemon() -> None:
    """From now on these signals do nothing here; an actor may set handlers of its own.

    They are caught, not ignored: what is ignored stays so in every program that this process executes, while a handler
    ends at `exec`. A mere fork gets Python's own handling back. What the daemon itself ignores (SIGHUP under nohup)
    stays ignored here.
    """
    for number in LEFT_TO_THE_DAEMON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _let_pass)
            signal.siginterrupt(number, False)  # a system call in C code goes on
    os.register_at_fork(after_in_child=_be_as_any_other)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT_TO_THE_DAEMON)


def _let_pass(number: int, frame: FrameType | None) -> None:
    """Nothing: the daemon hears of it, too."""


def _be_as_any_other() -> None:
    """Runs in a fork of the actor, in the thread that forked."""
    for number in LEFT_TO_THE_DAEMON:
        if signal.getsignal(number) is _let_pass:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
