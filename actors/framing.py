"""Framing: bytes to frames and back, without any I/O.

Law: any chunking of the same bytes yields the same frames; a frame over the limit is refused before it is read.
May import: errors.

A frame is four bytes of length, little-endian, then so many bytes.
"""

from __future__ import annotations

from typing import Final

from actors.errors import FrameTooLarge

HEADER: Final = 4
MAX_FRAME: Final = 128 * 1024 * 1024  # bytes; room for a 64 MiB payload, a bound on what a hostile length can cost
MAX_MESSAGE: Final = MAX_FRAME - 1024 * 1024  # bytes; leaves room for what shares its frame: envelopes, small messages

LARGE: Final = 64 * 1024  # bytes; from here on looking at a frame beats copying it


def header(size: int) -> bytes:
    """The four bytes that announce a frame of `size` bytes."""
    return size.to_bytes(HEADER, "little")


Frame = bytes | memoryview


class Framer:
    """Cuts a stream of bytes into frames. One per direction of a channel; no thread safety of its own.

    A frame that came in many chunks is put together once, and a large one is a view of what it came in.
    """

    __slots__ = ("_held", "_limit", "_parts", "_wanted")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._parts: list[bytes] = []  # what came of a frame that is not complete
        self._held = 0  # bytes in them
        self._wanted = HEADER  # bytes that make the next step possible

    @property
    def missing(self) -> int:
        """How many more bytes the frame under way needs, as far as that is known."""
        return self._wanted - self._held

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes, in order.

        Raises:
            FrameTooLarge: a frame announces more than the limit; nothing more can be read from this stream.
        """
        if self._parts:
            self._parts.append(chunk)
            self._held += len(chunk)
            if self._held < self._wanted:
                return []
            chunk = b"".join(self._parts)
            self._parts.clear()
        frames: list[Frame] = []
        start, end = 0, len(chunk)
        self._wanted = HEADER
        while end - start >= HEADER:
            size = int.from_bytes(chunk[start : start + HEADER], "little")
            if size > self._limit:
                raise FrameTooLarge(f"a frame announces {size} bytes, the limit is {self._limit}")
            begin, stop = start + HEADER, start + HEADER + size
            if stop > end:
                self._wanted = HEADER + size
                break
            frames.append(chunk[begin:stop] if size < LARGE else memoryview(chunk)[begin:stop])
            start = stop
        self._held = end - start
        if start < end:
            self._parts.append(chunk[start:] if start else chunk)
        return frames
