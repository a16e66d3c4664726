"""Pidfd: a child process by a descriptor where the system has that (Linux), else by its number.

Runs on any thread.
"""

from __future__ import annotations

import contextlib
import os
import signal

from supervisor.system.post_mortem import has_ended


def open_pidfd(pid: int) -> int:
    """A descriptor that becomes readable when the process ends; -1 where there is none to be had."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return -1


def send_signal(pid: int, pidfd: int, number: int) -> None:
    """Send a signal to a child; nothing happens when it has ended.

    A pidfd that is refused (a filter of system calls answers ENOSYS or EPERM) is passed over: a child keeps its
    number until it is reaped.

    Raises:
        PermissionError: the process runs as another user.
    """
    with contextlib.suppress(ProcessLookupError):
        if not (pidfd >= 0 and _accepted(pidfd, number)) and not has_ended(pid):
            os.kill(pid, number)


def _accepted(pidfd: int, number: int) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        raise
    except OSError:
        return False
    return True
