"""Mailboxes: their numbers in a SQLite store, and how much waits in each. Runs in the store's thread."""

from __future__ import annotations

import sqlite3


class Mailboxes:
    """The numbers of mailboxes, remembered; and what one transaction changes in how much waits.

    Args:
        connection: to the store.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._ids: dict[str, int] = {}
        self._changes: dict[int, tuple[int, int]] = {}

    def find(self, name: str) -> int | None:
        """The number of a mailbox, None of one that the store does not know."""
        known = self._ids.get(name)
        if known is not None:
            return known
        row = self._connection.execute("SELECT id FROM mailbox WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        self._ids[name] = row[0]
        return int(row[0])

    def made(self, name: str) -> int:
        """The number of a mailbox, which is made where it is new."""
        known = self.find(name)
        if known is None:
            known = self._connection.execute("INSERT INTO mailbox (name) VALUES (?)", (name,)).lastrowid
            if known is None:
                raise AssertionError("SQLite gave no number to a row")
            self._ids[name] = known
        return known

    def last_seq(self, mailbox: int) -> int:
        """The last number that a mailbox gave, in this transaction, too."""
        ((stored,),) = self._connection.execute("SELECT last_seq FROM mailbox WHERE id = ?", (mailbox,))
        return max(int(stored), self._changes.get(mailbox, (0, 0))[1])

    def change(self, mailbox: int, added: int, last_seq: int = 0) -> None:
        """So many messages more (or less) wait in a mailbox; the last number it gave is at least `last_seq`."""
        before, last = self._changes.get(mailbox, (0, 0))
        self._changes[mailbox] = before + added, max(last, last_seq)

    def write(self) -> None:
        """Write down the changes, as the last part of a transaction."""
        if self._changes:
            rows = [(added, last, mailbox) for mailbox, (added, last) in self._changes.items()]
            self._connection.executemany(
                "UPDATE mailbox SET waiting = waiting + ?, last_seq = max(last_seq, ?) WHERE id = ?", rows
            )
            self._changes.clear()

    def forget(self) -> None:
        """The transaction was rolled back, or mailboxes were deleted."""
        self._ids.clear()
        self._changes.clear()
