"""Connection: a SQLite file as a store: checked, set up, and brought to the newest version.

Runs in the store's thread.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final, Literal

from supervisor.store.errors import StoreError
from supervisor.store.sqlite import schema

Sync = Literal["full", "normal"]

BUSY: Final = 5.0  # seconds to wait for a lock that another program has on the file
_CHECKPOINT: Final = 4000  # pages in the write-ahead log after which they are written into the file: 16 MiB


def connect(path: Path, sync: Sync) -> sqlite3.Connection:
    """Open a store; a new file gets the tables, an older version those that it lacks.

    Raises:
        StoreError: it is no file, of another program, or of a newer version.
        sqlite3.Error: SQLite cannot open or write it.
    """
    if path.exists() and not path.is_file():
        what = "a directory" if path.is_dir() else "a device, a pipe or a socket"
        raise StoreError(f"{path} is {what}; the path of a store is that of a file")
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, cached_statements=256)
    try:
        _check(connection, path)
        _set_up(connection, path, sync)
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Check that a file is a store that this version knows; nothing is written."""
    ((application,),) = connection.execute("PRAGMA application_id")
    version = _version(connection)
    ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
    if application != schema.APPLICATION_ID and (application or version or tables):
        raise StoreError(
            f"{path} is a database of another program ({tables} tables, indexes and views); nothing was changed. "
            f"Give the store a file of its own"
        )
    if version > len(schema.SCRIPTS):
        raise StoreError(
            f"{path} was written by a newer actor-supervisor: its schema is {version}, this one knows "
            f"{len(schema.SCRIPTS)}; nothing was changed. Upgrade the package, or restore a backup of before"
        )


def _set_up(connection: sqlite3.Connection, path: Path, sync: Sync) -> None:
    ((mode,),) = connection.execute("PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise StoreError(
            f"{path} cannot have a write-ahead log (its journal mode stays {mode!r}). Put it on a local file system"
        )
    connection.execute(f"PRAGMA synchronous = {sync.upper()}")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: a sync that reaches the disk
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
    connection.execute(f"PRAGMA journal_size_limit = {4 * _CHECKPOINT * 4096}")


def _migrate(connection: sqlite3.Connection) -> None:
    """Run the scripts that the file lacks, all in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection)
    for script in schema.SCRIPTS[version:]:
        for statement in statements(script):
            connection.execute(statement)
    if version < len(schema.SCRIPTS):
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    touch(connection)  # SQLite reads a file that it cannot open for writing: noticed here, not at the first message
    connection.execute("COMMIT" if version < len(schema.SCRIPTS) else "ROLLBACK")


def touch(connection: sqlite3.Connection) -> None:
    """Write the version anew: as little as makes SQLite write."""
    connection.execute(f"PRAGMA user_version = {len(schema.SCRIPTS)}")


def _version(connection: sqlite3.Connection) -> int:
    ((version,),) = connection.execute("PRAGMA user_version")
    return int(version)


def statements(script: str) -> list[str]:
    """The statements of a script; `executescript` would commit before it begins."""
    found, start = [], 0
    for end, char in enumerate(script):
        if char == ";" and sqlite3.complete_statement(script[start : end + 1]):
            found.append(script[start : end + 1].strip())
            start = end + 1
    return found
