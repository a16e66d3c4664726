"""Flow: the bytes of one life's channel on their way to its agent, never more than a window of them.

It stands where a life of this machine has a pipe, so `PipeWriter` writes into it. Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from actors.ipc.pipes import Duplex
from actors.wire.framing import SharedAttachment
from supervisor.cluster.link.link import Link
from supervisor.cluster.link.parts import Outgoing, Stock
from supervisor.cluster.link.wire import WINDOW, Part
from supervisor.ports.reading import Source


class Flow(Duplex):
    """The daemon's end of the channel of one life; takes nothing before it is opened."""

    __slots__ = ("_left", "_link", "_loop", "_number", "_on_room", "_values")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(-1, -1)
        self._loop = loop
        self._link: Link | None = None
        self._number = 0
        self._left = WINDOW
        self._on_room: Callable[[], None] | None = None
        self._values: Outgoing | None = None
        self.send = self._send

    def open(self, link: Link, number: int, stock: Stock) -> None:
        """The life begins on an agent."""
        self._link, self._number = link, number
        self._values = Outgoing(number, stock)
        self._writable()

    def pass_value(self, value: SharedAttachment) -> None:
        """Send a value in shared memory to another machine, before anything that is sent later."""
        assert self._values is not None  # noqa: S101 - it is open
        self._values.add(value)
        self._send_values()

    def took(self, size: int) -> None:
        """The agent has passed that many bytes on."""
        self._left += size
        self._writable()

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        if self._link is None or not self._left or self._values or self._link.congested:
            raise BlockingIOError
        size = min(len(data), self._left)
        self._left -= size
        self._link.send_bytes(self._number, data if size == len(data) else memoryview(data)[:size])
        return size

    def _writable(self) -> None:
        self._send_values()
        if self._on_room is None or self._link is None or self._values:
            return
        if self._left and not self._link.congested:
            on_room, self._on_room = self._on_room, None
            self._loop.call_soon(on_room)

    def _send_values(self) -> None:
        while self._values and self._left and self._link is not None and not self._link.congested:
            piece = self._values.next(self._left)
            if isinstance(piece, Part):
                self._left -= len(piece.data)
            self._link.send(piece)

    def link_writable(self) -> None:
        """The link takes data again."""
        self._writable()

    # ---- what a PipeWriter asks of a reader

    def once_writable(self, fd: int, on_ready: Callable[[], None]) -> None:
        """Call once when more can be sent."""
        del fd
        self._on_room = on_ready
        self._writable()

    def stream(self, source: Source, on_chunk: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        """Bytes come from the link."""

    def finish(self, fd: int) -> None:
        """Bytes come from the link."""

    def once(self, fd: int, on_ready: Callable[[], None]) -> None:
        """There is no descriptor."""

    def forget(self, fd: int, *, close: Callable[[], None] | None = None) -> None:
        """There is no descriptor."""
        del fd, close
        self._on_room = None
        if self._values is not None:
            self._values.clear()
