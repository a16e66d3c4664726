"""Connection: one client of the control socket: its requests one after the other, its replies with a bound.

A client that does not read, sends half a frame or more than it may, or says nothing for long is dropped; only its own
connection ends.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from supervisor.control.frames import Failed, Request, Trouble
from supervisor.control.framing import MAX_REQUEST, BadFrame, Cutter, framed, read_request
from supervisor.control.operations import Operations
from supervisor.control.readiness import Readiness

IDLE: Final = 60.0  # seconds a connection may stay without a complete request
STALL: Final = 5.0  # seconds a client may take to read what is on its way to it
PIPELINE: Final = 16  # requests that may wait behind the one being served
HELD: Final = 64 * 1024  # bytes on their way to a client, above which it gets no more until it reads
_CHUNK: Final = 64 * 1024  # bytes of one look at what it sent


class Connection:
    """One client.

    Args:
        client: its socket, which does not block.
        readiness: watches it.
        operations: serve its requests.
        turn: calls back when it is this connection's turn to begin a task.
        on_lost: called once, when the connection has ended.

    Attributes:
        task: serves a request, None while none does.
        drop_at: when it is to be dropped, in the loop's time.
    """

    def __init__(
        self,
        client: socket.socket,
        readiness: Readiness,
        operations: Operations,
        turn: Callable[[Callable[[], None]], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self._client = client
        self._readiness = readiness
        self._operations = operations
        self._turn = turn
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._cutter = Cutter(MAX_REQUEST)
        self._requests: deque[bytes] = deque()  # each is decoded when it begins
        self._busy = False  # with a request
        self._out: deque[memoryview] = deque()  # what the kernel has not taken yet
        self._held = 0  # bytes of it
        self._read = asyncio.Event()  # set when the client has read enough
        self._read.set()
        self._over = False
        self._closes = False  # once all has left
        self._stuck = False  # the kernel takes no more until the client reads
        self.drop_at = self._loop.time() + IDLE
        readiness.add(client.fileno(), self._ready)

    def drop(self) -> None:
        """End the connection now."""
        if self._over:
            return
        self._over = True
        self._readiness.drop(self._client.fileno())
        self._client.close()
        self._requests.clear()
        self._out.clear()
        self._read.set()
        if self.task is not None:
            self.task.cancel()
        self._on_lost(self)

    # ---- what the client does

    def _ready(self, readable: bool, writable: bool) -> None:
        if writable:
            self._write_out()
        if readable and not self._over:
            self.take_in()

    def take_in(self) -> None:
        """Read what it has sent by now."""
        try:
            data = self._client.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.drop()
            return
        if self._closes:
            return
        try:
            self._requests += self._cutter.feed(data, PIPELINE + 1)
        except BadFrame as error:
            self._refuse(str(error))
            return
        if len(self._requests) > PIPELINE:
            self._refuse(f"more than {PIPELINE} requests at once")
        else:
            self._next()

    def _refuse(self, why: str) -> None:
        """What follows cannot be read any more: the connection ends when this has left."""
        self._requests.clear()
        self._closes = True
        self._wait_for_it()
        self._write(_bad(why))

    def _wait_for_it(self) -> None:
        """Say how long from now: to read, for the end of a request, or to send one."""
        if self._closes or self._held > HELD:
            self.drop_at = self._loop.time() + STALL
        else:
            self.drop_at = math.inf if self._busy else self._loop.time() + IDLE

    # ---- what it gets

    def _next(self) -> None:
        """Serve the next request, if it is time for it.

        Those that need a task begin it in as many turns of the loop as there are, so that they do not hold it up
        together.
        """
        if self._busy or not self._requests or self._held > HELD:
            return
        self._busy = True
        self._wait_for_it()
        try:
            request = read_request(self._requests.popleft())
        except BadFrame as error:
            self._answer(_bad(str(error)))
            return
        if not self._operations.answer(request, self._answer):
            self._turn(lambda: self._begin_task(request))

    def _answer(self, frame: bytes) -> None:
        self._write(frame)
        self._served()

    def _begin_task(self, request: Request) -> None:
        if not self._over:
            self.task = self._loop.create_task(self._serve(request))

    async def _serve(self, request: Request) -> None:
        try:
            async for frame in self._operations.serve(request):
                self._write(frame)
                await self._read.wait()
        finally:
            self.task = None
            self._served()

    def _served(self) -> None:
        self._busy = False
        self._wait_for_it()
        self._next()

    def _write(self, frame: bytes) -> None:
        if self._over:
            return
        self._out.append(memoryview(frame))
        self._held += len(frame)
        if len(self._out) == 1:
            self._write_out()
        if self._held > HELD and self._read.is_set():
            self._read.clear()
            self._wait_for_it()

    def _write_out(self) -> None:
        """Write what the kernel takes now."""
        try:
            while self._out:
                sent = self._client.send(self._out[0])
                self._held -= sent
                if sent < len(self._out[0]):
                    self._out[0] = self._out[0][sent:]
                    break
                self._out.popleft()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.drop()
            return
        if self._closes and not self._out:
            self.drop()
            return
        if self._stuck != bool(self._out):
            self._stuck = not self._stuck
            self._readiness.await_writable(self._client.fileno(), wanted=self._stuck)
        if self._held <= HELD and not self._read.is_set():
            self._read.set()
            self._wait_for_it()
            self._next()


def _bad(why: str) -> bytes:
    return framed(Failed(Trouble.BAD_REQUEST, why))
