"""Announcements: where a stream of frames announces what does not lie in it. Pure; nothing else of it is read.

These are values in shared memory, and replies in the black box of the process that sends the stream.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from actors.errors import WireError
from actors.wire.codec import encode
from actors.wire.framing import ATTACHMENT_BIT, HEADER, SHARED_SIZE, Announced, is_shared
from actors.wire.from_child import KeptReplies

_LENGTH: Final = struct.Struct("<I")
_SHARED: Final = HEADER + SHARED_SIZE.size  # bytes that announce a value
_KEPT: Final = encode(KeptReplies(0, 0, 0, more=False))[:2]  # how a frame begins that announces replies
_PEEK: Final = HEADER + len(_KEPT)
_MOST: Final = 64  # bytes of such a frame
_decode: Final = msgspec.msgpack.Decoder(KeptReplies).decode


class Announcements:
    """The announcements of one stream.

    Attributes:
        heard: how many frames have come whole.
    """

    def __init__(self) -> None:
        self.heard = 0
        self._rest = 0  # bytes of the frame, or the attachment, that still come
        self._frame = False  # whether it is a frame
        self._head = b""  # of a length or an announcement that is incomplete

    def cut(self, chunk: bytes) -> Iterator[bytes | Announced | KeptReplies]:
        """The same bytes, with each announcement in its place.

        Raises:
            WireError: an announcement is as it never is.
        """
        if self._head:
            chunk, self._head = self._head + chunk, b""
        begin, at, end = 0, self._rest, len(chunk)
        if self._frame and at <= end:
            self._frame = False
            self.heard += 1
        while at + HEADER <= end:
            (length,) = _LENGTH.unpack_from(chunk, at)
            whole = _announcement(chunk, at, length)
            if not whole:
                at = self._passed(at, end, length)
            elif at + whole > end:
                break
            else:
                if begin < at:
                    yield chunk[begin:at]
                body = chunk[at + HEADER : at + whole]
                begin = at = at + whole
                yield self._read(length, body)
        stop = min(at, end)
        self._rest, self._head = at - stop, chunk[stop:]
        if begin < stop:
            yield chunk[begin:stop]

    def _passed(self, at: int, end: int, length: int) -> int:
        """Where a frame or an attachment ends that begins there."""
        at += HEADER + (length & ~ATTACHMENT_BIT)
        if not length & ATTACHMENT_BIT:
            self._frame = at > end
            self.heard += at <= end
        return at

    def _read(self, length: int, body: bytes) -> Announced | KeptReplies:
        if is_shared(length):
            return Announced(*SHARED_SIZE.unpack(body))
        self.heard += 1
        try:
            return _decode(body)
        except msgspec.MsgspecError as error:
            raise WireError(f"an announcement of kept replies does not decode: {error}") from error


def _announcement(chunk: bytes, at: int, length: int) -> int:
    """The bytes of the announcement there, or so many that tell; 0 where there is none."""
    if is_shared(length):
        return _SHARED
    if length & ATTACHMENT_BIT or length < len(_KEPT):
        return 0
    if len(chunk) < at + _PEEK:
        return _PEEK
    if chunk[at + HEADER : at + _PEEK] != _KEPT:
        return 0
    if length > _MOST:
        raise WireError(f"it announces kept replies in {length} bytes, {_MOST} are the most")
    return HEADER + length
