"""BlackBox: a page of shared memory in which an actor's process records what it is doing, readable after its death.

The daemon writes only the doorbell, the child everything else; `actors.ipc.box_cells` says how and where.

The page is an anonymous mapped file: it has no name in the file system and disappears with its last holder. Behind
the lanes are the actor's own counters (`actors.ipc.counter_cells`), then replies that the daemon has not read yet
(`actors.ipc.reply_area`). At the end is space for text, where faulthandler writes stacks through the descriptor (see
`actors.process.diagnostics`). The file is sealed against resizing, so the text is bounded and reading the mapping is
safe whatever the child does.
"""

from __future__ import annotations

import mmap
import os
import sys
from multiprocessing import context, reduction
from typing import TYPE_CHECKING, Any, Final

from actors.event import close_fd
from actors.ipc.box_cells import (
    BEGUN,
    CELL,
    CELL_MASK,
    DECODING,
    DONE,
    DOORBELL,
    FIRST_LANE,
    GRANT,
    HANDLER,
    HEALTH,
    HEARTBEATS,
    IDLE,
    LANE_CELLS,
    LEAVING,
    MAX_SERIES,
    OWN,
    PEAK,
    SERIES_ROOM,
    SINCE,
    STAGE,
    TAKEN,
    UNTIL,
    Recorder,
)
from actors.ipc.reply_area import AREA, OPEN, READ, WRITTEN, ReplyArea
from actors.wire.progress import Activity, Progress, Work

if TYPE_CHECKING:
    from actors.ipc.box_file import BoxFile
    from actors.ipc.counter_cells import CounterCells
    from actors.wire.counts import Counts

_POSITION: Final = 2**32 - 1  # bits of a mark of replies
TEXT: Final = 16 * 1024  # bytes of text a box holds: the stacks of a process with a few dozen threads

_UNTRACKED: Final[dict[str, Any]] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
"""Without it a mapping keeps a descriptor of its own."""


class BlackBox:
    """The page of one life. Made in the daemon, mapped by both sides; picklable only during a spawn.

    Args:
        lanes: how many handler calls it records at a time.
        file: where it is kept so that it can be read after the death of the daemon, too; None for one without a name.

    Attributes:
        closed: whether it is unmapped here.
        cells: its first part, by eight bytes.
    """

    closed = False

    def __init__(self, lanes: int = 1, file: BoxFile | None = None) -> None:
        self._lay_out(lanes, behind_counters(lanes) + (0 if file is None else file.room), file)
        size = self._text_at + TEXT
        named = None if file is None else file.make(size)
        self._fd = _anonymous_file(size) if named is None else named
        try:
            os.lseek(self._fd, self._text_at, os.SEEK_SET)
            self._map()
        except BaseException:
            close_fd(self._fd)
            raise
        if file is not None:
            file.begin(self.cells, lanes, behind_counters(lanes) // CELL)

    def _lay_out(self, lanes: int, replies_at: int, file: BoxFile | None = None) -> None:
        self.lanes = lanes
        self.file = file
        self._replies_at = replies_at
        self._text_at = replies_at + AREA

    def _map(self) -> None:
        self._mapping = mmap.mmap(self._fd, 0, **_UNTRACKED)
        self._look_into(memoryview(self._mapping))

    def _look_into(self, page: memoryview) -> None:
        self._page = page
        self.cells = page.cast("Q")
        self._counters: CounterCells | None = None
        self._replies: ReplyArea | None = None

    def __getstate__(self) -> tuple[int, int, Any]:
        context.assert_spawning(self)
        return self.lanes, self._replies_at, reduction.DupFd(self._fd)

    def __setstate__(self, state: tuple[int, int, Any]) -> None:
        lanes, replies_at, handle = state
        self._lay_out(lanes, replies_at)
        self._fd = handle.detach()
        os.set_inheritable(self._fd, False)
        self._map()

    def close(self) -> None:
        """Unmap the page in this process."""
        fd, self._fd = self._fd, -1
        close_fd(fd)
        self._look_away()
        self._mapping.close()
        if self.file is not None:
            self.file.close()

    def _look_away(self) -> None:
        self.closed = True
        if self._counters is not None:
            self._counters.close()
        if self._replies is not None:
            self._replies.close()
        self.cells.release()
        self._page.release()

    @property
    def counters(self) -> CounterCells:
        """The actor's own counters. Their code is imported by processes that count."""
        if self._counters is None:
            from actors.ipc.counter_cells import CounterCells  # noqa: PLC0415 - as said

            at = _counters_at(self.lanes)
            space = self._page[at : at + _counters_size(self.lanes)]
            self._counters = CounterCells(space, self.lanes)
        return self._counters

    @property
    def replies(self) -> ReplyArea:
        """The replies that the daemon has not read yet."""
        if self._replies is None:
            done = self.cells[FIRST_LANE + DONE : FIRST_LANE + DONE + 1]
            self._replies = ReplyArea(self._page[self._replies_at : self._text_at], done)
        return self._replies

    # ---- daemon

    @property
    def has_unread(self) -> bool:
        """Whether there are replies that the daemon has not read."""
        at = self._replies_at // CELL
        return self.cells[at + WRITTEN] & _POSITION != self.cells[at + READ] or self.cells[at + OPEN] != 0

    def ring(self) -> None:
        """Tell the child that a control frame or the stop event overtakes what it has read so far."""
        self.cells[DOORBELL] = (self.cells[DOORBELL] + 1) & CELL_MASK  # the child may have written there

    def progress(self) -> Progress:
        """What the child is doing now, or was doing when it died. Callable from any thread; never blocks."""
        return progress_in(self.cells, self.lanes)

    def activity(self) -> Activity:
        """What the child is doing now, for the watchdog. Callable from any thread; never blocks."""
        return _activity_in(self.cells, self.lanes)

    def counts(self) -> Counts:
        """What the actor has counted, in handlers that have ended and outside. Callable from any thread."""
        if not self.cells[_counters_at(self.lanes) // CELL]:  # it has none
            return {}
        return self.counters.totals(_running_in(self.cells, self.lanes))

    def rewind(self) -> None:
        """Empty the text; the next write starts at its beginning, because both sides share the file offset."""
        at = self._text_at
        self._mapping[at : at + TEXT] = bytes(TEXT)
        os.lseek(self._fd, at, os.SEEK_SET)

    def text(self) -> str:
        """The text written since the last `rewind`. Callable from any thread; never blocks."""
        at = self._text_at
        end = self._mapping.find(b"\0", at)
        return self._mapping[at : end if end >= 0 else None].decode("utf-8", "replace")

    @property
    def peak(self) -> int:
        """The child's peak memory in bytes, if it exited by itself and could tell; else 0."""
        return self.cells[PEAK]

    @property
    def taken(self) -> bool:
        """Whether the child has read its StartActor."""
        return self.cells[STAGE] == TAKEN

    @property
    def importing(self) -> int:
        """Which of the modules of its Preload a spare imports, or died importing, from 1; 0 when it imports none."""
        return max(0, self.cells[STAGE] - TAKEN)

    @property
    def left_idle(self) -> bool:
        """Whether the actor has stopped itself because no message waited."""
        return self.cells[LEAVING] == IDLE

    # ---- child

    @property
    def recorder(self) -> Recorder:
        """Writes what the child is doing."""
        return Recorder(self.cells)

    def fileno(self) -> int:
        """The descriptor; bytes written to it become text."""
        return self._fd

    def count(self, slot: int, lane: int, amount: float) -> None:
        """Add to one of the actor's counters, for the handler that runs in a lane."""
        self.counters.add(slot, lane, _call(self.cells, FIRST_LANE + lane * LANE_CELLS), amount)


def progress_in(cells: memoryview[int], lanes: int) -> Progress:
    """What the cells of a box say."""
    begun = 0
    active: dict[int, tuple[int, int]] = {}
    latest = (0, 0)
    for at in range(FIRST_LANE, FIRST_LANE + lanes * LANE_CELLS, LANE_CELLS):
        seq, when = cells[at + BEGUN], (cells[at + SINCE], cells[at + HANDLER])
        begun, latest = max(begun, seq), max(latest, when)
        if seq != cells[at + DONE]:
            active[seq] = when
    since, handler = min(active.values(), default=latest)
    return Progress(begun, frozenset(active), since, handler - 1, decoding=bool(cells[DECODING]))


def _activity_in(cells: memoryview[int], lanes: int) -> Activity:
    """What the cells of a box say of each lane."""
    work, steps = [], 0
    for lane in range(lanes):
        at = FIRST_LANE + lane * LANE_CELLS
        since = cells[at + SINCE]
        steps += since + cells[at + DONE] + cells[at + OWN]
        if _busy(cells, at):
            until = cells[at + UNTIL] if cells[at + GRANT] == since else 0
            work.append(Work(lane, since, until, cells[at + HANDLER] - 1))
    return Activity(tuple(work), steps, cells[HEARTBEATS], bool(cells[LEAVING]), cells[HEALTH])


def _running_in(cells: memoryview[int], lanes: int) -> list[int]:
    """For each lane the number of the call that runs there, 0 when none does."""
    starts = range(FIRST_LANE, FIRST_LANE + lanes * LANE_CELLS, LANE_CELLS)
    return [_call(cells, at) if _busy(cells, at) else 0 for at in starts]


def _busy(cells: memoryview[int], at: int) -> bool:
    """Whether a handler runs in a lane, for a message or for one of the actor's own timer."""
    return cells[at + BEGUN] != cells[at + DONE] or cells[at + OWN] % 2 == 1


def _call(cells: memoryview[int], at: int) -> int:
    """A number that ascends with each call in a lane, and with nothing else."""
    return (cells[at + BEGUN] + cells[at + OWN]) & CELL_MASK


def _counters_at(lanes: int) -> int:
    """Offset of the counters: the first page without a lane."""
    return _next_page((FIRST_LANE + LANE_CELLS * lanes) * CELL)


def behind_counters(lanes: int) -> int:
    """Offset of what a file keeps, and of the replies and the text: the first page behind the counters."""
    return _next_page(_counters_at(lanes) + _counters_size(lanes))


def _counters_size(lanes: int) -> int:
    """The bytes of a count, and of `MAX_SERIES` slots: a name, and four cells for each lane."""
    return CELL + MAX_SERIES * (SERIES_ROOM + 4 * CELL * lanes)


def _next_page(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def _anonymous_file(size: int) -> int:
    """A descriptor of `size` zero bytes without a name: a sealed memfd on Linux, an unlinked file elsewhere."""
    if not hasattr(os, "memfd_create"):
        import tempfile  # noqa: PLC0415 - it imports much, and children import this module

        with tempfile.TemporaryFile(prefix="actors-blackbox-") as file:
            os.ftruncate(file.fileno(), size)
            return os.dup(file.fileno())
    import fcntl  # noqa: PLC0415 - only the daemon makes files

    fd = os.memfd_create("actors-blackbox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    except BaseException:
        close_fd(fd)
        raise
    return fd
