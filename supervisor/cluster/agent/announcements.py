"""Announcements: where a stream of frames announces values in shared memory. Pure; nothing else of it is read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from actors.wire.framing import ATTACHMENT_BIT, HEADER, SHARED_SIZE, Announced, is_shared

_LENGTH: Final = struct.Struct("<I")
_WHOLE: Final = HEADER + SHARED_SIZE.size  # bytes of an announcement


class Announcements:
    """The announcements of one stream."""

    def __init__(self) -> None:
        self._rest = 0  # bytes of the frame that still come
        self._head = b""  # of a length or an announcement that is incomplete

    def cut(self, chunk: bytes) -> Iterator[bytes | Announced]:
        """The same bytes, with each announcement in its place.

        Raises:
            WireError: an announcement has a length that it never has.
        """
        if self._head:
            chunk, self._head = self._head + chunk, b""
        begin, at, end = 0, self._rest, len(chunk)
        while at + HEADER <= end:
            (length,) = _LENGTH.unpack_from(chunk, at)
            if not is_shared(length):
                at += HEADER + (length & ~ATTACHMENT_BIT)
                continue
            if at + _WHOLE > end:
                break
            if begin < at:
                yield chunk[begin:at]
            yield Announced(*SHARED_SIZE.unpack_from(chunk, at + HEADER))
            at += _WHOLE
            begin = at
        stop = min(at, end)
        self._rest, self._head = at - stop, chunk[stop:]
        if begin < stop:
            yield chunk[begin:stop]
