"""Leases: answers the guards of this daemon's agents, each of which kills its agent when no answer comes.

Runs in a thread of its own, so a busy event loop ends no life. An answer renews the lease there for at most `lease`
seconds from now on: the guard counts from its question, which was earlier. So once an agent has been without an answer
for that long, and a slack for clocks and for the kernel, nothing of it runs any more.

Where the loop was closed and the tree was never left, the thread answers no more either, and ends.

The other side of a connection is held by the guard, by the agent, by each life until it ends, and by the orphan reaper
until nothing is left of any life. So when it ends in good order, nothing runs there any more either.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from supervisor.cluster.forks import close_in_forks

ORPHAN_CHECK: Final = 0.5  # seconds between looks whether the loop was closed without closing us

_MOST: Final = 4096  # bytes of questions at once


class Leases:
    """The leases of one tree's agents. Its methods run on any thread.

    Args:
        loop: of the tree.
        on_orphaned: the thread's last job when the loop was closed first.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_orphaned: Callable[[], None]) -> None:
        self._loop = loop
        self._on_orphaned = on_orphaned
        self._answered: dict[socket.socket, float] = {}
        self._on_end: dict[socket.socket, Callable[[OSError | None], None]] = {}
        self._abandoned: set[socket.socket] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="actors-leases", daemon=True)
        self._thread.start()

    def add(self, sock: socket.socket, on_end: Callable[[OSError | None], None]) -> None:
        """Answer the guard at the other end; `on_end` is called in the thread, with an error unless it has closed."""
        sock.setblocking(False)
        close_in_forks(sock)
        with self._lock:
            self._answered[sock] = time.monotonic()
            self._on_end[sock] = on_end
            self._selector.register(sock, selectors.EVENT_READ)
        self._stir()

    def answered(self, sock: socket.socket) -> float:
        """time.monotonic() of the last answer."""
        return self._answered.get(sock, 0.0)

    def abandon(self, sock: socket.socket) -> None:
        """Answer no more; `answered` stays known. The guard sees the end of the connection, or its lease runs out."""
        with self._lock, contextlib.suppress(OSError):
            self._abandoned.add(sock)
            sock.shutdown(socket.SHUT_WR)

    def drop(self, sock: socket.socket) -> None:
        """Forget it."""
        with self._lock:
            self._abandoned.discard(sock)
            self._on_end.pop(sock, None)
            if self._answered.pop(sock, None) is not None:
                with contextlib.suppress(KeyError):  # its end was seen
                    self._selector.unregister(sock)
                sock.close()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._stir()
        self._thread.join()
        self._end()

    def _end(self) -> None:
        """Nothing is answered any more: every guard sees the end of its connection."""
        for sock in tuple(self._answered):
            self.drop(sock)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _stir(self) -> None:
        with contextlib.suppress(OSError):
            self._wake.send(b"!")

    def _run(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select(ORPHAN_CHECK):
                sock = key.fileobj
                if isinstance(sock, socket.socket):
                    self._answer(sock)
            if self._loop.is_closed():
                self._end()
                self._on_orphaned()
                return

    def _answer(self, sock: socket.socket) -> None:
        with self._lock:
            if sock is self._woken:
                sock.recv(_MOST)
            elif sock in self._answered:
                try:
                    if self._echoed(sock):
                        return
                    error = None
                except OSError as broken:
                    error = broken
                self._selector.unregister(sock)
                self._on_end[sock](error)

    def _echoed(self, sock: socket.socket) -> bool:
        """Answer what was asked; False at the end of the connection."""
        with contextlib.suppress(BlockingIOError):
            data = sock.recv(_MOST)
            if not data:
                return False
            if sock not in self._abandoned:
                self._answered[sock] = time.monotonic()  # before it is sent
                sock.send(data)
        return True
