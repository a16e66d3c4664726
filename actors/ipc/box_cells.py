"""Box cells: what lies where in a black box, and what the actor's process writes there.

Every write is one aligned eight-byte store: there is no lock, and the record is consistent at every instant a kill can
hit. A lane belongs to one handler call at a time. Messages begin in the order of their sequence numbers. So of the
messages in flight, those above the highest `begun` never began, those in a lane with `begun != done` are being
handled, and the others have ended.
"""

from __future__ import annotations

from typing import Final

DOORBELL: Final = 0  # cell the daemon increments after a control frame; the child compares it between messages
PEAK: Final = 1  # cell in which the exiting child records its peak memory in bytes
HEARTBEATS: Final = 2  # cell the child increments when a heartbeat asks whether its interpreter runs
LEAVING: Final = 3  # cell that is not 0 when the actor has stopped itself; IDLE when no message waited
IDLE: Final = 2
STAGE: Final = 4  # cell that says how far the child has come: 0 at first, TAKEN, or above that what a spare imports
TAKEN: Final = 1  # it has read its StartActor
DECODING: Final = 5  # cell that is not 0 while the child decodes messages
BOOT: Final = 6  # cell in which the daemon notes which boot of the machine this is; 0 where that is not known
LANES: Final = 7  # cell in which the daemon notes how many lanes there are
FIRST_LANE: Final = 8  # index of the first lane's cell; lanes start on a cache line of their own
BEGUN, DONE, SINCE, HANDLER, OWN, GRANT, UNTIL = range(7)  # cells of a lane; OWN is odd while a timer's runs
LANE_CELLS: Final = 8  # how many cells a lane has
HEALTH: Final = FIRST_LANE + 7  # cell that says since when `Actor.health` runs, else 0; spare in the first lane
CELL: Final = 8  # bytes
CELL_MASK: Final = 2**64 - 1  # what a cell holds: a count that C code has overwritten goes on, and never overflows
MAX_SERIES: Final = 256  # counters of one process, each with a name
SERIES_ROOM: Final = 256  # bytes of a name, two of them for its length


class Recorder:
    """What an actor's process writes into the cells of its black box. Runs in that process.

    Args:
        cells: of the box.
    """

    def __init__(self, cells: memoryview[int]) -> None:
        self._cells = cells

    def take(self) -> None:
        """Record that the child has read its StartActor."""
        self._cells[STAGE] = TAKEN

    def import_module(self, number: int) -> None:
        """Record that a spare imports this module of its Preload, from 1; 0 when it has imported all."""
        self._cells[STAGE] = TAKEN + number if number else 0

    def begin(self, seq: int, handler: int, now: int, lane: int = 0) -> None:
        """Record that a handler is about to be called.

        The sequence number is stored last, so a begun message has all its data.
        """
        at = FIRST_LANE + lane * LANE_CELLS
        self._cells[at + SINCE] = now
        self._cells[at + HANDLER] = handler + 1
        self._cells[at + BEGUN] = seq

    def done(self, seq: int, lane: int = 0) -> None:
        """Record that the handler has ended; its reply may not have been sent yet."""
        self._cells[FIRST_LANE + lane * LANE_CELLS + DONE] = seq

    def since(self, lane: int) -> int:
        """time.monotonic_ns() at which the handler in a lane began."""
        return self._cells[FIRST_LANE + lane * LANE_CELLS + SINCE]

    def begin_own(self, handler: int, now: int, lane: int = 0) -> None:
        """Record that a handler is about to be called for a message of the actor's own timer, which has no number."""
        at = FIRST_LANE + lane * LANE_CELLS
        self._cells[at + SINCE] = now
        self._cells[at + HANDLER] = handler + 1
        self._cells[at + OWN] = (self._cells[at + OWN] + 1) & CELL_MASK

    def done_own(self, lane: int = 0) -> None:
        """Record that the handler of a timer's message has ended."""
        at = FIRST_LANE + lane * LANE_CELLS + OWN
        self._cells[at] = (self._cells[at] + 1) & CELL_MASK

    def begin_health(self, now: int) -> None:
        """Record that `Actor.health` is about to be called."""
        self._cells[HEALTH] = now

    def done_health(self) -> None:
        """Record that `Actor.health` has returned."""
        self._cells[HEALTH] = 0

    def grant(self, until: int, lane: int = 0) -> None:
        """Extend the limit of the handler running in a lane. The extension is tied to this call by its start time."""
        at = FIRST_LANE + lane * LANE_CELLS
        self._cells[at + UNTIL] = until
        self._cells[at + GRANT] = self._cells[at + SINCE]

    def beat(self) -> None:
        """Record that the interpreter runs."""
        self._cells[HEARTBEATS] = (self._cells[HEARTBEATS] + 1) & CELL_MASK

    def leave(self) -> None:
        """Record that the actor has stopped itself and handles nothing more."""
        self._cells[LEAVING] = 1

    def leave_idle(self) -> None:
        """Record that the actor has stopped itself because no message waited."""
        self._cells[LEAVING] = IDLE

    def note_peak(self, size: int) -> None:
        """Record the peak memory of this process, in bytes."""
        self._cells[PEAK] = size
