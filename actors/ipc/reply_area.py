"""ReplyArea: the part of a black box in which replies lie until the daemon has read them, also after a death.

The child writes items, one after the other, in a ring, and then how far it has written. The daemon reads up to there
and then writes how far it has read. Each cell has one writer and is stored at once, so a kill at any instant leaves
whole items.

    head(7) reply reply reply head(0) outcome outcome ...

An item is an outcome, or behind the head of a run a bare reply: to the message of the head's number, then to those
that follow it. Numbers have cells of their own behind the ring (`actors.ipc.reply_cells`).

The child also counts here the frames that it sends: a reply must not overtake what its handler has sent before it.

Positions count bytes and items from the beginning of the life, modulo 2**32; a mark is both in one cell.
"""

from __future__ import annotations

from typing import Any, Final

from actors.errors import WireError
from actors.ipc.reply_cells import CELLS, CLOSE, CLOSING, SPACE, ReplyCells

SIZE: Final = 64 * 1024  # bytes of items, a power of two: more than an actor answers until the daemon has looked
HEAD: Final = 128  # bytes before them; each side's cell has a cache line of its own
AREA: Final = HEAD + SIZE + SPACE
MOST: Final = 1024  # bytes of an item that is kept here

WRITTEN, _SENT, OPEN, READ, _CELLS_READ = 0, 1, 2, 8, 9  # cells; OPEN is 1 while a run of numbers is open
_BITS: Final = 32
_MASK: Final = 2**_BITS - 1

RUN: Final = b"\xd7\x7f"  # how a head begins: msgpack's extension type 127, with the number in eight bytes
HEADS: Final = (RUN, CELLS, CLOSE)  # how items begin that are no reply and no outcome


class ReplyArea:
    """The area of one life; each side has an object of its own.

    Args:
        space: its memory, `AREA` bytes, all zero at first.
        done: the cell with the number of the last message whose handler has ended.
    """

    __slots__ = (
        "_at",
        "_behind",
        "_cells",
        "_count",
        "_data",
        "_done",
        "_next",
        "_numbers",
        "_position",
        "_room",
        "_sent",
    )

    def __init__(self, space: memoryview, done: memoryview[int]) -> None:
        self._cells = space[:HEAD].cast("Q")
        self._behind = space[HEAD + SIZE : AREA]
        self._done = done
        self._numbers: ReplyCells | None = None
        self._sent = self._cells[_SENT : _SENT + 1]
        self._data = space[HEAD : HEAD + SIZE]
        self._position = 0  # of the next item: to write in the child, to read in the daemon
        self._count = 0
        self._at = 0  # the same, in the ring
        self._room = SIZE  # bytes that surely are free
        self._next = 0  # the number of the message whose reply continues the run; 0 outside of runs

    def close(self) -> None:
        """Give the memory back."""
        if self._numbers is not None:
            self._numbers.close()
        self._behind.release()
        self._done.release()
        self._sent.release()
        self._cells.release()
        self._data.release()

    @property
    def cells(self) -> ReplyCells:
        """Those for numbers."""
        if self._numbers is None:
            self._numbers = ReplyCells(self._behind, self._cells[_CELLS_READ : _CELLS_READ + 1], self._done)
        return self._numbers

    @property
    def mark(self) -> int:
        """How far the child has written."""
        return self._cells[WRITTEN]

    @property
    def frames_sent(self) -> int:
        """How many frames the child has sent, each counted before it is written."""
        return self._cells[_SENT]

    # ---- child

    def sent_cell(self) -> memoryview[int]:
        """The one cell in which the child counts the frames that it sends; until `close`."""
        return self._sent

    def put(self, outcome: bytes) -> bool:
        """Keep an encoded outcome; False when there is no room."""
        if not self._next:
            return self._put(outcome, 1)
        if not self._put(_head(0) + outcome, 2):
            return False
        self._next = 0
        return True

    def put_reply(self, seq: int, reply: bytes) -> bool:
        """Keep the encoded reply to a message; False when there is no room, or it cannot be told from a head.

        Replies to messages with consecutive numbers take no more than their own bytes.
        """
        if reply.startswith(HEADS):
            return False
        if not (self._put(reply, 1) if seq == self._next else self._put(_head(seq) + reply, 2)):
            return False
        self._next = seq + 1
        return True

    def open_run(self, first: int, count: int, kind: type) -> tuple[memoryview[Any], int] | None:
        """See `ReplyCells.open`."""
        run = self.cells.open(first, count, kind, self._put)
        if run is not None:
            self._cells[OPEN] = 1
        return run

    def checkpoint(self) -> None:
        """See `ReplyCells.checkpoint`."""
        if self._numbers is not None:
            self._numbers.checkpoint(self._put)

    def end_run(self) -> None:
        """See `ReplyCells.end`."""
        if self._numbers is not None:
            self._numbers.end(self._put)
            self._cells[OPEN] = 0

    def _put(self, items: bytes, count: int, left: int = CLOSING) -> bool:
        """Write so many items and leave so many bytes free; False when there is no room."""
        size = len(items)
        if size + left > self._room:
            self._room = SIZE - ((self._position - self._cells[READ]) & _MASK)
            if size + left > self._room:
                return False
        at, data = self._at, self._data
        end = at + size
        if end < SIZE:
            data[at:end] = items
            self._at = end
        else:
            first = SIZE - at
            data[at:] = items[:first]
            self._at = end - SIZE
            data[: self._at] = items[first:]
        self._room -= size
        self._position = position = (self._position + size) & _MASK
        self._count = total = (self._count + count) & _MASK
        self._cells[WRITTEN] = total << _BITS | position
        return True

    # ---- daemon

    def take(self, mark: int) -> tuple[int, bytes]:
        """How many items were written up to a mark and not taken yet, and their bytes.

        Raises:
            WireError: the child wrote a mark that cannot be.
        """
        position, total = mark & _MASK, mark >> _BITS
        size, count = (position - self._position) & _MASK, (total - self._count) & _MASK
        if not size or size > _MASK // 2:  # an earlier mark
            return 0, b""
        if size > SIZE or not 0 < count <= size:
            raise WireError(f"it marks {count} replies of {size} bytes, {SIZE} bytes are the most")
        at, data = self._at, self._data
        end = at + size
        body = bytes(data[at:end]) if end <= SIZE else bytes(data[at:]) + bytes(data[: end - SIZE])
        self._at = end % SIZE
        self._position, self._count = position, total
        self._cells[READ] = position
        return count, body


def _head(seq: int) -> bytes:
    return RUN + seq.to_bytes(8, "big")
