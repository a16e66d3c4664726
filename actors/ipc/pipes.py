"""Duplex: one end of the private connection between the daemon and one process: a pipe in, a pipe out.

Nobody else ever holds an end, so the end of a process is the end of its connection; what is written is in the
kernel and outlives its writer.

Two pipes, and no socket pair: a small message through a pipe costs the kernel half as much. Belongs to whoever made it
or got it; the descriptors are closed by `close`, or by the end of the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from multiprocessing import context, reduction
from typing import Any, Self

from actors.event import adopt


class Duplex:
    """One end. `recv` and `send` are the system calls themselves, and block as the descriptors do.

    Attributes:
        incoming: the descriptor to read from; -1 once it is closed.
        outgoing: the descriptor to write to; -1 once it is closed.
        recv: takes at most so many bytes; none at the end of the other side.
        send: writes; how many bytes were taken.
    """

    __slots__ = ("incoming", "outgoing", "recv", "send")

    def __init__(self, incoming: int, outgoing: int) -> None:
        self.incoming = incoming
        self.outgoing = outgoing
        self.recv: Callable[[int], bytes] = partial(os.read, incoming)
        self.send: Callable[[bytes | memoryview], int] = partial(os.write, outgoing)

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Two ends of a new connection; both block."""
        one_in, other_out = os.pipe()
        try:
            other_in, one_out = os.pipe()
        except BaseException:
            os.close(one_in)
            os.close(other_out)
            raise
        return cls(one_in, one_out), cls(other_in, other_out)

    def send_all(self, data: bytes | memoryview) -> None:
        """Write all of it; on an end that blocks.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        sent = self.send(data)
        while sent < len(data):  # a signal came between
            data = memoryview(data)[sent:]
            sent = self.send(data)

    def fileno(self) -> int:
        """The descriptor that is readable when something arrives."""
        return self.incoming

    def set_blocking(self, *, blocking: bool) -> None:
        """Whether `recv` and `send` wait; the other end has its own mind."""
        for fd in (self.incoming, self.outgoing):
            os.set_blocking(fd, blocking)

    def close_incoming(self) -> None:
        """Read no more. May be called twice."""
        fd, self.incoming = self.incoming, -1
        if fd >= 0:
            os.close(fd)

    def close_outgoing(self) -> None:
        """Write no more: the other side comes to its end. May be called twice."""
        fd, self.outgoing = self.outgoing, -1
        if fd >= 0:
            os.close(fd)

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
