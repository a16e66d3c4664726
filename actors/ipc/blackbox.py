"""BlackBox: a page of memory in which an actor's process says what it is doing, readable after its death.

The daemon writes the doorbell and nothing else, the child everything else; every write is one aligned eight-byte
store, so no lock is needed and any instant may be the last.

The page is an anonymous file, mapped: nothing in the file system bears its name, and it is gone with its last holder.
Behind the lanes lies some room for text: there faulthandler writes stacks, through the descriptor (see `faults`). The
file cannot be made larger or smaller, so the text is bounded and reading the mapping is safe, whatever the child does.
A lane belongs to one handler call at a time. Messages begin in the order of their sequence numbers, so of the messages
in flight those above the highest `begun` never began, those in a lane with `begun != done` are being handled, and the
others are done.
"""

from __future__ import annotations

import mmap
import os
from multiprocessing import context, reduction
from typing import Any, Final

from actors.wire.progress import Activity, Progress, Work

DOORBELL: Final = 0  # cell the daemon counts up after a control frame; the child compares it between messages
_PEAK: Final = 1  # cell in which the child, as it leaves, says how many bytes of memory it has had at most
_PULSE: Final = 2  # cell the child counts up when it is asked whether its interpreter runs
_LEAVING: Final = 3  # cell that is not 0 when the actor has stopped itself, and _IDLE when nothing waited for it
_IDLE: Final = 2
_TAKEN: Final = 4  # cell that is not 0 when the child has read its part
FIRST_LANE: Final = 8  # cells; the lanes start on a cache line of their own
BEGUN, DONE, SINCE, HANDLER, _OWN, _GRANT, _UNTIL = range(7)  # cells of a lane
_LANE: Final = 8
_CELL: Final = 8  # bytes
TEXT: Final = 16 * 1024  # bytes of text that a box holds: the stacks of a process with some dozen threads
NOTHING_BEGUN: Final = Progress(begun=0, active=frozenset(), since=0, handler=-1)


class BlackBox:
    """One life's page. Made in the daemon, mapped by both sides; picklable only while a process is being spawned."""

    def __init__(self, lanes: int = 1) -> None:
        self.lanes = lanes
        self._fd = _anonymous_file(_text_at(lanes) + TEXT)
        try:
            os.lseek(self._fd, _text_at(lanes), os.SEEK_SET)
            self._map()
        except BaseException:
            os.close(self._fd)
            raise

    def _map(self) -> None:
        self._mapping = mmap.mmap(self._fd, 0)
        self.cells = memoryview(self._mapping).cast("Q")

    def __getstate__(self) -> tuple[int, Any]:
        context.assert_spawning(self)
        return self.lanes, reduction.DupFd(self._fd)

    def __setstate__(self, state: tuple[int, Any]) -> None:
        self.lanes, handle = state
        self._fd = handle.detach()
        os.set_inheritable(self._fd, False)
        self._map()

    def close(self) -> None:
        """Unmap the page in this process."""
        os.close(self._fd)
        self.cells.release()
        self._mapping.close()

    # ---- daemon

    def ring(self) -> None:
        """Tell the child that a control frame or the stop event overtakes what it has read so far."""
        self.cells[DOORBELL] += 1

    def progress(self) -> Progress:
        """What the child is doing now, or was doing when it died. Runs anywhere, blocks nowhere."""
        cells = self.cells
        begun = 0
        active: dict[int, tuple[int, int]] = {}
        latest = (0, 0)
        for at in range(FIRST_LANE, FIRST_LANE + self.lanes * _LANE, _LANE):
            seq, when = cells[at + BEGUN], (cells[at + SINCE], cells[at + HANDLER])
            begun, latest = max(begun, seq), max(latest, when)
            if seq != cells[at + DONE]:
                active[seq] = when
        since, handler = min(active.values(), default=latest)
        return Progress(begun, frozenset(active), since, handler - 1)

    def activity(self) -> Activity:
        """What the child is doing now, for those who watch it. Runs anywhere, blocks nowhere."""
        cells, work, steps = self.cells, [], 0
        for lane in range(self.lanes):
            at = FIRST_LANE + lane * _LANE
            since = cells[at + SINCE]
            steps += since + cells[at + DONE] + cells[at + _OWN]
            if cells[at + BEGUN] != cells[at + DONE] or cells[at + _OWN]:
                until = cells[at + _UNTIL] if cells[at + _GRANT] == since else 0
                work.append(Work(lane, since, until, cells[at + HANDLER] - 1))
        return Activity(tuple(work), steps, cells[_PULSE], bool(cells[_LEAVING]))

    def rewind(self) -> None:
        """Empty the text and let the next be written at its beginning: both sides share the descriptor's place."""
        at = _text_at(self.lanes)
        self._mapping[at:] = bytes(TEXT)
        os.lseek(self._fd, at, os.SEEK_SET)

    def text(self) -> str:
        """What was written behind the lanes since the last `rewind`. Runs anywhere, blocks nowhere."""
        at = _text_at(self.lanes)
        end = self._mapping.find(b"\0", at)
        return self._mapping[at : end if end >= 0 else None].decode("utf-8", "replace")

    @property
    def peak(self) -> int:
        """The most memory the child had, in bytes, if it left by itself and knew; else 0."""
        return self.cells[_PEAK]

    @property
    def taken(self) -> bool:
        """Whether the child has read which actor it is."""
        return bool(self.cells[_TAKEN])

    # ---- child

    def fileno(self) -> int:
        """The descriptor; what is written to it becomes text."""
        return self._fd

    def note_peak(self, size: int) -> None:
        """The most memory this process has had, in bytes."""
        self.cells[_PEAK] = size

    def begin(self, seq: int, handler: int, now: int, lane: int = 0) -> None:
        """A handler is about to be called. The sequence number comes last: a begun message never lacks the rest."""
        at = FIRST_LANE + lane * _LANE
        self.cells[at + SINCE] = now
        self.cells[at + HANDLER] = handler + 1
        self.cells[at + BEGUN] = seq

    def begin_own(self, handler: int, now: int, lane: int = 0) -> None:
        """A handler is about to be called for a message that the actor's own timer sent, which has no number."""
        at = FIRST_LANE + lane * _LANE
        self.cells[at + SINCE] = now
        self.cells[at + HANDLER] = handler + 1
        self.cells[at + _OWN] = 1

    def done_own(self, lane: int = 0) -> None:
        """That handler has returned or raised."""
        self.cells[FIRST_LANE + lane * _LANE + _OWN] = 0

    def grant(self, until: int, lane: int = 0) -> None:
        """The handler under way in a lane may take until then. It ends with the call, whose beginning it bears."""
        at = FIRST_LANE + lane * _LANE
        self.cells[at + _UNTIL] = until
        self.cells[at + _GRANT] = self.cells[at + SINCE]

    def beat(self) -> None:
        """The interpreter runs."""
        self.cells[_PULSE] += 1

    def take(self) -> None:
        """The child has read which actor it is."""
        self.cells[_TAKEN] = 1

    def leave(self) -> None:
        """The actor has stopped itself; it handles nothing more."""
        self.cells[_LEAVING] = 1

    def leave_idle(self) -> None:
        """The actor has stopped itself because nothing waited for it."""
        self.cells[_LEAVING] = _IDLE

    @property
    def left_idle(self) -> bool:
        """Whether the actor has stopped itself because nothing waited for it."""
        return self.cells[_LEAVING] == _IDLE

    def clear(self) -> None:
        """Nothing was ever begun."""
        for at in range(FIRST_LANE, FIRST_LANE + self.lanes * _LANE):
            self.cells[at] = 0

    def done(self, seq: int, lane: int = 0) -> None:
        """The handler has returned or raised; its answer may not have left yet."""
        self.cells[FIRST_LANE + lane * _LANE + DONE] = seq


def _text_at(lanes: int) -> int:
    """Where the text begins: on the first page that no lane is on."""
    return -(-(FIRST_LANE + _LANE * lanes) * _CELL // mmap.PAGESIZE) * mmap.PAGESIZE


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
        os.close(fd)
        raise
    return fd
