"""Parcel: consecutive encoded messages, joined as long as none of them has to be treated by itself. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

_HEADS: Final = {0xDC: 3, 0xDD: 5}  # bytes before the items of an encoded array, by its first byte; else one
_cut: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def cut_array(encoded: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """The items of an encoded array, each as its bytes."""
    return _cut(encoded)


def array_head(count: int) -> bytes:
    """What comes before the items of an encoded array."""
    return b"\xdd" + count.to_bytes(4, "big")


class Parcel:
    """Consecutive encoded messages.

    Attributes:
        count: how many.
    """

    __slots__ = ("_body", "_payloads", "count")

    def __init__(self, count: int, body: bytes | None, payloads: list[msgspec.Raw] | None = None) -> None:
        self.count = count
        self._body = body  # None while they are apart
        self._payloads = payloads  # None while they are joined

    @classmethod
    def of_array(cls, count: int, encoded: bytes) -> Parcel:
        """The items of an encoded array, which are so many."""
        return cls(count, encoded[_HEADS.get(encoded[0], 1) :])

    @property
    def body(self) -> bytes:
        """Their bytes, joined."""
        if self._body is None:
            self._body = b"".join(self._payloads or ())
        return self._body

    def payloads(self) -> list[msgspec.Raw]:
        """The bytes of each."""
        if self._payloads is None:
            self._payloads = _cut(array_head(self.count) + self.body)
        return self._payloads

    def split(self, size: int) -> tuple[Parcel, Parcel]:
        """The first `size`, and the rest."""
        payloads = self.payloads()
        first, rest = payloads[:size], payloads[size:]
        return Parcel(len(first), None, first), Parcel(len(rest), None, rest)


NOTHING: Final = Parcel(0, b"", [])
