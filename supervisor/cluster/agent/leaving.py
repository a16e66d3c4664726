"""Leaving: what one life sends to the daemon, in order and within its window. Runs on the agent's loop.

bytes of its channel ─▶ window ─▶ link
a value in shared memory ─▶ beside the link, on one machine; else in parts, with what is sent later behind them
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from actors.wire.framing import MAX_MESSAGE, SharedAttachment
from supervisor.cluster.link import wire
from supervisor.cluster.link.link import Link
from supervisor.cluster.link.parts import Outgoing, Stock, crosses


class Leaving:
    """What one life sends.

    Args:
        number: of the life on the link.
        link: to the daemon.
        stock: the values that are on both machines.
        read: called with whether the life's channel is to be read.
    """

    def __init__(self, number: int, link: Link, stock: Stock, read: Callable[[bool], None]) -> None:
        self._number = number
        self._link = link
        self._read = read
        self._unpassed = 0  # bytes sent to the daemon that it has not passed on
        self._paused = False
        self._values = Outgoing(number, stock)
        self._behind: deque[bytes | SharedAttachment] = deque()  # what waits behind a value that leaves in parts
        self._at_end: Callable[[], None] | None = None

    def send(self, chunk: bytes) -> None:
        """Send bytes of its channel."""
        if self._values:
            self._behind.append(chunk)
            return
        self._link.send_bytes(self._number, chunk)
        self._unpassed += len(chunk)
        if self._unpassed > wire.WINDOW:
            self._pause()

    def send_value(self, value: SharedAttachment, of_frame: int) -> bool:
        """Send a value, which its channel announces next; whether the daemon gets it.

        To another machine it crosses in parts, of one frame so many bytes as a message may have.
        """
        if self._link.passes_values:
            self._link.pass_value(self._number, value)
            return True
        if of_frame > MAX_MESSAGE or not crosses(value):
            return False
        if self._values:
            self._behind.append(value)
        else:
            self._values.add(value)
            self._leave()
        return True

    def took(self, size: int) -> None:
        """The daemon has passed that many bytes on."""
        self._unpassed -= size
        self._leave()
        if self._paused and not self._values and self._unpassed < wire.WINDOW // 2:
            self._paused = False
            self._read(True)

    def end(self, then: Callable[[], None]) -> None:
        """The life has ended: call when all it has sent has left."""
        self._at_end = then
        self._leave()

    def _leave(self) -> None:
        """Send values in parts, and what waits behind them, as far as the window goes."""
        while self._values and self._unpassed < wire.WINDOW:
            piece = self._values.next(wire.WINDOW - self._unpassed)
            self._link.send(piece)
            if isinstance(piece, wire.Part):
                self._unpassed += len(piece.data)
            while self._behind and not self._values:
                behind = self._behind.popleft()
                if isinstance(behind, bytes):
                    self.send(behind)
                else:
                    self._values.add(behind)
        if self._values:
            self._pause()
        elif self._at_end is not None:
            then, self._at_end = self._at_end, None
            then()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._read(False)
