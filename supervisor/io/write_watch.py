"""WriteWatch: waits for room in descriptors, with the event loop.

A descriptor that the loop does not take (ENOSPC, ENOMEM) is looked at every PACE seconds.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import select

from supervisor.io.fds import OnReady
from supervisor.io.poller import PACE


class WriteWatch:
    """Reports once when a descriptor takes data again.

    Attributes:
        watched: the descriptors, and the next look at each; None where the loop watches it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.watched: dict[int, asyncio.TimerHandle | None] = {}
        self._loop = loop

    def once(self, fd: int, on_ready: OnReady) -> None:
        """Call `on_ready` once, when `fd` takes data again, or is broken."""

        def writable() -> None:
            self.forget(fd)
            on_ready()

        self.watched[fd] = None
        try:
            self._loop.add_writer(fd, writable)
        except OSError:
            self._look_later(fd, writable)

    def forget(self, fd: int) -> None:
        """Stop watching `fd`, which is watched."""
        look = self.watched.pop(fd)
        if look is not None:
            look.cancel()
        self._loop.remove_writer(fd)

    def close(self) -> None:
        """Stop watching everything."""
        for fd in tuple(self.watched):
            self.forget(fd)

    def _look_later(self, fd: int, writable: OnReady) -> None:
        self.watched[fd] = self._loop.call_later(PACE, self._look, fd, writable)

    def _look(self, fd: int, writable: OnReady) -> None:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        ready = False
        with contextlib.suppress(OSError):
            ready = bool(poll.poll(0))
        if ready:
            writable()
        else:
            self._look_later(fd, writable)
