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
from collections.abc import AsyncIterator, Callable
from typing import Final

from supervisor.control.frames import Failed, Request, Trouble
from supervisor.control.framing import MAX_REQUEST, BadFrame, Cutter, framed, read_request
from supervisor.control.readiness import Readiness

IDLE: Final = 60.0  # seconds a connection may stay without a complete request
STALL: Final = 5.0  # seconds a client may take to read what is on its way to it
PIPELINE: Final = 16  # requests that may wait behind the one being served
HELD: Final = 64 * 1024  # bytes on their way to a client, above which it gets no more until it reads
_CHUNK: Final = 64 * 1024  # bytes of one look at what it sent

Serve = Callable[[Request], AsyncIterator[bytes]]


class Connection:
    """One client.

    Args:
        client: its socket, which does not block.
        readiness: watches it.
        serve: gives the frames of the replies to a request.
        turn: calls back when it is this connection's turn to begin a request.
        on_lost: called once, when the connection has ended.

    Attributes:
        task: serves a request, None while none is served.
        drop_at: when it is to be dropped, in the loop's time, unless it sends something.
    """

    def __init__(
        self,
        client: socket.socket,
        readiness: Readiness,
        serve: Serve,
        turn: Callable[[Callable[[], None]], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self._client = client
        self._readiness = readiness
        self._serve = serve
        self._turn = turn
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._cutter = Cutter(MAX_REQUEST)
        self._requests: deque[bytes] = deque()  # each is decoded when it begins, in a turn of its own
        self._out: deque[memoryview] = deque()  # what the kernel has not taken yet
        self._held = 0  # bytes of it
        self._read = asyncio.Event()  # set when the client has read enough
        self._read.set()
        self._over = False
        self._closes = False  # once all has left
        self._in_line = False  # for a turn
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

    def close(self) -> None:
        """End the connection when what was written has left; a client that does not read it is dropped."""
        self._closes = True
        self._write_out()
        self.drop_at = min(self.drop_at, self._loop.time() + STALL)

    # ---- what the client does

    def _ready(self, readable: bool, writable: bool) -> None:
        if writable:
            self._write_out()
        if readable and not self._over:
            self._take_in()

    def _take_in(self) -> None:
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
            self._get_in_line()

    def _get_in_line(self) -> None:
        """Many clients begin their requests in as many turns of the loop, so that they do not hold it up together."""
        if self._requests and self.task is None and not self._in_line:
            self._in_line = True
            self.drop_at = math.inf
            self._turn(self._begin)

    def _begin(self) -> None:
        self._in_line = False
        if self._requests:
            self.task = self._loop.create_task(self._work(self._requests.popleft()))

    def _refuse(self, why: str) -> None:
        """What follows cannot be read any more."""
        self._requests.clear()
        self._write(framed(Failed(Trouble.BAD_REQUEST, why)))
        if not self._over:
            self.close()

    # ---- what it gets

    async def _work(self, request: bytes) -> None:
        """Serve one request."""
        try:
            async for frame in self._replies(request):
                await self._send(frame)
        except TimeoutError:
            self.drop()
        finally:
            self.task = None
            self.drop_at = self._loop.time() + (STALL if self._closes else IDLE)
            self._get_in_line()

    def _replies(self, request: bytes) -> AsyncIterator[bytes]:
        try:
            return self._serve(read_request(request))
        except BadFrame as error:
            return _one(framed(Failed(Trouble.BAD_REQUEST, str(error))))

    async def _send(self, frame: bytes) -> None:
        """Send the frame of a reply, and wait while the client does not read.

        Raises:
            TimeoutError: it does not read at all.
        """
        self._write(frame)
        if not self._read.is_set():
            async with asyncio.timeout(STALL):
                await self._read.wait()

    def _write(self, frame: bytes) -> None:
        if self._over:
            return
        self._out.append(memoryview(frame))
        self._held += len(frame)
        if len(self._out) == 1:
            self._write_out()
        if self._held > HELD:
            self._read.clear()

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
        if self._held <= HELD:
            self._read.set()
        if self._closes and not self._out:
            self.drop()
        elif not self._over:
            self._readiness.await_writable(self._client.fileno(), wanted=bool(self._out))


async def _one(frame: bytes) -> AsyncIterator[bytes]:
    yield frame
