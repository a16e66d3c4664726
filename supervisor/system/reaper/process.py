"""ReaperProcess: one orphan reaper as the daemon sees it, from its start until it is reaped.

Its methods are callable from the loop's thread and from the one that spawns.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from multiprocessing import spawn, util
from typing import Any

from actors.event import close_fd, readable
from supervisor.core.health.condition import Condition
from supervisor.system.pidfd import open_pidfd, send_signal
from supervisor.system.procfs import condition
from supervisor.system.reaper import orphan_reaper


class ReaperProcess:
    """One reaper process.

    Started without `subprocess`, which gevent replaces by one that takes every child's exit code.

    Attributes:
        sock: the daemon's end of the connection.
        unanswered: numbers of the lives of whose end it was told and has not answered yet.

    Raises:
        OSError: it could not be started.
    """

    def __init__(self, command: list[str], tree: str, held: tuple[int, ...]) -> None:
        self.sock, its = socket.socketpair()
        try:
            words = [*command, str(os.getpid()), tree, str(its.fileno())]
            executable = os.fsencode(spawn.get_executable())
            self._pid = util.spawnv_passfds(executable, [os.fsencode(word) for word in words], [its.fileno(), *held])
        except BaseException:
            self.sock.close()
            raise
        finally:
            its.close()
        self.unanswered: set[int] = set()
        self._ended = False
        self._pidfd = open_pidfd(self._pid)

    def kill(self) -> None:
        """SIGKILL, unless it is reaped."""
        if not self._ended:
            with contextlib.suppress(PermissionError):
                send_signal(self._pid, self._pidfd, signal.SIGKILL)

    def condition(self) -> Condition:
        """How the kernel treats it."""
        return condition(self._pid)

    def has_spoken(self) -> bool:
        """Whether there is an answer to read."""
        with contextlib.suppress(OSError, ValueError):
            return readable(self.sock.fileno())
        return False

    def gone_within(self, seconds: float) -> bool:
        """Wait up to this long for its end; returns whether it came."""
        poll = select.poll()
        if self._pidfd >= 0:
            poll.register(self._pidfd, select.POLLIN)
        else:
            poll.register(self.sock, 0)  # wakes on hang-up only
        try:
            return bool(poll.poll(seconds * 1000))
        except OSError:
            return False

    def wait(self) -> int | None:
        """Wait for the end of an ending process; its exit code, None when another part of the daemon has taken it."""
        code = None
        if not self._ended:
            self._ended = True
            with contextlib.suppress(ChildProcessError):
                code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
            if self._pidfd >= 0:
                fd, self._pidfd = self._pidfd, -1
                close_fd(fd)
        return code


def command() -> list[str]:
    """The beginning of its command line. From an archive its source is passed along.

    Raises:
        OSError: the module has neither a file nor a source.
    """
    start = [os.fsdecode(spawn.get_executable()), "-I", "-S"]
    if os.path.isfile(orphan_reaper.__file__):
        return [*start, orphan_reaper.__file__]
    loader: Any = getattr(orphan_reaper.__spec__, "loader", None)
    source = loader.get_source(orphan_reaper.__name__) if hasattr(loader, "get_source") else None
    if source is None:
        raise OSError(f"neither its file nor its source can be read: {orphan_reaper.__file__}")
    return [*start, "-c", source]
