"""Causes: what an error of SQLite means for a person, and what to do about it. Pure."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from supervisor.store.errors import NoSuchRecord, StoreError

_KNOWN: Final = {
    "SQLITE_FULL": ("its disk, or its quota, is full", "Free space"),
    "SQLITE_BUSY": (
        "another program holds a lock on it, for instance an open transaction in a `sqlite3` shell",
        "End that transaction",
    ),
    "SQLITE_READONLY": ("it cannot be written", "Check the permissions of the file and its directory, and the mount"),
    "SQLITE_PERM": ("it cannot be written", "Check the permissions of the file and its directory"),
    "SQLITE_CANTOPEN": (
        "it cannot be opened",
        (
            "Check that the directory exists and is writable, the limit of open files, and the path: SQLite takes "
            "504 bytes, of them 247 for the name of the file"
        ),
    ),
    "SQLITE_NOTADB": (
        "it is not a SQLite database, or is damaged",
        "Nothing was changed. Restore a backup, or give the store another path",
    ),
    "SQLITE_CORRUPT": (
        "it is damaged",  # SQLite says the same of a disk that fails to read it
        (
            "Look at the kernel's log: a disk that fails to read is told so, too. Else stop the daemon, keep a copy, "
            "and restore a backup, or try `sqlite3 FILE .recover`"
        ),
    ),
    "SQLITE_IOERR": (
        "the system failed to read or write it",
        "Look at the kernel's log and the disk",
    ),
    "SQLITE_TOOBIG": ("a message or a state has more bytes than SQLite takes", "Send it in parts, or its path"),
    "SQLITE_NOMEM": ("the daemon has no memory left", "Raise its limit"),
    "SQLITE_PROTOCOL": ("its locks do not work", "Put it on a local file system"),
    "SQLITE_NOLFS": ("its file system takes no larger files", "Move it to another one"),
}
_PASSING: Final = {"SQLITE_FULL", "SQLITE_BUSY", "SQLITE_IOERR"}  # an open store tries again until it is over
_LOST: Final = {
    "SQLITE_IOERR",
    "SQLITE_CORRUPT",
    "SQLITE_NOTADB",
    "SQLITE_CANTOPEN",
    "SQLITE_READONLY",
    "SQLITE_BUSY",  # a lock that it could not give back is in its own way for good
    "SQLITE_PROTOCOL",
}
_OF_ONE: Final = {"SQLITE_CONSTRAINT", "SQLITE_TOOBIG", "SQLITE_MISMATCH", "SQLITE_RANGE"}


def explained(path: Path, error: Exception) -> StoreError:
    """The StoreError for what went wrong with an open store; one that is a StoreError already is itself."""
    return _explained(path, error, "; the store goes on by itself")


def unopened(path: Path, error: Exception) -> StoreError:
    """The StoreError for what went wrong while a store was opened, as `explained`: it is closed again."""
    return _explained(path, error, ", and start again")


def _explained(path: Path, error: Exception, then: str) -> StoreError:
    if isinstance(error, StoreError):
        return error
    name = _name(error)
    what, remedy = _KNOWN.get(name, ("it refused", "Nothing of it was stored"))
    exact = getattr(error, "sqlite_errorname", type(error).__name__)
    return StoreError(f"{path}: {what} ({exact}: {error}). {remedy}{then if name in _PASSING else ''}")


def loses_connection(error: Exception) -> bool:
    """Whether the file should be opened anew before it is used again."""
    return _name(error) in _LOST


def of_one_group(error: Exception) -> bool:
    """Whether one group alone is wrong, and others may be stored."""
    if isinstance(error, StoreError):
        return isinstance(error, NoSuchRecord)
    return not isinstance(error, sqlite3.Error | MemoryError) or _name(error) in _OF_ONE


def _name(error: Exception) -> str:
    """Name of the primary error code: SQLITE_IOERR of SQLITE_IOERR_FSYNC."""
    name = getattr(error, "sqlite_errorname", "")
    return "_".join(name.split("_")[:2])
