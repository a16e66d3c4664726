"""Poller: the descriptors one thread waits on.

A descriptor that epoll does not take (ENOSPC, the user's limit of watches; ENOMEM) is watched with poll, a little
slower. An epoll that fails, in whatever way, is replaced. Watching and waiting never fail.

Belongs to one thread at a time.
"""

from __future__ import annotations

import contextlib
import select
import time
from typing import Any, Final

Ready = list[tuple[int, int]]
"""Descriptors that are ready, each with its events."""

PACE: Final = 0.02  # seconds between two looks at descriptors that epoll does not take


class Poller:
    """epoll where there is one, and poll for the rest.

    Raises:
        OSError: the system has no descriptor or no memory left for it.
    """

    def __init__(self) -> None:
        self._epoll: Any = select.epoll() if hasattr(select, "epoll") else None
        self._taken: set[int] = set()  # by epoll
        self._rest: dict[int, Any] = {}  # by descriptor: a poll object of its own

    def wait(self, timeout: float) -> Ready:
        """The descriptors that are ready, after at most this many seconds."""
        try:
            aside = self._rest or self._epoll is None
            ready: Ready = self._wait_with_poll(timeout) if aside else self._epoll.poll(timeout)
        except Exception:  # ENOMEM; or other code in the daemon has closed epoll's descriptor
            self._begin_again()
            time.sleep(PACE)
            return []
        return ready

    def add(self, fd: int) -> None:
        """Watch a descriptor; an error or a hang-up also makes it readable."""
        if self._epoll is not None:
            with contextlib.suppress(Exception):  # ENOSPC, or no memory here
                self._epoll.register(fd, select.POLLIN)  # the same number for epoll
                self._taken.add(fd)
                return
        self._rest[fd] = poll = select.poll()
        poll.register(fd, select.POLLIN)

    def drop(self, fd: int) -> None:
        """Stop watching it."""
        self._taken.discard(fd)
        if self._rest.pop(fd, None) is None and self._epoll is not None:
            with contextlib.suppress(Exception):  # it was closed before
                self._epoll.unregister(fd)

    def close(self) -> None:
        """Close the epoll descriptor."""
        if self._epoll is not None:
            with contextlib.suppress(OSError):  # other code in the daemon has closed it
                self._epoll.close()

    def _wait_with_poll(self, timeout: float) -> Ready:
        if self._epoll is not None:
            ready: Ready = [found for poll in self._rest.values() for found in poll.poll(0)]
            return [*ready, *self._epoll.poll(0 if ready else min(timeout, PACE))]
        poll = select.poll()
        for fd in self._rest:
            poll.register(fd, select.POLLIN)
        return poll.poll(timeout * 1000)

    def _begin_again(self) -> None:
        """Watch the same descriptors with another epoll, or without one."""
        watched = [*self._taken, *self._rest]
        self.close()
        self._taken.clear()
        self._rest.clear()
        if self._epoll is not None:
            self._epoll = None
            with contextlib.suppress(Exception):
                self._epoll = select.epoll()
        for fd in watched:
            self.add(fd)
