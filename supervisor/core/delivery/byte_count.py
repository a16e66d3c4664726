"""ByteCount: how many bytes the messages of one queue have. Pure."""

from __future__ import annotations


class ByteCount:
    """The bytes of messages, by number.

    Attributes:
        total: of all of them.
    """

    def __init__(self) -> None:
        self.total = 0
        self._sizes: dict[int, int] = {}

    def add(self, seq: int, size: int) -> None:
        """A message is counted from now on."""
        self._sizes[seq] = size
        self.total += size

    def remove(self, seq: int) -> None:
        """A message has ended."""
        self.total -= self._sizes.pop(seq, 0)
