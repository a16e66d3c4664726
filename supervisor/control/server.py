"""Control server: lets the clients of one control socket in and serves their requests.

    listener ─ accept ─▶ peer's uid ─▶ Connection ─┬───────▶ Operations ─▶ one reply, by a callback
                                                   └─ turn ─▶ Operations ─▶ replies, by a task

In a turn of the loop clients are let in and read for a millisecond, and at most one task begins, whatever the number
of clients. What most of them ask for, again and again, needs no task. Nothing of it is on the way of a message.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from supervisor.control.connection import Connection
from supervisor.control.frames import Failed, Trouble
from supervisor.control.framing import framed
from supervisor.control.operations import Operations
from supervisor.control.peer import may_control, peer_uid
from supervisor.control.readiness import Readiness
from supervisor.control.socket_path import Door
from supervisor.tree.engine import Engine

MOST: Final = 256  # clients at once
PAUSE: Final = 1.0  # seconds without new clients after the system had no descriptor left for one
SWEEP: Final = 1.0  # seconds between two looks for clients that are to be dropped
LAST_WORDS: Final = 0.5  # seconds in which followers of events get the last ones


class ControlServer:
    """Serves one control socket.

    Args:
        door: the listening socket.
        engine: of the root supervisor.
    """

    def __init__(self, door: Door, engine: Engine) -> None:
        self.path = door.path
        self._door = door
        self._loop = engine.tree.loop
        self._operations = Operations(engine)
        self._readiness = Readiness(self._loop)
        self._connections: set[Connection] = set()
        self._turns: deque[Callable[[], None]] = deque()
        self._pause: asyncio.TimerHandle | None = None
        self._sweeping = self._loop.call_later(SWEEP, self._sweep)
        self._listen()

    async def close(self) -> None:
        """Give the followers the last events, then end all connections and remove the socket."""
        try:
            self._sweeping.cancel()
            self._stop_listening()
            self._door.close()
            self._operations.close()
            tasks = [connection.task for connection in self._connections if connection.task is not None]
            if tasks:
                await asyncio.wait(tasks, timeout=LAST_WORDS)
        finally:
            for connection in tuple(self._connections):
                connection.drop()
            self._readiness.close()

    def _listen(self) -> None:
        self._pause = None
        try:
            self._readiness.add(self._door.listener.fileno(), self._accept)
        except OSError:
            self._pause = self._loop.call_later(PAUSE, self._listen)

    def _stop_listening(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._readiness.drop(self._door.listener.fileno())

    def _accept(self, readable: bool, writable: bool) -> None:  # noqa: ARG002 - see `OnReady`
        """Let one client in; another one that waits makes the listener ready again."""
        try:
            client, _ = self._door.listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:  # no descriptor, no memory
            self._stop_listening()
            self._pause = self._loop.call_later(PAUSE, self._listen)
            return
        try:
            client.setblocking(False)
            if not may_control(peer_uid(client)):
                client.close()
            elif len(self._connections) >= MOST:
                _turn_away(client)
            else:
                connection = Connection(
                    client, self._readiness, self._operations, self._take_turn, self._connections.discard
                )
                self._connections.add(connection)
                connection.take_in()
        except OSError:
            client.close()

    def _sweep(self) -> None:
        """Drop those that say nothing, or do not read the end."""
        now = self._loop.time()
        for connection in [connection for connection in self._connections if connection.drop_at <= now]:
            connection.drop()
        self._sweeping = self._loop.call_later(SWEEP, self._sweep)

    def _take_turn(self, begin: Callable[[], None]) -> None:
        self._turns.append(begin)
        if len(self._turns) == 1:
            self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turns.popleft()()
        if self._turns:
            self._loop.call_soon(self._next_turn)


def _turn_away(client: socket.socket) -> None:
    try:
        client.send(framed(Failed(Trouble.BUSY, f"{MOST} clients are connected, which is the most; try again later")))
    except OSError:
        pass
    finally:
        client.close()
