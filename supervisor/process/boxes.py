"""Boxes: the files of black boxes that outlive the daemon, by actor and life.

Used on the loop's thread: before the tree starts, and at the begin and the end of a life.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import NamedTuple

from actors.ipc import box_file
from actors.ipc.blackbox import behind_counters, progress_in
from actors.ipc.box_cells import BOOT, CELL, FIRST_LANE, LANES
from actors.wire.progress import Progress


class LeftBox(NamedTuple):
    """The black box of a life that died with its daemon.

    Attributes:
        file: where it is.
        progress: what the life was doing; None where that is not known: the machine was started anew since.
        given: numbers of the messages that it was given last, by delivery tag.
        pooled: whether it was a member of a pool.
    """

    file: Path
    progress: Progress | None
    given: dict[int, int]
    pooled: bool

    @property
    def last_begun(self) -> int | None:
        """No message with a higher number was begun; None where that is not known."""
        if self.progress is None:
            return None
        return max(self.given.values(), default=0) if self.pooled else self.progress.begun


class Boxes:
    """The black boxes of one run of a tree, in a directory that also has those of the runs before.

    Args:
        directory: of the store.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._run = os.urandom(6).hex()
        self._unkept = count(1)

    def unkept(self) -> Path:
        """A file for a process that may become a durable actor. Its directory is made anew where it was removed."""
        with suppress(OSError):  # then there is no file, see `BoxFile`
            self._directory.mkdir(mode=0o700, exist_ok=True)
        return self._directory / f"{self._run}.{next(self._unkept)}.tmp"

    def of(self, mailbox: str, path: str, life: int) -> Path:
        """The file of one life of a durable actor.

        Args:
            mailbox: path of its mailbox: the pool's for a member of a pool.
            path: of the actor.
            life: its number.
        """
        return self._directory / f"{_digest(mailbox)}.{_digest(path)}.{self._run}.{life}.box"

    def left(self, mailbox: str) -> list[LeftBox]:
        """The boxes of lives in former runs, of all that have served a mailbox.

        Raises:
            OSError: one cannot be read now, so it is not known what was begun.
        """
        begin = f"{_digest(mailbox)}."
        names = [name for name in self._names(".box") if name.startswith(begin) and f".{self._run}." not in name]
        return [_read(self._directory / name) for name in names]

    def clear(self) -> None:
        """Delete what former runs had for processes without a durable actor.

        Raises:
            OSError: the directory cannot be read.
        """
        drop(self._directory / name for name in self._names(".tmp") if not name.startswith(self._run))

    def _names(self, end: str) -> list[str]:
        """The names of files in the directory; none where it is gone. `Path.glob` has none where it cannot be read."""
        try:
            return sorted(name for name in os.listdir(self._directory) if name.endswith(end))  # noqa: PTH208 - names
        except FileNotFoundError:
            return []


def drop(files: Iterable[Path]) -> None:
    """What they say is stored: delete them. One that stays, on a read-only mount, says nothing new later."""
    for file in files:
        with suppress(OSError):
            file.unlink()


def _read(file: Path) -> LeftBox:
    left = _left_by_the_dead(file)
    mailbox, path, *_ = file.name.split(".")
    progress, given = (None, dict[int, int]()) if left is None else left
    return LeftBox(file, progress, given, path != mailbox)


def _left_by_the_dead(file: Path) -> tuple[Progress, dict[int, int]] | None:
    """What a process was doing that died with its daemon; None when the machine was started anew since.

    With it the numbers of the messages that it was given last, by delivery tag, as far as they were noted.

    Raises:
        OSError: the file cannot be read.
    """
    data = file.read_bytes()
    cells = memoryview(data[: len(data) // CELL * CELL]).cast("Q")
    if len(cells) < FIRST_LANE or not cells[BOOT] or cells[BOOT] != box_file.boot_number():
        return None
    lanes = cells[LANES]
    at = behind_counters(lanes) // CELL
    if at + box_file.GIVEN * 2 > len(cells):
        return None
    given = cells[at : at + box_file.GIVEN * 2].tolist()
    return progress_in(cells, lanes), {tag: seq for tag, seq in zip(given[::2], given[1::2], strict=True) if tag}


def _digest(path: str) -> str:
    return blake2b(path.encode(), digest_size=12).hexdigest()
