"""Control framing: control frames as bytes, and back. Pure.

A frame is four bytes of length, big-endian, and its bytes.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import msgspec

from supervisor.control.frames import AnyReply, AnyRequest, Reply, Request

MAX_REQUEST: Final = 256 * 1024  # bytes of one request
MAX_REPLY: Final = 256 * 1024 * 1024  # bytes of one reply
HEAD: Final = 4  # bytes of a length

_encode: Final = msgspec.msgpack.Encoder().encode
_requests: Final[msgspec.msgpack.Decoder[Any]] = msgspec.msgpack.Decoder(AnyRequest)
_replies: Final[msgspec.msgpack.Decoder[Any]] = msgspec.msgpack.Decoder(AnyReply)


def framed(frame: Request | Reply) -> bytes:
    """A frame as bytes, with its length."""
    data = _encode(frame)
    return len(data).to_bytes(HEAD, "big") + data


def read_request(data: bytes) -> Request:
    """The request of a frame.

    Raises:
        BadFrame: it is none.
    """
    try:
        request: Request = _requests.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(f"this is not a request that this daemon knows: {error}") from None
    return request


def read_reply(data: bytes) -> Reply:
    """The reply of a frame.

    Raises:
        BadFrame: it is none; the daemon may have another version.
    """
    try:
        reply: Reply = _replies.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(f"the daemon's answer cannot be read, its version may be another one: {error}") from None
    return reply


class BadFrame(ValueError):
    """Bytes that are no frame."""


class Cutter:
    """Cuts a stream of bytes into frames.

    Args:
        most: the most bytes of a frame.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = bytearray()

    def feed(self, data: bytes, limit: int = sys.maxsize) -> list[bytes]:
        """The frames that these bytes complete, at most so many; those beyond wait for the next call.

        Raises:
            BadFrame: a frame is longer than allowed; nothing after it can be read.
        """
        held = self._held
        held += data
        frames: list[bytes] = []
        at = 0
        while len(held) - at >= HEAD and len(frames) < limit:
            size = int.from_bytes(held[at : at + HEAD], "big")
            if size > self._most:
                raise BadFrame(f"a frame of {size} bytes; the most is {self._most}")
            if len(held) - at - HEAD < size:
                break
            frames.append(bytes(held[at + HEAD : at + HEAD + size]))
            at += HEAD + size
        del held[:at]
        return frames
