"""BoxFile: the file of a black box that can be read after the death of the daemon, too.

The page cache has what both sides wrote when both are killed. Between the counters and the text the file has the
messages that the process was given last: under which delivery tag it knows which message.

Where the directory takes no file (it is gone, its disk is full) the box is an anonymous one, which ends with the
daemon: `stays` says so, and the mailbox does without it.

Used in the daemon.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from actors.event import close_fd
from actors.ipc.blackbox import anonymous_file, behind_counters, progress_in
from actors.ipc.box_cells import BOOT, CELL, FIRST_LANE, LANES
from actors.wire.progress import Progress

_GIVEN: Final = 1024  # messages given to the process last, of which delivery tag and number are kept


class BoxFile:
    """The file of one black box; deleted with it, unless it was kept.

    Args:
        path: where it is made.

    Attributes:
        room: bytes of the messages given last.
        made: whether there is a file.
        stays: whether it outlives the daemon.
    """

    room: Final = _GIVEN * 2 * CELL

    def __init__(self, path: Path) -> None:
        self._path = path
        self.made = self.stays = False
        self._given = 0  # messages noted as given

    def make(self, size: int) -> int:
        """A descriptor of the new file, of zero bytes, all of them allocated: a full disk shows here, not later.

        Raises:
            OSError: the system has no descriptor or no memory left.
        """
        try:
            fd = self._allocated(size)
        except OSError:
            return anonymous_file(size)
        self.made = True
        return fd

    def _allocated(self, size: int) -> int:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, size)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, size)
        except BaseException:
            close_fd(fd)
            self._path.unlink(missing_ok=True)
            raise
        return fd

    def begin(self, cells: memoryview[int], lanes: int) -> None:
        """The file is mapped: note what a later reader needs."""
        cells[BOOT], cells[LANES] = boot_number(), lanes
        self._cells, self._given_at = cells, behind_counters(lanes) // CELL

    def keep(self, path: Path) -> None:
        """Give it this name, under which it stays when the box is closed, or the daemon dies; if there is a file."""
        if self.made:
            with suppress(OSError):  # its directory is gone meanwhile
                self._path = self._path.rename(path)
                self.stays = True

    def note_given(self, delivery_tag: int, seq: int) -> None:
        """Note that the process is about to get a message: which delivery tag it has there."""
        at = self._given_at + self._given % _GIVEN * 2
        self._given += 1
        self._cells[at], self._cells[at + 1] = delivery_tag, seq

    def close(self) -> None:
        """The box is closed."""
        if self.made and not self.stays:
            with suppress(OSError):  # the next run clears away what was not kept
                self._path.unlink()


def left_by_the_dead(file: Path) -> tuple[Progress, dict[int, int]] | None:
    """What a process was doing that died with its daemon; None when the machine was started anew since.

    With it the numbers of the messages that it was given last, by delivery tag, as far as they were noted.

    Raises:
        OSError: the file cannot be read.
    """
    data = file.read_bytes()
    cells = memoryview(data[: len(data) // CELL * CELL]).cast("Q")
    if len(cells) < FIRST_LANE or not cells[BOOT] or cells[BOOT] != boot_number():
        return None
    lanes = cells[LANES]
    at = behind_counters(lanes) // CELL
    if at + _GIVEN * 2 > len(cells):
        return None
    given = cells[at : at + _GIVEN * 2].tolist()
    return progress_in(cells, lanes), {tag: seq for tag, seq in zip(given[::2], given[1::2], strict=True) if tag}


def boot_number() -> int:
    """A number that is another one after each boot of the machine; 0 where that is not known."""
    try:
        return int(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")[:16], 16)
    except (OSError, ValueError):
        return 0
