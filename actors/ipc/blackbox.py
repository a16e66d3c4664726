"""BlackBox: a page of shared memory in which an actor's process records what it is doing, readable after its death.

The daemon writes only the doorbell, the child everything else. Every write is one aligned eight-byte store: there is
no lock, and the record is consistent at every instant a kill can hit.

The page is an anonymous mapped file: it has no name in the file system and disappears with its last holder. Behind
the lanes are the actor's own counters (`actors.ipc.counter_cells`), then replies that the daemon has not read yet
(`actors.ipc.reply_area`). At the end is space for text, where faulthandler writes stacks through the descriptor (see
`actors.process.diagnostics`). The file is sealed against resizing, so the text is bounded and reading the mapping is
safe whatever the child does.

A lane belongs to one handler call at a time. Messages begin in the order of their sequence numbers. So of the
messages in flight, those above the highest `begun` never began, those in a lane with `begun != done` are being
handled, and the others have ended.
"""

from __future__ import annotations

import mmap
import os
import sys
from multiprocessing import context, reduction
from typing import TYPE_CHECKING, Any, Final

from actors.event import close_fd
from actors.ipc.reply_area import AREA, OPEN, READ, WRITTEN, ReplyArea
from actors.wire.progress import Activity, Progress, Work

if TYPE_CHECKING:
    from actors.ipc.box_file import BoxFile
    from actors.ipc.counter_cells import CounterCells
    from actors.wire.counts import Counts

DOORBELL: Final = 0  # cell the daemon increments after a control frame; the child compares it between messages
_PEAK: Final = 1  # cell in which the exiting child records its peak memory in bytes
_PULSE: Final = 2  # cell the child increments when a heartbeat asks whether its interpreter runs
_LEAVING: Final = 3  # cell that is not 0 when the actor has stopped itself; _IDLE when no message waited
_IDLE: Final = 2
_STAGE: Final = 4  # cell that says how far the child has come: 0 at first, _TAKEN, or above that what a spare imports
_TAKEN: Final = 1  # it has read its StartActor
BOOT: Final = 6  # cell in which the daemon notes which boot of the machine this is; 0 where that is not known
LANES: Final = 7  # cell in which the daemon notes how many lanes there are
DECODING: Final = 5  # cell that is not 0 while the child decodes messages
FIRST_LANE: Final = 8  # index of the first lane's cell; lanes start on a cache line of their own
BEGUN, DONE, SINCE, HANDLER, _OWN, _GRANT, _UNTIL = range(7)  # cells of a lane; _OWN is odd while a timer's runs
_LANE: Final = 8
CELL: Final = 8  # bytes
_CELL_MASK: Final = 2**64 - 1
_POSITION: Final = 2**32 - 1  # bits of a mark of replies
MAX_SERIES: Final = 256  # counters of one process, each with a name
SERIES_ROOM: Final = 256  # bytes of a name, two of them for its length
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
    """

    closed = False

    def __init__(self, lanes: int = 1, file: BoxFile | None = None) -> None:
        self.lanes = lanes
        self.file = file
        self._replies_at = behind_counters(lanes) + (0 if file is None else file.room)
        self._text_at = self._replies_at + AREA
        size = self._text_at + TEXT
        self._fd = _anonymous_file(size) if file is None else file.make(size)
        try:
            os.lseek(self._fd, self._text_at, os.SEEK_SET)
            self._map()
        except BaseException:
            close_fd(self._fd)
            raise
        if file is not None:
            file.begin(self.cells, lanes)

    def _map(self) -> None:
        self._mapping = mmap.mmap(self._fd, 0, **_UNTRACKED)
        self.cells = memoryview(self._mapping).cast("Q")
        self._counters: CounterCells | None = None
        self._replies: ReplyArea | None = None

    def __getstate__(self) -> tuple[int, int, Any]:
        context.assert_spawning(self)
        return self.lanes, self._replies_at, reduction.DupFd(self._fd)

    def __setstate__(self, state: tuple[int, int, Any]) -> None:
        self.lanes, self._replies_at, handle = state
        self.file = None
        self._text_at = self._replies_at + AREA
        self._fd = handle.detach()
        os.set_inheritable(self._fd, False)
        self._map()

    def close(self) -> None:
        """Unmap the page in this process."""
        self.closed = True
        fd, self._fd = self._fd, -1
        close_fd(fd)
        if self._counters is not None:
            self._counters.close()
        if self._replies is not None:
            self._replies.close()
        self.cells.release()
        self._mapping.close()
        if self.file is not None:
            self.file.close()

    @property
    def counters(self) -> CounterCells:
        """The actor's own counters. Their code is imported by processes that count."""
        if self._counters is None:
            from actors.ipc.counter_cells import CounterCells  # noqa: PLC0415 - as said

            at = _counters_at(self.lanes)
            space = memoryview(self._mapping)[at : at + _counters_size(self.lanes)]
            self._counters = CounterCells(space, self.lanes)
        return self._counters

    @property
    def replies(self) -> ReplyArea:
        """The replies that the daemon has not read yet."""
        if self._replies is None:
            done = self.cells[FIRST_LANE + DONE : FIRST_LANE + DONE + 1]
            self._replies = ReplyArea(memoryview(self._mapping)[self._replies_at : self._text_at], done)
        return self._replies

    # ---- daemon

    @property
    def has_unread(self) -> bool:
        """Whether there are replies that the daemon has not read."""
        at = self._replies_at // CELL
        return self.cells[at + WRITTEN] & _POSITION != self.cells[at + READ] or self.cells[at + OPEN] != 0

    def ring(self) -> None:
        """Tell the child that a control frame or the stop event overtakes what it has read so far."""
        self.cells[DOORBELL] = (self.cells[DOORBELL] + 1) & _CELL_MASK  # the child may have written there

    def progress(self) -> Progress:
        """What the child is doing now, or was doing when it died. Callable from any thread; never blocks."""
        return progress_in(self.cells, self.lanes)

    def activity(self) -> Activity:
        """What the child is doing now, for the watchdog. Callable from any thread; never blocks."""
        cells, work, steps = self.cells, [], 0
        for lane in range(self.lanes):
            at = FIRST_LANE + lane * _LANE
            since = cells[at + SINCE]
            steps += since + cells[at + DONE] + cells[at + _OWN]
            if _busy(cells, at):
                until = cells[at + _UNTIL] if cells[at + _GRANT] == since else 0
                work.append(Work(lane, since, until, cells[at + HANDLER] - 1))
        return Activity(tuple(work), steps, cells[_PULSE], bool(cells[_LEAVING]))

    def counts(self) -> Counts:
        """What the actor has counted, in handlers that have ended and outside. Callable from any thread."""
        cells = self.cells
        if not cells[_counters_at(self.lanes) // CELL]:  # it has none
            return {}
        lanes = range(FIRST_LANE, FIRST_LANE + self.lanes * _LANE, _LANE)
        running = [_call(cells, at) if _busy(cells, at) else 0 for at in lanes]
        return self.counters.totals(running)

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
        return self.cells[_PEAK]

    @property
    def taken(self) -> bool:
        """Whether the child has read its StartActor."""
        return self.cells[_STAGE] == _TAKEN

    @property
    def importing(self) -> int:
        """Which of the modules of its Preload a spare imports, or died importing, from 1; 0 when it imports none."""
        return max(0, self.cells[_STAGE] - _TAKEN)

    # ---- child

    def fileno(self) -> int:
        """The descriptor; bytes written to it become text."""
        return self._fd

    def note_peak(self, size: int) -> None:
        """Record the peak memory of this process, in bytes."""
        self.cells[_PEAK] = size

    def begin(self, seq: int, handler: int, now: int, lane: int = 0) -> None:
        """Record that a handler is about to be called.

        The sequence number is stored last, so a begun message has all its data.
        """
        at = FIRST_LANE + lane * _LANE
        self.cells[at + SINCE] = now
        self.cells[at + HANDLER] = handler + 1
        self.cells[at + BEGUN] = seq

    def begin_own(self, handler: int, now: int, lane: int = 0) -> None:
        """Record that a handler is about to be called for a message of the actor's own timer, which has no number."""
        at = FIRST_LANE + lane * _LANE
        self.cells[at + SINCE] = now
        self.cells[at + HANDLER] = handler + 1
        self.cells[at + _OWN] += 1

    def done_own(self, lane: int = 0) -> None:
        """Record that the handler of a timer's message has ended."""
        self.cells[FIRST_LANE + lane * _LANE + _OWN] += 1

    def grant(self, until: int, lane: int = 0) -> None:
        """Extend the limit of the handler running in a lane. The extension is tied to this call by its start time."""
        at = FIRST_LANE + lane * _LANE
        self.cells[at + _UNTIL] = until
        self.cells[at + _GRANT] = self.cells[at + SINCE]

    def count(self, slot: int, lane: int, amount: float) -> None:
        """Add to one of the actor's counters, for the handler that runs in a lane."""
        self.counters.add(slot, lane, _call(self.cells, FIRST_LANE + lane * _LANE), amount)

    def since(self, lane: int) -> int:
        """time.monotonic_ns() at which the handler in a lane began."""
        return self.cells[FIRST_LANE + lane * _LANE + SINCE]

    def beat(self) -> None:
        """Record that the interpreter runs."""
        self.cells[_PULSE] += 1

    def take(self) -> None:
        """Record that the child has read its StartActor."""
        self.cells[_STAGE] = _TAKEN

    def import_module(self, number: int) -> None:
        """Record that a spare imports this module of its Preload, from 1; 0 when it has imported all."""
        self.cells[_STAGE] = _TAKEN + number if number else 0

    def leave(self) -> None:
        """Record that the actor has stopped itself and handles nothing more."""
        self.cells[_LEAVING] = 1

    def leave_idle(self) -> None:
        """Record that the actor has stopped itself because no message waited."""
        self.cells[_LEAVING] = _IDLE

    @property
    def left_idle(self) -> bool:
        """Whether the actor has stopped itself because no message waited."""
        return self.cells[_LEAVING] == _IDLE

    def done(self, seq: int, lane: int = 0) -> None:
        """Record that the handler has ended; its reply may not have been sent yet."""
        self.cells[FIRST_LANE + lane * _LANE + DONE] = seq


def _busy(cells: memoryview[int], at: int) -> bool:
    """Whether a handler runs in a lane, for a message or for one of the actor's own timer."""
    return cells[at + BEGUN] != cells[at + DONE] or cells[at + _OWN] % 2 == 1


def _call(cells: memoryview[int], at: int) -> int:
    """A number that ascends with each call in a lane, and with nothing else."""
    return cells[at + BEGUN] + cells[at + _OWN]


def progress_in(cells: memoryview[int], lanes: int) -> Progress:
    """What the cells of a box say."""
    begun = 0
    active: dict[int, tuple[int, int]] = {}
    latest = (0, 0)
    for at in range(FIRST_LANE, FIRST_LANE + lanes * _LANE, _LANE):
        seq, when = cells[at + BEGUN], (cells[at + SINCE], cells[at + HANDLER])
        begun, latest = max(begun, seq), max(latest, when)
        if seq != cells[at + DONE]:
            active[seq] = when
    since, handler = min(active.values(), default=latest)
    return Progress(begun, frozenset(active), since, handler - 1, decoding=bool(cells[DECODING]))


def _counters_at(lanes: int) -> int:
    """Offset of the counters: the first page without a lane."""
    return _next_page((FIRST_LANE + _LANE * lanes) * CELL)


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
