"""CounterCells: an actor's own counters, in its black box, exact over a kill at any instant.

What a handler counts belongs to its message: it is taken back when the process dies under the handler, and stays once
the handler has ended. So a counter that grows by one a message is the number of messages handled, also when a message
is delivered again.

The child writes, the daemon reads; both without a lock or a system call. A series has a slot, and for each lane two
halves there: the call that counted last and the sum with it, and the same of the call before. A call is named by the
numbers in the lane that say which message has begun, and by which its fate is decided after a death: so a message is
counted if and only if it counts as handled. A new call writes its sum into the older half first and its name last, with
one store; so at every instant the newer half, or the older one while its call runs, is the sum.
"""

from __future__ import annotations

from typing import Final

from actors.ipc.box_cells import MAX_SERIES, SERIES_ROOM
from actors.wire.counts import MAX_SERIES_BYTES, Counts, decoded

_NAME: Final = SERIES_ROOM
_HALVES: Final = 4  # cells of a slot and lane: call and sum, twice
_CELL: Final = 8  # bytes


class CounterCells:
    """The counters in one box.

    Args:
        space: their part of the box, with room for all of them.
        lanes: how many.
    """

    def __init__(self, space: memoryview[int], lanes: int) -> None:
        self._lanes = lanes
        self._space = space
        self._head = space[:_CELL].cast("Q")  # how many series there are
        self._names = space[_CELL : _CELL + MAX_SERIES * _NAME]
        halves = space[_CELL + MAX_SERIES * _NAME :]
        self._made = 0  # the same, in the memory of who writes: a stray write of C code may hit the box
        self._calls = halves.cast("Q")
        self._sums = halves.cast("d")
        halves.release()

    def close(self) -> None:
        """Release the memory."""
        for view in (self._head, self._names, self._calls, self._sums, self._space):
            view.release()

    # ---- child

    def new(self, series: bytes) -> int | None:
        """A slot for a series; None when there is none left."""
        slot = self._made
        if slot >= MAX_SERIES:
            return None
        at = slot * _NAME
        self._names[at : at + 2] = len(series).to_bytes(2, "little")
        self._names[at + 2 : at + 2 + len(series)] = series
        self._made = self._head[0] = slot + 1
        return slot

    def add(self, slot: int, lane: int, call: int, amount: float) -> None:
        """Add to a series what the call in a lane has counted."""
        calls, sums = self._calls, self._sums
        first = (slot * self._lanes + lane) * _HALVES
        newer = first if calls[first] >= calls[first + 2] else first + 2
        if calls[newer] == call:
            sums[newer + 1] += amount
        else:
            older = first + 2 if newer == first else first
            sums[older + 1] = sums[newer + 1] + amount
            calls[older] = call

    # ---- daemon

    def totals(self, running: list[int]) -> Counts:
        """The sum of each series.

        Args:
            running: for each lane the call that runs there, 0 when none does.
        """
        found: Counts = {}
        for slot in range(min(self._head[0], MAX_SERIES)):
            at = slot * _NAME
            size = int.from_bytes(self._names[at : at + 2], "little")
            series = decoded(bytes(self._names[at + 2 : at + 2 + min(size, MAX_SERIES_BYTES)]))
            if series is not None:
                sums = (self._sum(slot, lane, call) for lane, call in enumerate(running))
                found[series] = found.get(series, 0) + sum(one for one in sums if 0 <= one < float("inf"))
        return found

    def _sum(self, slot: int, lane: int, running: int) -> float:
        calls = self._calls
        first = (slot * self._lanes + lane) * _HALVES
        newer, older = (first, first + 2) if calls[first] >= calls[first + 2] else (first + 2, first)
        return self._sums[older + 1 if running and calls[newer] == running else newer + 1]
