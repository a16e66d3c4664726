"""Framing: bytes to frames and back, without any I/O.

Any chunking of the same bytes yields the same frames; a frame over the limit is refused before it is read.

A frame is four bytes of length, little-endian, then so many bytes. A length whose top bit is set announces a parcel: a
large value that belongs to the frame after it and is never looked into. It is put together while it comes, so that
nobody ever has to hold still for a copy of all of it.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

from actors.errors import FrameTooLarge, WireError

HEADER: Final = 4
MAX_FRAME: Final = 128 * 1024 * 1024  # bytes; room for a 64 MiB payload, a bound on what a hostile length can cost
ROOM: Final = 1024 * 1024  # bytes for what shares a frame with a large message: envelopes, small messages
MAX_MESSAGE: Final = MAX_FRAME - ROOM  # bytes

LARGE: Final = 64 * 1024  # bytes; from here on looking at a frame beats copying it
BESIDE: Final = 1024 * 1024  # bytes; from here on a value travels as a parcel: copying less takes no noticeable time
PARCELS: Final = 16  # how many values of one message travel so

_PARCEL: Final = 1 << 31


class Attachment:
    """A large value on its way.

    Attributes:
        value: the bytes.
    """

    __slots__ = ("value",)

    def __init__(self, value: bytes) -> None:
        self.value = value


class _Arriving:
    """A parcel of which not everything has come.

    `BytesIO` writes into the bytes that it will give out, as long as nobody else has them: there is no copy at the end,
    and memory is taken as it is written.
    """

    __slots__ = ("_buffer", "missing")

    def __init__(self, size: int) -> None:
        self.missing = size  # bytes that have not come
        self._buffer = BytesIO(bytes(size))

    def put(self, piece: bytes | memoryview) -> None:
        """The next bytes, no more than are missing."""
        self.missing -= self._buffer.write(piece)

    def attachment(self) -> Attachment:
        """All of it has come."""
        return Attachment(self._buffer.getvalue())


Frame = bytes | memoryview | Attachment


def header(size: int) -> bytes:
    """The four bytes that announce a frame of `size` bytes."""
    return size.to_bytes(HEADER, "little")


def parcel_header(size: int) -> bytes:
    """The four bytes that announce a parcel of `size` bytes."""
    return (size | _PARCEL).to_bytes(HEADER, "little")


class Framer:
    """Cuts a stream of bytes into frames. One per direction of a channel; no thread safety of its own.

    A frame that came in many chunks is put together once, and a large one is a view of what it came in.
    """

    __slots__ = ("_arriving", "_attachments", "_held", "_limit", "_parts", "_wanted")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._parts: list[bytes] = []  # what came of a frame that is not complete
        self._held = 0  # bytes in them
        self._wanted = HEADER  # bytes that make the next step possible
        self._arriving: _Arriving | None = None  # the parcel under way
        self._attachments = (0, 0)  # how many, of how many bytes, wait for the frame they belong to

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes, in order.

        Raises:
            FrameTooLarge: a frame announces more than the limit; nothing more can be read from this stream.
            WireError: more parcels come than belong to one frame.
        """
        if not self._parts and self._arriving is None:
            size = int.from_bytes(chunk[:HEADER], "little")
            if len(chunk) == HEADER + size and size < LARGE and size <= self._limit and len(chunk) >= HEADER:
                self._attachments = (0, 0)
                return [chunk[HEADER:]]  # nearly always: one small frame, whole
        return self._cut(chunk)

    def drop(self) -> None:
        """The rest will never come: give back what is held of it."""
        self._parts.clear()
        self._arriving = None
        self._wanted, self._held = HEADER, 0

    def _cut(self, chunk: bytes) -> list[Frame]:
        frames: list[Frame] = []
        start = 0
        if self._arriving is not None:
            start = self._fill(self._arriving, chunk, 0, frames)
        elif self._parts:
            self._parts.append(chunk)
            self._held += len(chunk)
            if self._held < self._wanted:
                return frames
            chunk = b"".join(self._parts)
            self._parts.clear()
        end = len(chunk)
        self._wanted, self._held = HEADER, 0
        while end - start >= HEADER:
            size = int.from_bytes(chunk[start : start + HEADER], "little")
            begin = start + HEADER
            if size & _PARCEL:
                self._arriving = self._announced(size ^ _PARCEL)
                start = self._fill(self._arriving, chunk, begin, frames)
                continue
            if size > self._limit:
                raise FrameTooLarge(f"a frame announces {size} bytes, the limit is {self._limit}")
            stop = begin + size
            if stop > end:
                self._wanted = HEADER + size
                break
            frames.append(chunk[begin:stop] if size < LARGE else memoryview(chunk)[begin:stop])
            self._attachments = (0, 0)
            start = stop
        if start < end:
            self._parts.append(chunk[start:] if start else chunk)
            self._held = end - start
        return frames

    def _announced(self, size: int) -> _Arriving:
        count, total = self._attachments
        self._attachments = count, total = count + 1, total + size
        if total > self._limit:
            raise FrameTooLarge(f"parcels announce {total} bytes for one frame, the limit is {self._limit}")
        if count > PARCELS:
            raise WireError(f"more than {PARCELS} parcels come before a frame")
        return _Arriving(size)

    def _fill(self, arriving: _Arriving, chunk: bytes, start: int, frames: list[Frame]) -> int:
        """Put what belongs to the parcel under way into it; where in the chunk the rest begins."""
        stop = min(len(chunk), start + arriving.missing)
        arriving.put(memoryview(chunk)[start:stop])
        if not arriving.missing:
            frames.append(arriving.attachment())
            self._arriving = None
        return stop
