"""Duplex: one end of the private connection between the daemon and one process: a pipe in, a pipe out.

No third process holds an end, so the end of a process is the end of its connection. What is written is in the kernel
and outlives its writer.

Two pipes, not a socket pair: a small message through a pipe costs the kernel half as much. The descriptors are closed
by `close`, or by the exit of the process.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from functools import partial
from multiprocessing import context, reduction
from typing import Any, Self

from actors.event import adopt, close_fd


class Duplex:
    """One end. `recv` and `send` are the system calls; whether they block is set on the descriptors.

    Attributes:
        incoming: the descriptor to read from; -1 once it is closed.
        outgoing: the descriptor to write to; -1 once it is closed.
        recv: reads at most this many bytes; none when the other side has closed.
        send: writes; returns how many bytes were taken.
    """

    __slots__ = ("_poll", "incoming", "outgoing", "recv", "send")

    def __init__(self, incoming: int, outgoing: int) -> None:
        self.incoming = incoming
        self.outgoing = outgoing
        self._poll: select.poll | None = None
        self.recv: Callable[[int], bytes] = partial(os.read, incoming)
        self.send: Callable[[bytes | bytearray | memoryview], int] = partial(os.write, outgoing)

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """The two ends of a new connection; both block."""
        one_in, other_out = os.pipe()
        try:
            other_in, one_out = os.pipe()
        except BaseException:
            close_fd(one_in)
            close_fd(other_out)
            raise
        return cls(one_in, one_out), cls(other_in, other_out)

    def send_all(self, data: bytes | memoryview) -> None:
        """Write all of it; for an end that blocks.

        Raises:
            BrokenPipeError: the other side has closed.
        """
        sent = self.send(data)
        while sent < len(data):  # a signal may interrupt a write
            data = memoryview(data)[sent:]
            sent = self.send(data)

    def readable(self, timeout: float | None) -> bool:
        """Whether there is something to receive within `timeout` seconds (None: wait without limit)."""
        poll = self._poll
        if poll is None:
            poll = self._poll = select.poll()
            poll.register(self.incoming, select.POLLIN)
        return bool(poll.poll(None if timeout is None else max(0.0, timeout) * 1000))

    def fileno(self) -> int:
        """The descriptor that is readable when something arrives."""
        return self.incoming

    def set_blocking(self, *, blocking: bool) -> None:
        """Set the blocking mode of this end only."""
        for fd in (self.incoming, self.outgoing):
            os.set_blocking(fd, blocking)

    def close_incoming(self) -> None:
        """Close the reading descriptor. May be called twice."""
        fd, self.incoming = self.incoming, -1
        close_fd(fd)

    def close_outgoing(self) -> None:
        """Close the writing descriptor: the other side reads end of file. May be called twice."""
        fd, self.outgoing = self.outgoing, -1
        close_fd(fd)

    def close(self) -> None:
        """Close both. May be called twice."""
        self.close_incoming()
        self.close_outgoing()

    def __getstate__(self) -> tuple[Any, Any]:
        context.assert_spawning(self)
        return reduction.DupFd(self.incoming), reduction.DupFd(self.outgoing)

    def __setstate__(self, state: tuple[Any, Any]) -> None:
        incoming, outgoing = state
        self.__init__(adopt(incoming), adopt(outgoing))  # type: ignore[misc]  # a constructor of what is sent
