"""Framing: bytes to frames and back, without I/O.

The same bytes yield the same frames, however they are chunked. A frame over the limit is refused before it is read.

A frame is four bytes of length, little-endian, then its bytes. A length whose top bit is set announces an attachment:
a large value of the frame that follows it, which is not decoded. It is collected while it arrives, so no step copies
all of it at once. With the next bit set, too, the value is in shared memory and only eight bytes follow, its size: its
descriptor comes beside the stream, see `actors.ipc.descriptors`.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from io import BytesIO
from typing import Final

from actors.errors import FrameTooLarge, WireError

HEADER: Final = 4
MAX_FRAME: Final = 128 * 1024 * 1024  # bytes; a message of 127 MiB and ROOM; bounds what a hostile length can cost
ROOM: Final = 1024 * 1024  # bytes for what shares a frame with a large message: envelopes, small messages
MAX_MESSAGE: Final = MAX_FRAME - ROOM  # bytes

LARGE: Final = 64 * 1024  # bytes; from this size on a frame is viewed, not copied
BESIDE: Final = 1024 * 1024  # bytes; from this size on a value travels as an attachment
MAX_BESIDE: Final = 16  # fields of one message whose values travel beside it
MAX_SHARED: Final = 128  # values in shared memory of one message
MAX_ATTACHMENTS: Final = MAX_BESIDE + MAX_SHARED  # of one message: where there is no shared memory, both are bytes

HERE: Final = "this process"  # see `SharedAttachment.lost`

_SIZE: Final = struct.Struct("<I")
_NONE: Final = (0, 0, 0)
put_length: Final = _SIZE.pack_into
"""Write the length of a frame into a buffer: `put_length(buffer, offset, size)`."""

ATTACHMENT_BIT: Final = 1 << 31
_SHARED_BIT: Final = 1 << 30
SHARED_SIZE: Final = struct.Struct("<Q")
SHARED_LENGTH: Final = SHARED_SIZE.size | ATTACHMENT_BIT | _SHARED_BIT
"""The length that announces a value in shared memory."""


class Attachment:
    """A large value that travels beside its message.

    Attributes:
        value: the bytes.
    """

    __slots__ = ("value",)

    def __init__(self, value: bytes) -> None:
        self.value = value

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.value)


class SharedAttachment(ABC):
    """A value in shared memory that travels beside its message: only its descriptor does.

    Attributes:
        size: its bytes.
        lost: which process had no descriptor left to take it in, in words; empty where it is here.
    """

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    @abstractmethod
    def value(self) -> bytes:
        """A copy of its bytes, for a way that carries no descriptors."""

    @property
    def lost(self) -> str:
        """See above."""
        return ""

    @property
    def key(self) -> int:
        """The same for all that stand for the same memory."""
        return id(self)

    @property
    def origin(self) -> SharedAttachment:
        """The value itself, of one that holds room for it."""
        return self


class Announced:
    """Says that the next descriptor beside the stream belongs to the frame that follows.

    Attributes:
        size: bytes of the value in shared memory.
    """

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size


Carried = Attachment | SharedAttachment


class _Arriving:
    """An attachment that is still incomplete.

    `BytesIO` writes into the bytes object that it returns at the end, as long as it holds the only reference: there
    is no final copy, and memory is touched only as it is written.
    """

    __slots__ = ("_buffer", "missing")

    def __init__(self, size: int) -> None:
        self.missing = size  # bytes still to come
        self._buffer = BytesIO(bytes(size))

    def put(self, piece: bytes | memoryview) -> None:
        """Append bytes, at most as many as are missing."""
        self.missing -= self._buffer.write(piece)

    def attachment(self) -> Attachment:
        """The complete attachment."""
        return Attachment(self._buffer.getvalue())


Frame = bytes | memoryview | Attachment | Announced


def header(size: int) -> bytes:
    """The four bytes that announce a frame of `size` bytes."""
    return size.to_bytes(HEADER, "little")


def attachment_header(size: int) -> bytes:
    """The four bytes that announce an attachment of `size` bytes."""
    return (size | ATTACHMENT_BIT).to_bytes(HEADER, "little")


def shared_header(size: int) -> bytes:
    """What announces a value of `size` bytes in shared memory."""
    return SHARED_LENGTH.to_bytes(HEADER, "little") + SHARED_SIZE.pack(size)


def is_shared(length: int) -> bool:
    """Whether a length announces a value in shared memory.

    Raises:
        WireError: it does so with a size that the announcement never has.
    """
    if not (length & _SHARED_BIT and length & ATTACHMENT_BIT):
        return False
    if length != SHARED_LENGTH:
        raise WireError("a value in shared memory is announced by a length that it never has")
    return True


class Framer:
    """Cuts a stream of bytes into frames. One per direction of a channel; not thread-safe.

    A frame that arrives in many chunks is joined once. A large frame is a view of the chunk it arrived in.

    Attributes:
        between: whether the next chunk begins a frame, which has no attachments. A small frame that is all of that
            chunk may be cut by the caller: it is `memoryview(chunk)[HEADER:]`.
    """

    __slots__ = ("_arriving", "_attachments", "_held", "_limit", "_parts", "_wanted", "between")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.between = True
        self._limit = limit
        self._parts: list[bytes] = []  # pieces of an incomplete frame
        self._held = 0  # bytes in them
        self._wanted = HEADER  # bytes needed for the next step
        self._arriving: _Arriving | None = None  # the incomplete attachment
        self._attachments = (
            _NONE  # number and bytes of the attachments that wait for their frame, number of shared ones
        )

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes, in order.

        Raises:
            FrameTooLarge: a frame announces more than the limit; this stream cannot be read further.
            WireError: more attachments come than belong to one frame.
        """
        if not self._parts and self._arriving is None:
            size = int.from_bytes(chunk[:HEADER], "little")
            if len(chunk) == HEADER + size and size < LARGE and size <= self._limit and len(chunk) >= HEADER:
                self._attachments = _NONE
                self.between = True
                return [chunk[HEADER:]]  # the common case: one small whole frame
        frames = self._cut(chunk)
        self.between = not self._parts and self._arriving is None and self._attachments is _NONE
        return frames

    def _cut(self, chunk: bytes) -> list[Frame]:  # noqa: C901 - one loop over what a chunk may hold
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
            (size,) = _SIZE.unpack_from(chunk, start)
            begin = start + HEADER
            if is_shared(size):
                stop = begin + SHARED_SIZE.size
                if stop > end:
                    self._wanted = stop - start
                    break
                frames.append(self._announced_shared(*SHARED_SIZE.unpack_from(chunk, begin)))
                start = stop
                continue
            if size & ATTACHMENT_BIT:
                self._arriving = self._announced(size ^ ATTACHMENT_BIT)
                start = self._fill(self._arriving, chunk, begin, frames)
                continue
            if size > self._limit:
                raise FrameTooLarge(f"a frame announces {size} bytes, the limit is {self._limit}")
            stop = begin + size
            if stop > end:
                self._wanted = HEADER + size
                break
            frames.append(chunk[begin:stop] if size < LARGE else memoryview(chunk)[begin:stop])
            if self._attachments is not _NONE:
                self._attachments = _NONE
            start = stop
        if start < end:
            self._parts.append(chunk[start:] if start else chunk)
            self._held = end - start
        return frames

    def _announced(self, size: int) -> _Arriving:
        count, total, shared = self._attachments
        count, total = count + 1, total + size
        self._attachments = count, total, shared
        if total > self._limit:
            raise FrameTooLarge(f"attachments announce {total} bytes for one frame, the limit is {self._limit}")
        if count > MAX_ATTACHMENTS:
            raise WireError(f"more than {MAX_ATTACHMENTS} attachments come before a frame")
        return _Arriving(size)

    def _announced_shared(self, size: int) -> Announced:
        count, total, shared = self._attachments
        self._attachments = count, total, shared + 1
        if shared == MAX_SHARED:
            raise WireError(f"more than {MAX_SHARED} values in shared memory come before a frame")
        return Announced(size)

    def _fill(self, arriving: _Arriving, chunk: bytes, start: int, frames: list[Frame]) -> int:
        """Add bytes of the chunk to the incomplete attachment; returns the index in the chunk where the rest begins."""
        stop = min(len(chunk), start + arriving.missing)
        arriving.put(memoryview(chunk)[start:stop])
        if not arriving.missing:
            frames.append(arriving.attachment())
            self._arriving = None
        return stop
