"""Readiness: which clients of a control socket have sent something, for at most a millisecond of a turn of the loop.

The loop watches one descriptor, an epoll that holds those of all clients. Whatever many clients do together, the loop
does other things between any few of them. Where there are many, they are looked at together, a few times a second:
what one costs by itself is mostly that the processor has to fetch code and data again which messages have displaced.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import time
from collections.abc import Callable
from typing import Any, Final

FEW: Final = 4  # descriptors of one look
BUDGET: Final = 0.001  # seconds of one turn after which the next descriptor waits for the next turn
MANY: Final = 16  # clients, up to which each is served at once
REST: Final = 0.05  # seconds between two turns where there are more

OnReady = Callable[[bool, bool], None]
"""Takes whether a descriptor is readable, which an error and a hang-up are too, and whether it is writable."""


class Readiness:
    """Watches descriptors for the loop. Where there is no epoll, the loop watches each of them itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: dict[int, OnReady] = {}
        self._rest: asyncio.TimerHandle | None = None  # after which the next turn is taken
        self._epoll: Any = None
        with contextlib.suppress(OSError, AttributeError), contextlib.ExitStack() as undo:
            epoll = select.epoll()
            undo.callback(epoll.close)
            loop.add_reader(epoll.fileno(), self._turn)
            undo.pop_all()
            self._epoll = epoll

    def add(self, fd: int, on_ready: OnReady) -> None:
        """Watch whether a descriptor is readable.

        Raises:
            OSError: the system has no memory, or no watch of this user's, left for it.
        """
        if self._epoll is None:
            self._loop.add_reader(fd, on_ready, True, False)
        else:
            self._epoll.register(fd, select.EPOLLIN)
        self._watched[fd] = on_ready

    def await_writable(self, fd: int, *, wanted: bool) -> None:
        """Watch also whether a descriptor is writable, or not any more."""
        if self._epoll is not None:
            with contextlib.suppress(OSError):
                self._epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT if wanted else select.EPOLLIN)
        elif wanted:
            self._loop.add_writer(fd, self._watched[fd], False, True)
        else:
            self._loop.remove_writer(fd)

    def drop(self, fd: int) -> None:
        """Stop watching a descriptor."""
        if self._watched.pop(fd, None) is None:
            return
        if self._epoll is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)
        else:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)

    def close(self) -> None:
        """Stop watching."""
        for fd in tuple(self._watched):
            self.drop(fd)
        if self._rest is not None:
            self._rest.cancel()
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _turn(self) -> None:
        found = True
        try:
            found = self._look()
        finally:  # also where one failed, as without memory: the others are served on
            if found and len(self._watched) > MANY:
                if self._rest is None:
                    self._loop.remove_reader(self._epoll.fileno())
                self._rest = self._loop.call_later(REST, self._turn)
            elif self._rest is not None:
                self._watch()

    def _watch(self) -> None:
        """Let the loop watch the epoll again; where the system has no memory for that, after another rest."""
        self._rest = None
        try:
            self._loop.add_reader(self._epoll.fileno(), self._turn)
        except OSError:
            self._rest = self._loop.call_later(REST, self._turn)

    def _look(self) -> bool:
        """Serve those that are ready, in the order in which they became so; returns whether there was one."""
        found, until = False, time.perf_counter() + BUDGET
        while ready := self._epoll.poll(0, FEW):  # those that it returned are the last of the next time
            for fd, events in ready:
                on_ready = self._watched.get(fd)
                if on_ready is not None:
                    on_ready(bool(events & ~select.EPOLLOUT), bool(events & select.EPOLLOUT))
                if time.perf_counter() > until:
                    return True
            found = True
        return found
