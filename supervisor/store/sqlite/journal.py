"""Journal: a group is stored as one row first, and in its tables later, together with many others.

    append ─▶ one INSERT, which is the commit ─▶ pending ─▶ apply, in a transaction: what has come and gone is left out

Only groups that cannot fail by themselves are taken: no keys, no dead letters, nothing that must exist already.
A read, or any other write, applies it first. So the tables are behind only by what has not been read.

Runs in the store's thread.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from supervisor.store.errors import StoreError
from supervisor.store.sqlite.apply import apply
from supervisor.store.sqlite.mailboxes import Mailboxes
from supervisor.store.writes import Accept, AcceptTells, Begin, SaveState, Settle, Write

LONGEST: Final = 1024 * 1024  # bytes of a row, and of all rows before they are applied
OLDEST: Final = 1.0  # seconds that a row waits at most while others come

_Journaled: TypeAlias = Accept | AcceptTells | Begin | SaveState | Settle

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[_Journaled]).decode


def row_of(groups: Iterable[Sequence[Write]]) -> bytes | None:
    """Groups as one row; None when one of them may fail by itself, or they are too long for a row."""
    writes: list[Write] = []
    for group in groups:
        if not all(map(_is_plain, group)):
            return None
        writes += group
    row = _encode(writes)
    return row if len(row) <= LONGEST else None


def _is_plain(write: Write) -> bool:
    match write:
        case AcceptTells() | SaveState() | Begin():
            return True
        case Settle():
            return not write.outcomes
        case Accept():
            return all(message.key is None for message in write.messages)
        case _:
            return False


class Journal:
    """The journal of one connection.

    Args:
        connection: to the store.
        path: of its file.

    Raises:
        StoreError: it has rows that this version cannot read.
        sqlite3.Error: SQLite cannot read it.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._pending: list[Write] = []
        self._size = 0
        self._since = 0.0
        for number, row in connection.execute("SELECT id, writes FROM journal ORDER BY id"):
            try:
                self._take(_decode(row), len(row))
            except msgspec.MsgspecError as error:
                raise StoreError(
                    f"{path}: row {number} of its table `journal` cannot be read ({error}): it is damaged, or of a "
                    f"newer actor-supervisor. Nothing was changed. Upgrade the package, or restore a backup"
                ) from error

    @property
    def pending(self) -> bool:
        """Whether something is not in its tables yet."""
        return bool(self._pending)

    @property
    def due(self) -> bool:
        """Whether it is time to apply."""
        return self._size >= LONGEST or (self.pending and not 0 <= time.monotonic() - self._since < OLDEST)

    def append(self, groups: Iterable[Sequence[Write]], row: bytes) -> None:
        """Store groups, as one row, in a transaction of its own.

        Raises:
            sqlite3.Error: they are not stored.
        """
        self._connection.execute("INSERT INTO journal (writes) VALUES (?)", (row,))
        self._take([write for group in groups for write in group], len(row))

    def apply(self, mailboxes: Mailboxes, more: Iterable[Sequence[Write]] = ()) -> None:
        """Write what is pending into its tables, in the transaction that is open; `applied` follows its commit.

        Args:
            mailboxes: their numbers.
            more: groups that belong into the journal, and had no room there.

        Raises:
            sqlite3.Error: SQLite refuses.
        """
        if self._pending or more:
            self._connection.execute("DELETE FROM journal")  # first: its pages are room for what follows
            apply(self._connection, mailboxes, chain(self._pending, chain.from_iterable(more)))

    def applied(self) -> None:
        """A transaction with `apply` is committed."""
        self._pending.clear()
        self._size = 0

    def _take(self, writes: Sequence[Write], size: int) -> None:
        if not self._pending:
            self._since = time.monotonic()
        self._pending += writes
        self._size += size
