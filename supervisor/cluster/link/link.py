"""Link: one end of the stream between a daemon and an agent: values and bytes of channels, in order.

Runs on the loop's thread of either side.

    send, send_bytes ─▶ FrameWriter ─▶ socket ═▶ reader ─▶ Framer ─▶ on_value, on_bytes
    pass_value ─▶ Values ═▶ receive, when on_value has got its `Passed`
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from actors.errors import WireError
from actors.ipc.pipes import Duplex
from actors.wire.codec import encode
from actors.wire.framing import MAX_FRAME, Announced, Attachment, Frame, Framer, SharedAttachment
from supervisor.cluster.link.values import Values
from supervisor.cluster.link.wire import Passed
from supervisor.ports.reading import AnyReader
from supervisor.process.channel import FrameWriter

_NUMBER = 4  # bytes of the number of a life
_NONE = bytes(_NUMBER)
_ROOM = 64 * 1024  # bytes around the largest frame
LAGS = 10_000  # pieces that wait


class Link:
    """One end of the stream.

    Args:
        sock: connected, and authenticated; it belongs to the link from now on.
        reader: waits for the socket.
        values: passes values in shared memory, None where the other side is on another machine.
        joins_values: whether the other side has shared memory of its own, so that they cross in parts.
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
        values: Values | None,
        joins_values: bool,
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
        self._values = values
        self.joins_values: Final = joins_values and values is None
        self._held: deque[tuple[int, SharedAttachment] | bytes] = deque()  # behind a value that is not taken now
        self._framer = Framer(MAX_FRAME + _ROOM)
        self._on_bytes = on_bytes
        self._on_value = on_value
        self._on_room = on_room
        self._on_end = on_end
        self._error: Exception | None = None
        self._over = False
        self._writer = FrameWriter(
            self._duplex, reader, on_room, lambda why: self._end(ConnectionError(why)), self._unwritable
        )
        reader.stream(self._duplex, self._arrived, self._ended)

    @property
    def congested(self) -> bool:
        """Whether the kernel takes no more now."""
        return bool(self._writer.backlog or self._held)

    @property
    def lags(self) -> bool:
        """Whether so much waits for the other side that output is dropped, which no window bounds."""
        return len(self._writer.backlog) > LAGS

    @property
    def passes_values(self) -> bool:
        """Whether values in shared memory pass: both ends are on one machine."""
        return self._values is not None

    def send(self, value: msgspec.Struct) -> None:
        """Send one value."""
        data = _NONE + encode(value)
        if self._held:
            self._held.append(data)
        else:
            self._writer.send_joined(data, ())

    def send_bytes(self, number: int, data: bytes | bytearray | memoryview) -> None:
        """Send bytes of a life's channel."""
        if self._held:
            self._held.append(number.to_bytes(_NUMBER, "little") + data)
        else:
            self._writer.send_joined(number.to_bytes(_NUMBER, "little"), (bytes(data),))

    def pass_value(self, number: int, attachment: SharedAttachment) -> None:
        """Send a value in shared memory, to or from that life; what is sent later arrives later."""
        if self._held or not self._passed(number, attachment):
            self._held.append((number, attachment))

    def receive(self, size: int) -> SharedAttachment:
        """The value of a `Passed` that has just come.

        Raises:
            WireError: it did not come.
        """
        if self._values is None:
            raise WireError("a value in shared memory was said to be sent where none pass")
        return self._values.receive(size)

    def close(self) -> None:
        """Close this end; `on_end` is not called any more."""
        if not self._over:
            self._over = True
            self._held.clear()
            if self._values is not None:
                self._values.close()
            self._writer.close()
            self._reader.forget(self._duplex.incoming, close=self._duplex.close_incoming)
            self._reader.forget(self._duplex.outgoing, close=self._duplex.close_outgoing)

    def abandon(self) -> None:
        """The loop was closed: close this end. Runs in another thread."""
        self._over = True
        if self._values is not None:
            self._values.abandon()
        self._duplex.close()

    def _passed(self, number: int, attachment: SharedAttachment) -> bool:
        """Send a value, unless none is taken now."""
        if self._over:
            return True
        assert self._values is not None  # noqa: S101 - as the caller has asked
        try:
            sent = self._values.send(attachment, self._release)
        except OSError as error:
            asyncio.get_running_loop().call_soon(self._end, error)  # who sends now does not expect the end of lives
            return True
        if sent:
            self._writer.send_joined(_NONE + encode(Passed(number, attachment.size)), ())
        return sent

    def _release(self) -> None:
        """Send what has waited behind a value."""
        while self._held:
            held = self._held[0]
            if isinstance(held, bytes):
                self._writer.send_joined(held, ())
            elif not self._passed(*held):
                return
            if self._held:  # the link has not ended
                self._held.popleft()
        if not self._over and not self.congested:
            self._on_room()

    def _recv(self, size: int) -> bytes:
        """May run in the reader's thread."""
        try:
            return self._read(size)
        except BlockingIOError:
            raise
        except OSError as error:
            self._error = error
            raise

    def _ended(self) -> None:
        self._end(self._error)

    def _arrived(self, chunk: bytes) -> None:
        try:
            for frame in self._framer.feed(chunk):
                self._take(frame)
                if self._over:
                    return
        except Exception as error:  # whatever it is, what comes behind must not be taken as if nothing had happened
            self._end(error)
            if not isinstance(error, msgspec.MsgspecError | WireError):
                raise

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
