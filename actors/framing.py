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
MAX_MESSAGE: Final = MAX_FRAME - 64 * 1024  # bytes; leaves room for what is around a message in its frame


def header(size: int) -> bytes:
    """The four bytes that announce a frame of `size` bytes."""
    return size.to_bytes(HEADER, "little")


class Framer:
    """Cuts a stream of bytes into frames. One per direction of a channel; no thread safety of its own."""

    __slots__ = ("_held", "_limit", "_need")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._held = bytearray()
        self._need = HEADER  # how many held bytes make the next step possible

    def feed(self, chunk: bytes) -> list[bytes]:
        """The frames that `chunk` completes, in order.

        Raises:
            FrameTooLarge: a frame announces more than the limit; nothing more can be read from this stream.
        """
        held = self._held
        if held:
            held += chunk
            if len(held) < self._need:
                return []
            chunk = bytes(held)
            held.clear()
        frames = []
        start, end = 0, len(chunk)
        while end - start >= HEADER:
            size = int.from_bytes(chunk[start : start + HEADER], "little")
            if size > self._limit:
                raise FrameTooLarge(f"a frame announces {size} bytes, the limit is {self._limit}")
            stop = start + HEADER + size
            if stop > end:
                self._need = HEADER + size
                break
            frames.append(chunk[start + HEADER : stop])
            start = stop
        else:
            self._need = HEADER
        if start < end:
            held += chunk[start:] if start else chunk
        return frames
