"""OutputPipe: the child's end of the pipe that carries everything its process writes.

A record is written whole or not at all. When the pipe is full, it waits at most PATIENCE, once; then records are
dropped and counted, and the count goes ahead of the next record that fits.

Runs in the actor's process, on any of its threads. The daemon makes it and passes it on at the spawn.
"""

from __future__ import annotations

import os
import select
import threading
from multiprocessing import context, reduction
from typing import Any, Final

from actors.event import adopt, close_fd
from actors.wire.log_lines import Lost, Record, lost_line, record_line

PATIENCE: Final = 50  # milliseconds the first record waits for room; later ones do not wait until one has fitted


class OutputPipe:
    """Where an actor's process writes its log records. Picklable only while a process is being spawned.

    Attributes:
        lock: held while a record is made and written; new in a forked process, which lacks the parent's threads.
    """

    def __init__(self, fd: int) -> None:
        self.lock = threading.RLock()
        self._fd = fd
        self._blocks = True
        self._patient = True
        self._lost = Lost(0, 0)

    def close(self) -> None:
        """Close it in this process."""
        close_fd(self._fd)

    def __getstate__(self) -> Any:
        context.assert_spawning(self)
        return reduction.DupFd(self._fd)

    def __setstate__(self, handle: Any) -> None:
        self.__init__(adopt(handle))  # type: ignore[misc]
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        self.lock = threading.RLock()

    # ---- in the actor's process

    def open(self, *fds: int) -> None:
        """Redirect these descriptors into the pipe and start sending records."""
        for fd in fds:
            os.dup2(self._fd, fd)
        self._fd, self._blocks = _unblocked(self._fd)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)

    def say(self, level: str, event: str, fields: dict[str, Any]) -> None:
        """Send one record."""
        self.send(record_line(Record(level, event, fields)))

    def send(self, line: bytes) -> None:
        """Send one encoded record, behind the count of those that were lost before it."""
        with self.lock:
            if self._write(self._losses() + line):
                self._lost = Lost(0, 0)
            else:
                self._lost = Lost(self._lost.lines + 1, self._lost.size + len(line))

    def settle(self) -> None:
        """Send the count of lost records when no record follows."""
        with self.lock:
            if self._lost.lines and self._write(self._losses()):
                self._lost = Lost(0, 0)

    def _losses(self) -> bytes:
        return lost_line(self._lost) if self._lost.lines else b""

    def _write(self, line: bytes) -> bool:
        try:
            while not self._wrote(line):
                if not (self._patient and self._poll.poll(PATIENCE)):
                    self._patient = False
                    return False
        except OSError:  # the actor has closed its descriptors, or the daemon is gone
            return False
        self._patient = True
        return True

    def _wrote(self, line: bytes) -> bool:
        if self._blocks and not self._poll.poll(0):
            return False
        try:
            os.write(self._fd, line)
        except BlockingIOError:
            return False
        return True


def _unblocked(fd: int) -> tuple[int, bool]:
    """A non-blocking descriptor of the same pipe, and whether it may still block.

    Blocking mode belongs to the open file description, and programs that print to the pipe expect it to block. Only
    Linux can open the same pipe a second time with a description of our own.
    """
    try:
        own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return fd, True
    os.close(fd)
    return own, False
