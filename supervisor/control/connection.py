"""Connection: one client of the control socket: its requests one after the other, its replies with a bound.

A client that does not read, sends half a frame or more than it may, or says nothing for long is dropped; only its own
connection ends.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, cast

from supervisor.control.frames import (
    MAX_REQUEST,
    BadFrame,
    Cutter,
    Failed,
    Reply,
    Request,
    Trouble,
    framed,
    read_request,
)

IDLE: Final = 60.0  # seconds a connection may stay without a complete request
STALL: Final = 5.0  # seconds a client may take to read what is on its way to it
PIPELINE: Final = 16  # requests that may wait behind the one being served
HELD: Final = 64 * 1024  # bytes on their way to a client, above which it gets no more until it reads

Serve = Callable[[Request], AsyncIterator[Reply]]


class Connection(asyncio.Protocol):
    """One client.

    Args:
        loop: the daemon's.
        serve: gives the replies to a request.
        turn: calls back when it is this connection's turn to begin a request.
        on_lost: called once, when the connection has ended.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        serve: Serve,
        turn: Callable[[Callable[[], None]], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self._loop = loop
        self._serve = serve
        self._turn = turn
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._cutter = Cutter(MAX_REQUEST)
        self._requests: deque[Request | BadFrame] = deque()
        self._readable = asyncio.Event()  # whether the client reads what it gets
        self._readable.set()
        self._idle = loop.call_later(IDLE, self.drop)

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HELD)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        try:
            frames = self._cutter.feed(data)
        except BadFrame as error:
            self._refuse(str(error))
            return
        for frame in frames:
            try:
                self._requests.append(read_request(frame))
            except BadFrame as error:
                self._requests.append(error)
        if len(self._requests) > PIPELINE:
            self._refuse(f"more than {PIPELINE} requests at once")
        elif self._requests and self.task is None:
            self._begin()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._readable.clear()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._readable.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - it is asyncio's
        """See `asyncio.Protocol`."""
        self._transport = None
        self._idle.cancel()
        self._requests.clear()
        self._readable.set()
        if self.task is not None:
            self.task.cancel()
        self._on_lost(self)

    # ---- for the server

    def drop(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End the connection when what was written has left."""
        if self._transport is not None:
            self._transport.close()

    # ---- inside

    def _begin(self) -> None:
        self._idle.cancel()
        self.task = self._loop.create_task(self._work())

    async def _work(self) -> None:
        """Serve the requests that are there, in their order."""
        try:
            while self._requests and self._transport is not None:
                await self._its_turn()
                if not self._requests:
                    return
                request = self._requests.popleft()
                if isinstance(request, BadFrame):
                    await self._send(Failed(Trouble.BAD_REQUEST, str(request)))
                    continue
                async for reply in self._serve(request):
                    await self._send(reply)
        except TimeoutError:
            self.drop()
        finally:
            self.task = None
            if self._transport is not None:
                self._idle = self._loop.call_later(IDLE, self.drop)

    async def _its_turn(self) -> None:
        """Many clients begin their requests in as many turns of the loop, so that they do not hold it up together."""
        begin = self._loop.create_future()
        self._turn(lambda: None if begin.done() else begin.set_result(None))
        await begin

    async def _send(self, reply: Reply) -> None:
        """Send a reply, and wait while the client does not read.

        Raises:
            TimeoutError: it does not read at all.
        """
        if self._transport is None:
            raise TimeoutError
        self._transport.write(framed(reply))
        if not self._readable.is_set():
            async with asyncio.timeout(STALL):
                await self._readable.wait()

    def _refuse(self, why: str) -> None:
        """What follows cannot be read any more."""
        self._requests.clear()
        if self._transport is not None:
            self._transport.write(framed(Failed(Trouble.BAD_REQUEST, why)))
            self._transport.close()
