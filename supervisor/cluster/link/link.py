"""Link: one end of the stream between a daemon and an agent: values and bytes of channels, in order.

Runs on the loop's thread of either side.

    send, send_bytes ─▶ PipeWriter ─▶ socket ═▶ reader ─▶ Framer ─▶ on_value, on_bytes
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import msgspec

from actors.errors import WireError
from actors.ipc.pipes import Duplex
from actors.wire.codec import encode
from actors.wire.framing import MAX_FRAME, Announced, Attachment, Frame, Framer
from supervisor.io.pipe_writer import PipeWriter
from supervisor.ports import AnyReader

_NUMBER = 4  # bytes of the number of a life
_NONE = bytes(_NUMBER)
_ROOM = 64 * 1024  # bytes around the largest frame


class Link:
    """One end of the stream.

    Args:
        sock: connected, and authenticated; it belongs to the link from now on.
        reader: waits for the socket.
        on_bytes: called with the number of a life and bytes of its channel.
        on_value: called with one encoded value.
        on_room: called when everything that had to wait is written.
        on_end: called once at the end, with an error unless the other side has closed.
    """

    def __init__(
        self,
        sock: socket.socket,
        reader: AnyReader,
        *,
        on_bytes: Callable[[int, bytes], None],
        on_value: Callable[[bytes], None],
        on_room: Callable[[], None],
        on_end: Callable[[Exception | None], None],
    ) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writing = os.dup(sock.fileno())
        self._duplex = Duplex(sock.detach(), writing)
        self._read = self._duplex.recv
        self._duplex.recv = self._recv
        self._reader = reader
        self._framer = Framer(MAX_FRAME + _ROOM)
        self._on_bytes = on_bytes
        self._on_value = on_value
        self._on_end = on_end
        self._error: Exception | None = None
        self._over = False
        self._writer = PipeWriter(
            self._duplex, reader, on_room, lambda why: self._end(ConnectionError(why)), self._unwritable
        )
        reader.stream(self._duplex, self._arrived)

    @property
    def congested(self) -> bool:
        """Whether the kernel takes no more now."""
        return bool(self._writer.backlog)

    def send(self, value: msgspec.Struct) -> None:
        """Send one value."""
        self._writer.send_joined(_NONE + encode(value), ())

    def send_bytes(self, number: int, data: bytes | bytearray | memoryview) -> None:
        """Send bytes of a life's channel."""
        self._writer.send_joined(number.to_bytes(_NUMBER, "little"), (bytes(data),))

    def close(self) -> None:
        """Close this end; `on_end` is not called any more."""
        if not self._over:
            self._over = True
            self._writer.close()
            self._reader.forget(self._duplex.incoming, close=self._duplex.close_incoming)
            self._reader.forget(self._duplex.outgoing, close=self._duplex.close_outgoing)

    def _recv(self, size: int) -> bytes:
        """May run in the reader's thread."""
        try:
            return self._read(size)
        except BlockingIOError:
            raise
        except OSError as error:
            self._error = error
            raise

    def _arrived(self, chunk: bytes) -> None:
        if not chunk:
            self._end(self._error)
            return
        try:
            for frame in self._framer.feed(chunk):
                self._take(frame)
                if self._over:
                    return
        except (msgspec.MsgspecError, WireError) as error:
            self._end(error)

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, Attachment | Announced):
            raise WireError("an attachment is part of no frame here")
        number = int.from_bytes(frame[:_NUMBER], "little")
        if number:
            self._on_bytes(number, bytes(frame[_NUMBER:]))
        else:
            self._on_value(bytes(frame[_NUMBER:]))

    def _unwritable(self, error: OSError) -> None:
        """What the other side sent before may still be read; its end comes from there."""
        self._error = self._error or (None if isinstance(error, BrokenPipeError) else error)

    def _end(self, error: Exception | None) -> None:
        if not self._over:
            self.close()
            self._on_end(error)
