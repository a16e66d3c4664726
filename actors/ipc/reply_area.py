"""ReplyArea: the part of a black box in which replies lie until the daemon has read them, also after a death.

The child writes outcomes, one after the other, in a ring, and then how far it has written. The daemon reads up to
there and then writes how far it has read. Each cell has one writer and is stored at once, so a kill at any instant
leaves whole outcomes.

The child also counts here the frames that it sends: a reply must not overtake what its handler has sent before it.

Positions count bytes and outcomes from the beginning of the life, modulo 2**32; a mark is both in one cell.
"""

from __future__ import annotations

from typing import Final

from actors.errors import WireError

SIZE: Final = 16 * 1024  # bytes of outcomes, a power of two: a few hundred small ones
HEAD: Final = 128  # bytes before them; each side's cell has a cache line of its own
AREA: Final = HEAD + SIZE
MOST: Final = 1024  # bytes of an outcome that is kept here

WRITTEN, _SENT, READ = 0, 1, 8  # cells
_BITS: Final = 32
_MASK: Final = 2**_BITS - 1


class ReplyArea:
    """The area of one life; each side has an object of its own.

    Args:
        space: its memory, `AREA` bytes, all zero at first.
    """

    __slots__ = ("_at", "_cells", "_count", "_data", "_position", "_room", "_sent")

    def __init__(self, space: memoryview) -> None:
        self._cells = space[:HEAD].cast("Q")
        self._sent = self._cells[_SENT : _SENT + 1]
        self._data = space[HEAD:AREA]
        self._position = 0  # of the next outcome: to write in the child, to read in the daemon
        self._count = 0
        self._at = 0  # the same, in the ring
        self._room = SIZE  # bytes that surely are free

    def close(self) -> None:
        """Give the memory back."""
        self._sent.release()
        self._cells.release()
        self._data.release()

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
        size = len(outcome)
        if size > self._room:
            self._room = SIZE - ((self._position - self._cells[READ]) & _MASK)
            if size > self._room:
                return False
        at, data = self._at, self._data
        end = at + size
        if end < SIZE:
            data[at:end] = outcome
            self._at = end
        else:
            first = SIZE - at
            data[at:] = outcome[:first]
            self._at = end - SIZE
            data[: self._at] = outcome[first:]
        self._room -= size
        self._position = position = (self._position + size) & _MASK
        self._count = count = (self._count + 1) & _MASK
        self._cells[WRITTEN] = count << _BITS | position
        return True

    # ---- daemon

    def take(self, mark: int) -> bytes:
        """The outcomes up to a mark that were not taken yet, as one encoded array; nothing when there are none.

        Raises:
            WireError: the child wrote a mark that cannot be.
        """
        position, total = mark & _MASK, mark >> _BITS
        size, count = (position - self._position) & _MASK, (total - self._count) & _MASK
        if not size or size > _MASK // 2:  # an earlier mark
            return b""
        if size > SIZE or not 0 < count <= size:
            raise WireError(f"it marks {count} replies of {size} bytes, {SIZE} bytes are the most")
        at, data = self._at, self._data
        end = at + size
        body = bytes(data[at:end]) if end <= SIZE else bytes(data[at:]) + bytes(data[: end - SIZE])
        self._at = end % SIZE
        self._position, self._count = position, total
        self._cells[READ] = position
        return b"\xdd" + count.to_bytes(4, "big") + body
