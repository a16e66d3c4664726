"""ReplyCells: replies that are numbers, in one cell each, for messages of one call.

    open ─▶ ring: CELLS(first message, cell, kind)     cells[...] = reply, reply, reply
    close ─▶ ring: CLOSE(how many)

What is in the ring says which cells belong to which messages. While a run of cells is open, the lane of the black box
says how far it has come: a reply is stored before the end of its handler is recorded. So a reply costs one store.

The child opens and closes, the daemon reads; both sides count cells from the beginning of the life.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

Put = Callable[[bytes, int, int], bool]  # so many items into the ring, leaving so many bytes free; whether they fit

CELLS: Final = b"\xd8\x7e"  # how the item that opens begins: an extension type of 16 bytes
CLOSE: Final = b"\xd7\x7d"  # and the one that closes: one of eight
COUNT: Final = 4096  # cells: four runs of the most messages that travel together
SPACE: Final = COUNT * 8  # bytes

CLOSING: Final = 32  # bytes of the ring that are left free for the end of an open run
KINDS: Final[tuple[type, ...]] = (int, bool, type(None), float)  # of replies; floats are in cells of another view
_NOTHING: Final = KINDS.index(type(None))
_FLOAT: Final = KINDS.index(float)


class ReplyCells:
    """The cells of one life; each side has an object of its own.

    Args:
        space: their memory, `SPACE` bytes.
        free: the cell in which the daemon says how many cells it has read.
        done: the cell of the lane with the number of the last message whose handler has ended.
    """

    __slots__ = ("_done", "_first", "_floats", "_free", "_kind", "_numbers", "_position")

    def __init__(self, space: memoryview, free: memoryview[int], done: memoryview[int]) -> None:
        self._numbers = space.cast("q")
        self._floats = space.cast("d")
        self._free = free
        self._done = done
        self._position = 0  # of the next cell
        self._first = 0  # the number of the first message of the open run; 0 while none is open
        self._kind = 0

    def close(self) -> None:
        """Give the memory back."""
        for view in (self._numbers, self._floats, self._free):
            view.release()

    # ---- child

    def open(self, first: int, count: int, kind: type, put: Put) -> tuple[memoryview[Any], int] | None:
        """Open a run for so many messages from that number on.

        Returns the cells, and what is to be added to a message's number for its cell; None when there is no room.
        """
        at = self._position
        if at % COUNT + count > COUNT:
            at += COUNT - at % COUNT  # a run does not go around
        if kind not in KINDS or at + count - self._free[0] > COUNT:
            return None
        self._position, self._first, self._kind = at, first, KINDS.index(kind)
        if not put(self._opening(), 1, CLOSING):
            self._first = 0
            return None
        return (self._floats if kind is float else self._numbers), at % COUNT - first

    def checkpoint(self, put: Put) -> None:
        """Let the daemon read up to here; the run goes on."""
        count = self._done[0] - self._first + 1
        if not self._first or count <= 0:
            return
        before = self._first, self._position
        self._first, self._position = self._first + count, self._position + count
        if not put(_closing(count) + self._opening(), 2, CLOSING):  # it is found by a look, or a later time
            self._first, self._position = before

    def end(self, put: Put) -> None:
        """Close the run, before anything else than its next message ends."""
        if self._first:
            count = max(0, self._done[0] - self._first + 1)
            self._first, self._position = 0, self._position + count
            put(_closing(count), 1, 0)

    def _opening(self) -> bytes:
        return CELLS + self._first.to_bytes(8, "big") + self._position.to_bytes(7, "big") + bytes((self._kind,))

    # ---- daemon

    def read(self, position: int, count: int, kind: int) -> list[Any]:
        """The replies in so many cells from a position on; the child may write there again."""
        at = position % COUNT
        values: list[Any] = (self._floats if kind == _FLOAT else self._numbers)[at : at + count].tolist()
        if KINDS[kind] is bool:
            values = list(map(bool, values))
        elif kind == _NOTHING:
            values = [None] * count
        self._free[0] = position + count
        return values


def _closing(count: int) -> bytes:
    return CLOSE + count.to_bytes(8, "big")
