"""Database: one SQLite file as a store: its transactions, its reads, and what to do when the system fails.

Runs in the store's thread.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, TypeVar

from actors.event import close_fd
from supervisor.store.errors import StoreError
from supervisor.store.sqlite.apply import apply
from supervisor.store.sqlite.causes import explained, loses_connection, of_one_group, unopened
from supervisor.store.sqlite.connection import Sync, connect, touch
from supervisor.store.sqlite.journal import Journal, row_of
from supervisor.store.sqlite.mailboxes import Mailboxes
from supervisor.store.sqlite.ownership import Ownership, identity, remedy
from supervisor.store.sqlite.queries import Queries
from supervisor.store.writes import Write

T = TypeVar("T")
Group = Sequence[Write]

_SWEEP: Final = 60.0  # seconds between two looks for outcomes that are too old
_ROOM: Final = 65536  # bytes that a disk must have left before a store that was full counts as working
_SWEPT: Final = 1000  # outcomes deleted in one transaction

_SWEEP_OLD: Final = """
DELETE FROM outcome WHERE (mailbox, key) IN
(SELECT mailbox, key FROM outcome WHERE settled_at < ? ORDER BY settled_at LIMIT ?)
"""


class Database:
    """A SQLite file as a store.

    Args:
        path: of the file.
        sync: "full" or "normal".
        keep_keys: seconds for which outcomes of keys are kept.

    Attributes:
        failure: why the last transaction was not stored; None when it was, or was wrong by itself.
    """

    def __init__(self, path: Path, sync: Sync, keep_keys: float) -> None:
        self._path = path
        self._sync: Sync = sync
        self._keep_keys = keep_keys
        self._passed = _Passed()
        self._ownership: Ownership | None = None
        self._connection: sqlite3.Connection | None = None
        self._log = path.with_name(f"{path.name}-wal")
        self._file: tuple[int, int] | None = None  # device and inode of what is open, and of its log
        self._log_file: tuple[int, int] | None = None
        self._swept = 0.0
        self.failure: StoreError | None = None

    @property
    def boxes(self) -> Path:
        """See `Store.boxes`."""
        return self._path.with_name(f"{self._path.name}-boxes")

    @property
    def oldest(self) -> float:
        """Outcomes of keys that were settled before are not kept any more."""
        return self._passed.now - self._keep_keys

    def open(self) -> None:
        """Take the file.

        Raises:
            StoreBusy, StoreError: it cannot be used.
        """
        self._ownership = Ownership(self._path)
        self._passed = _Passed()
        try:
            _create(self._path)
            _check_names(self._path)
            self._connected()
            if self._journal.pending:  # of a daemon that was killed
                self._transaction(_nothing)
            self.boxes.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            self.close()
            raise StoreError(
                f"{error.filename} cannot be made: {error.strerror}. {remedy(error, self._path)}"
            ) from error
        except Exception as error:
            self.close()
            raise unopened(self._path, error) from error

    def close(self) -> None:
        """Release the file."""
        self._catch_up()
        self._disconnect()
        self._file = self.failure = None
        if self._ownership is not None:
            self._ownership.release()
            self._ownership = None

    def store(self, groups: Sequence[Group]) -> list[StoreError | None]:
        """Store groups in one transaction; of each, what went wrong.

        Where one group is wrong, each is stored in a transaction of its own.
        """
        try:
            row = row_of(groups)
            if row is not None and self.failure is None:
                self._append(groups, row)
            elif row is not None:
                self._transaction(_nothing, groups)
            else:
                self._transaction(lambda connection: self._write(connection, groups))
        except Exception as error:
            if len(groups) > 1 and of_one_group(error):
                return [self.store([group])[0] for group in groups]
            return [explained(self._path, error)] * len(groups)
        return [None] * len(groups)

    def read(self, query: Callable[[Queries], T]) -> T:
        """Run a query.

        Raises:
            StoreError: it failed.
        """
        try:
            connection = self._connected()
            if self._journal.pending:
                return self._read_ahead(query)
            return query(Queries(connection, self._mailboxes))
        except Exception as error:
            if loses_connection(error):
                self._disconnect()
            raise explained(self._path, error) from error

    def change(self, query: Callable[[Queries], T]) -> T:
        """Run a query that writes, in a transaction of its own.

        Raises:
            StoreError: it failed, and nothing was changed.
        """
        try:
            return self._transaction(lambda connection: query(Queries(connection, self._mailboxes)))
        except Exception as error:
            raise explained(self._path, error) from error

    def tidy(self) -> None:
        """Write into its tables what has waited long enough in the journal."""
        if self.failure is None and self._connection is not None and self._journal.due:
            self._catch_up()

    def idle(self) -> None:
        """Nothing is handed over: write into its tables what is in the journal. After a failure, try again."""
        if self.failure is not None:
            self._try_again()
        else:
            self._look()
            self._catch_up()

    # ---- inside

    def _look(self) -> None:
        """Look whether what is stored can be found; a log that was deleted is lost with a kill."""
        if self._connection is not None:
            try:
                self._connected()
            except Exception as error:
                self.failure = explained(self._path, error)

    def _catch_up(self) -> None:
        """Apply the journal. What fails is tried again later: it is stored."""
        if self._connection is not None and self._journal.pending:
            try:
                self._transaction(_nothing)
            except Exception as error:
                self.failure = explained(self._path, error)

    def _try_again(self) -> None:
        """Find out whether a transaction would be stored now, by one that changes nothing.

        It is smaller than others, and may find room where they do not; so the disk must have some beside it.
        """
        with suppress(Exception):  # the failure stays
            with TemporaryFile(dir=self._path.parent) as file:
                file.seek(_size(self._log))  # a limit may be that of a file
                file.write(bytes(_ROOM))
            self._transaction(touch)

    def _append(self, groups: Sequence[Group], row: bytes) -> None:
        """Store groups in the journal. After an error it is not known what failed: the next transaction finds out."""
        try:
            self._connected()
            self._journal.append(groups, row)
        except Exception as error:
            if not of_one_group(error):
                self.failure = explained(self._path, error)
            raise

    def _read_ahead(self, query: Callable[[Queries], T]) -> T:
        """Run a query behind what is in the journal; where that cannot be written now, in a transaction that is not."""
        try:
            return self._transaction(lambda connection: query(Queries(connection, self._mailboxes)))
        except Exception:
            connection = self._begun()
            try:
                self._journal.apply(self._mailboxes)
                return query(Queries(connection, self._mailboxes))
            finally:
                self._roll_back()

    def _write(self, connection: sqlite3.Connection, groups: Sequence[Group]) -> None:
        apply(connection, self._mailboxes, (write for group in groups for write in group))
        now = time.time()
        if not 0 <= now - self._swept < _SWEEP:
            swept = connection.execute(_SWEEP_OLD, (self.oldest, _SWEPT)).rowcount
            if swept < _SWEPT:
                self._swept = now

    def _transaction(self, work: Callable[[sqlite3.Connection], T], journaled: Sequence[Group] = ()) -> T:
        """Run `work` in a transaction, behind what is in the journal, or belongs there; any error rolls it back."""
        try:
            connection = self._begun()
            try:
                self._journal.apply(self._mailboxes, journaled)
                result = work(connection)
                connection.execute("COMMIT")
            except Exception:
                self._roll_back()
                raise
        except Exception as error:
            if not of_one_group(error):
                self.failure = explained(self._path, error)
            raise
        self._journal.applied()
        self.failure = None
        return result

    def _begun(self) -> sqlite3.Connection:
        """The connection, in a transaction.

        One that cannot begin is opened anew at the next use, where its error says so (`loses_connection`). One that
        cannot commit stays open: a new connection could find in the file what SQLite has written of the failed commit,
        while this one overwrites it.
        """
        try:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
        except Exception as error:
            if loses_connection(error):
                self._disconnect()
            raise
        return connection

    def _roll_back(self) -> None:
        if self._connection is not None:
            self._mailboxes.forget()
            with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                self._connection.execute("ROLLBACK")

    def _connected(self) -> sqlite3.Connection:
        self._check_file()
        if self._connection is None:
            connection = connect(self._path, self._sync)
            try:
                self._journal = Journal(connection, self._path)
            except BaseException:
                connection.close()
                raise
            self._mailboxes = Mailboxes(connection)
            self._connection = connection
            self._file, self._log_file = identity(self._path), identity(self._log)
        return self._connection

    def _disconnect(self) -> None:
        """Close the file; the next use opens it anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # what is committed is in the file or its log
                connection.close()

    def _check_file(self) -> None:
        """Check that what is written can be found: a file that was moved or deleted still takes writes."""
        if self._file not in (None, identity(self._path)):
            raise StoreError(
                f"{self._path}: the file was moved, deleted or replaced while it was open. Nothing was stored. Put it "
                f"back with its -wal file; to begin with another one, start the daemon anew"
            )
        if self._ownership is not None:
            self._ownership.check()
        if self._connection is not None and self._log_file != identity(self._log):
            self._save_log(self._connection)

    def _save_log(self, connection: sqlite3.Connection) -> None:
        """The write-ahead log was moved or deleted: write what it has into the file, and begin another one.

        It is open here, and nobody else would find it.
        """
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise StoreError(
                f"{self._log} was moved or deleted while it was open, and another program reads the store, so what the "
                f"log has cannot be written into {self._path.name} yet. End that program"
            )
        self._disconnect()


class _Passed:
    """The time of the wall, as far as it has passed since this was made: a clock that is set forward ages nothing."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return min(time.time(), time.monotonic() + self._offset)


def _nothing(connection: sqlite3.Connection) -> None:
    """The work of a transaction that only applies the journal."""


def _create(path: Path) -> None:
    """Make a file that only its owner reads, unless there is one; SQLite gives its log and index the same mode.

    Raises:
        OSError: it cannot be made.
    """
    if not path.exists():
        close_fd(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))  # empty: no close of it loses anything


def _check_names(path: Path) -> None:
    """Check that the file has one name: SQLite finds log and lock of a file by its name.

    Raises:
        StoreError: it has more.
    """
    names = path.stat().st_nlink
    if names > 1 and path.is_file():
        raise StoreError(
            f"{path} has {names} names (hard links): opened by two of them it would be damaged. Nothing was changed. "
            f"Remove the others (`find -samefile {path.name}` shows them), or copy the file in place of a link"
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
