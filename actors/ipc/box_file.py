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
from actors.ipc.box_cells import BOOT, CELL, LANES

GIVEN: Final = 1024  # messages given to the process last, of which delivery tag and number are kept
LAYOUT: Final = 1
"""Of what a file says after its daemon's death: one more where that lies elsewhere, or means another thing."""


class BoxFile:
    """The file of one black box; deleted with it, unless it was kept.

    Args:
        path: where it is made.

    Attributes:
        room: bytes of the messages given last.
        made: whether there is a file.
        stays: whether it outlives the daemon.
    """

    room: Final = GIVEN * 2 * CELL

    def __init__(self, path: Path) -> None:
        self._path = path
        self.made = self.stays = False
        self._given = 0  # messages noted as given

    def make(self, size: int) -> int | None:
        """A descriptor of the new file, of zero bytes, all of them allocated: a full disk shows here, not later.

        None where the directory takes none.
        """
        try:
            fd = self._allocated(size)
        except OSError:
            return None
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

    def begin(self, cells: memoryview[int], lanes: int, given_at: int) -> None:
        """The file is mapped: note what a later reader needs.

        Args:
            cells: of the box.
            lanes: of the box.
            given_at: index of the first cell of `room`.
        """
        cells[BOOT], cells[LANES] = boot_number(), lanes
        self._cells, self._given_at = cells, given_at

    def keep(self, path: Path) -> None:
        """Give it this name, under which it stays when the box is closed, or the daemon dies; if there is a file."""
        if self.made:
            with suppress(OSError):  # its directory is gone meanwhile
                self._path = self._path.rename(path)
                self.stays = True

    def note_given(self, delivery_tag: int, seq: int) -> None:
        """Note that the process is about to get a message: which delivery tag it has there."""
        at = self._given_at + self._given % GIVEN * 2
        self._given += 1
        self._cells[at], self._cells[at + 1] = delivery_tag, seq

    def close(self) -> None:
        """The box is closed."""
        if self.made and not self.stays:
            with suppress(OSError):  # the next run clears away what was not kept
                self._path.unlink()


def boot_number() -> int:
    """A number that is another one after each boot of the machine, and of each LAYOUT; 0 where that is not known.

    So of a box that a daemon of another version left is known what is known after a boot: nothing.
    """
    try:
        return int(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")[:16], 16) ^ LAYOUT
    except (OSError, ValueError):
        return 0
