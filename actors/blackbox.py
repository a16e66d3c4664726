"""BlackBox: a page of memory in which an actor's process says what it is doing, readable after its death.

Law: the child writes its lanes and nothing else, the daemon writes the doorbell and nothing else; every write is one
     aligned eight-byte store, so no lock is needed and any instant may be the last.
May import: nothing of ours.

The page is an anonymous mapping: nothing in the file system bears its name, and it is gone with its last holder.
A lane belongs to one handler call at a time. Messages begin in the order of their sequence numbers, so of the messages
in flight those above the highest `begun` never began, those in a lane with `begun != done` are being handled, and the
others are done.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from multiprocessing import context, reduction
from pathlib import Path
from typing import Any, Final

import msgspec

DOORBELL: Final = 0  # cell the daemon counts up after a control frame; the child compares it between messages
_FIRST_LANE: Final = 8  # cells; the lanes start on a cache line of their own
_BEGUN, _DONE, _SINCE, _HANDLER = range(4)  # cells of a lane
_LANE: Final = 4
_CELL: Final = 8  # bytes


class Progress(msgspec.Struct, frozen=True):
    """What a black box says.

    Attributes:
        begun: the highest sequence number that a handler has begun.
        active: sequence numbers whose handler had begun and not returned.
        since: time.monotonic_ns() at which the longest-running of them began, or the last one if none runs.
        handler: place of that one's handler in the actor's table, -1 when none was ever called.
    """

    begun: int
    active: frozenset[int]
    since: int
    handler: int


class BlackBox:
    """One life's page. Made in the daemon, mapped by both sides; picklable only while a process is being spawned."""

    def __init__(self, lanes: int = 1) -> None:
        self.lanes = lanes
        self._fd = _anonymous_file((_FIRST_LANE + _LANE * lanes) * _CELL)
        self._map()

    def _map(self) -> None:
        self._mapping = mmap.mmap(self._fd, 0)
        self.cells = memoryview(self._mapping).cast("Q")

    def __getstate__(self) -> tuple[int, Any]:
        context.assert_spawning(self)
        return self.lanes, reduction.DupFd(self._fd)

    def __setstate__(self, state: tuple[int, Any]) -> None:
        self.lanes, handle = state
        self._fd = handle.detach()
        self._map()
        self.close_descriptor()

    def close_descriptor(self) -> None:
        """The mapping stays; the descriptor was only needed to hand it over."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        """Unmap the page in this process."""
        self.close_descriptor()
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
        for at in range(_FIRST_LANE, _FIRST_LANE + self.lanes * _LANE, _LANE):
            seq, when = cells[at + _BEGUN], (cells[at + _SINCE], cells[at + _HANDLER])
            begun, latest = max(begun, seq), max(latest, when)
            if seq != cells[at + _DONE]:
                active[seq] = when
        since, handler = min(active.values(), default=latest)
        return Progress(begun, frozenset(active), since, handler - 1)

    # ---- child

    def begin(self, seq: int, handler: int, now: int, lane: int = 0) -> None:
        """A handler is about to be called. The sequence number comes last: a begun message never lacks the rest."""
        at = _FIRST_LANE + lane * _LANE
        self.cells[at + _SINCE] = now
        self.cells[at + _HANDLER] = handler + 1
        self.cells[at + _BEGUN] = seq

    def done(self, seq: int, lane: int = 0) -> None:
        """The handler has returned or raised; its answer may not have left yet."""
        self.cells[_FIRST_LANE + lane * _LANE + _DONE] = seq


def _anonymous_file(size: int) -> int:
    """A descriptor of `size` zero bytes without a name: a memfd on Linux, an unlinked temporary file elsewhere."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("actors-blackbox", os.MFD_CLOEXEC)
    else:
        fd, name = tempfile.mkstemp(prefix="actors-blackbox-")
        Path(name).unlink()
    os.ftruncate(fd, size)
    return fd
