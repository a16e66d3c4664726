"""Ownership: one process owns a store, by a lock of the file system that ends with the process, however it ends.

The lock is a POSIX record lock: a fork of the daemon does not inherit it, so it cannot keep it. Such a lock does not
exclude its own process, and is lost when that closes the file once more; so the owner's locks are listed here, too.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from actors.event import close_fd
from supervisor.store.errors import StoreBusy, StoreError

_REMEDIES: Final = {
    errno.ENOENT: "Make the directory {0.parent} first",
    errno.ENOTDIR: "Make the directory {0.parent} first",
    errno.EACCES: "The daemon needs to write in {0.parent}",
    errno.EPERM: "The daemon needs to write in {0.parent}",
    errno.EROFS: "The daemon needs to write in {0.parent}",
    errno.ENAMETOOLONG: "Give {0.name} a shorter name",
    errno.ELOOP: "It is a symbolic link that leads to itself",
    errno.EEXIST: "It is not a directory: move it out of {0.parent}",
    errno.ENOSPC: "Free space there",
    errno.EDQUOT: "Free space there",
}

_owned: dict[Path, int] = {}  # by the process id, since a fork inherits the table and no lock


class Ownership:
    """The right to use a store, until it is released.

    Args:
        database: path of the store, without symbolic links.

    Raises:
        StoreBusy: it has another owner.
        StoreError: its lock cannot be had.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._lock = database.with_name(f"{database.name}-lock")
        if _owned.get(database) == os.getpid():
            raise StoreBusy(
                f"{database} is open in this process already (pid {os.getpid()}); one tree owns a store. Give the "
                f"other tree a file of its own",
                pid=os.getpid(),
            )
        try:
            self._file = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{self._lock} cannot be opened: {error.strerror}. {remedy(error, database)}") from error
        try:
            self._take()
        except BaseException:
            close_fd(self._file)
            raise
        self._identity = identity(self._file)
        _owned[database] = os.getpid()

    def check(self) -> None:
        """Check that the lock can be found: where its file was deleted, another process could take the store, too.

        Raises:
            StoreError: it cannot.
        """
        if identity(self._lock) != self._identity:
            raise StoreError(
                f"{self._lock} was moved, deleted or replaced while the store was open, so another daemon may have the "
                f"store by now. Nothing was stored. Start this daemon anew"
            )

    def release(self) -> None:
        """Let another process have it."""
        if _owned.pop(self._database, None) is not None:
            close_fd(self._file)

    def _take(self) -> None:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise StoreError(
                    f"{self._lock} cannot be locked: {error.strerror}. A store needs a file system with locks; put it "
                    f"on a local one"
                ) from error
            pid = _pid_in(self._file)
            who = "another process" if pid is None else f"process {pid}"
            raise StoreBusy(
                f"{self._database} is in use by {who}; one daemon owns a store. Stop that one first, or give this one "
                f"a file of its own",
                pid=pid,
            ) from None
        with suppress(OSError):  # a full disk: the lock holds, and its error will not name the owner
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)


def identity(file: Path | int) -> tuple[int, int] | None:
    """Device and inode of a file, of its path or descriptor; None where it cannot be found."""
    try:
        status = os.stat(file)  # noqa: PTH116 - in each transaction
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _pid_in(file: int) -> int | None:
    """The process id that the owner has written down, None when it is about to, or the file cannot be read."""
    try:
        text = os.pread(file, 32, 0).strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def remedy(error: OSError, database: Path) -> str:
    """What to do where something beside a store cannot be made."""
    how = _REMEDIES.get(error.errno or 0, "Look at {0.parent}")
    return how.format(database)
