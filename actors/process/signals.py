"""Signals: an actor catches the signals that stop a whole service and does nothing; the daemon decides what follows.

SIGINT, SIGTERM and SIGHUP have no effect on an actor. They are not ignored, so programs that it starts
handle them as usual.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Final

LEFT_TO_THE_DAEMON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Sent to whole groups: by a terminal, by systemd to a control group, by an init. Blocked from the spawn until
`leave_to_the_daemon`, so that no interpreter dies of one while it starts."""


def leave_to_the_daemon() -> None:
    """From now on these signals do nothing here; an actor may set handlers of its own.

    They are caught, not ignored: an ignored signal stays ignored in every program that this process executes, while a
    handler ends at `exec`. A plain fork gets Python's default handling back. What the daemon itself ignores (SIGHUP
    under nohup) stays ignored here.
    """
    for number in LEFT_TO_THE_DAEMON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _let_pass)
            signal.siginterrupt(number, False)  # a system call in C code is restarted
    os.register_at_fork(after_in_child=_be_as_any_other)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT_TO_THE_DAEMON)


def _let_pass(number: int, frame: FrameType | None) -> None:
    """Does nothing: the daemon gets the signal, too."""


def _be_as_any_other() -> None:
    """Restore the default handling. Runs in a fork of the actor, in the thread that forked."""
    for number in LEFT_TO_THE_DAEMON:
        if signal.getsignal(number) is _let_pass:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
