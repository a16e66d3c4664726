"""Queries: the reads of a SQLite store, and what moves or deletes a whole mailbox. Runs in the store's thread."""

from __future__ import annotations

import sqlite3
from typing import Final

from supervisor.store.records import (
    DelayedMessage,
    KnownKey,
    MailboxSummary,
    RecoveredMailbox,
    StoredDeadLetter,
    StoredMessage,
    StoredState,
)
from supervisor.store.sqlite.mailboxes import Mailboxes
from supervisor.store.writes import ScheduleRow

_MESSAGE: Final = ", ".join(StoredMessage._fields)
_LETTER: Final = ", ".join(
    {"id": "dead_letter.id", "mailbox": "mailbox.name"}.get(field, field) for field in StoredDeadLetter._fields
)
_LETTERS: Final = f"SELECT {_LETTER} FROM dead_letter JOIN mailbox ON mailbox.id = dead_letter.mailbox WHERE"  # noqa: S608


_NUMBERS: Final = """
SELECT min(seq), max(seq) FROM
(SELECT seq FROM message WHERE mailbox = ? UNION ALL SELECT seq FROM delayed WHERE mailbox = ?)
"""


class Queries:
    """The reads of one connection.

    Args:
        connection: to the store.
        mailboxes: their numbers.
    """

    def __init__(self, connection: sqlite3.Connection, mailboxes: Mailboxes) -> None:
        self._connection = connection
        self._mailboxes = mailboxes

    def recover(self, name: str) -> RecoveredMailbox:
        """See `Store.recover`."""
        mailbox = self._mailboxes.find(name)
        if mailbox is None:
            return RecoveredMailbox(0, 0, 0, {})
        select = self._connection.execute
        last_seq, waiting = select("SELECT last_seq, waiting FROM mailbox WHERE id = ?", (mailbox,)).fetchone()
        (delayed,) = select("SELECT count(*) FROM delayed WHERE mailbox = ?", (mailbox,)).fetchone()
        states = select("SELECT member, type_name, data, saved_at FROM state WHERE mailbox = ?", (mailbox,))
        return RecoveredMailbox(last_seq, waiting, delayed, {member: StoredState(*rest) for member, *rest in states})

    def messages(self, name: str, after: int, limit: int) -> list[StoredMessage]:
        """See `Store.messages`."""
        rows = self._connection.execute(
            f"SELECT {_MESSAGE} FROM message WHERE mailbox = ? AND seq > ? ORDER BY seq LIMIT ?",  # noqa: S608
            (self._mailboxes.find(name), after, limit),
        )
        return list(map(StoredMessage._make, rows.fetchall()))

    def delayed(self, name: str, limit: int, after: tuple[float, int]) -> list[DelayedMessage]:
        """See `Store.delayed`."""
        rows = self._connection.execute(
            f"SELECT due, {_MESSAGE} FROM delayed WHERE mailbox = ? AND (due, seq) > (?, ?) "  # noqa: S608
            "ORDER BY due, seq LIMIT ?",
            (self._mailboxes.find(name), *after, limit),
        )
        return [DelayedMessage(due, StoredMessage._make(message)) for due, *message in rows.fetchall()]

    def find_key(self, name: str, key: str, oldest: float) -> KnownKey | None:
        """See `Store.find_key`. An outcome from before `oldest` is deleted, and its key is free."""
        which = self._mailboxes.find(name), key
        row = self._connection.execute(
            "SELECT seq, kind, payload, settled_at FROM outcome WHERE mailbox = ? AND key = ?", which
        ).fetchone()
        if row is None:
            return None
        *known, settled_at = row
        if settled_at is not None and settled_at < oldest:
            self._connection.execute("DELETE FROM outcome WHERE mailbox = ? AND key = ?", which)
            return None
        return KnownKey(*known)

    def mailboxes(self) -> list[MailboxSummary]:
        """See `Store.mailboxes`."""
        rows = self._connection.execute("""
            SELECT name, waiting, (SELECT count(*) FROM delayed WHERE mailbox = id),
              (SELECT count(*) FROM dead_letter WHERE mailbox = mailbox.id),
              (SELECT count(*) FROM state WHERE mailbox = id) FROM mailbox ORDER BY name
            """)
        return [MailboxSummary(*row) for row in rows.fetchall() if any(row[1:])]

    def dead_letters(self, name: str | None, limit: int, after: int) -> list[StoredDeadLetter]:
        """See `Store.dead_letters`."""
        ends = "dead_letter.id > ? ORDER BY dead_letter.id LIMIT ?"
        if name is None:
            rows = self._connection.execute(f"{_LETTERS} {ends}", (after, limit))
        else:
            mailbox = self._mailboxes.find(name)
            rows = self._connection.execute(f"{_LETTERS} dead_letter.mailbox = ? AND {ends}", (mailbox, after, limit))
        return list(map(StoredDeadLetter._make, rows.fetchall()))

    def dead_letter(self, letter: int) -> StoredDeadLetter | None:
        """See `Store.dead_letter`."""
        row = self._connection.execute(f"{_LETTERS} dead_letter.id = ?", (letter,)).fetchone()
        return None if row is None else StoredDeadLetter._make(row)

    def schedules(self) -> list[ScheduleRow]:
        """See `Store.schedules`."""
        fields = ", ".join(ScheduleRow._fields)
        rows = self._connection.execute(f"SELECT {fields} FROM schedule ORDER BY name")  # noqa: S608
        return list(map(ScheduleRow._make, rows.fetchall()))

    def move(self, name: str, to: str) -> int:
        """See `Store.move`. What waits keeps its order; its numbers follow the last one of the other mailbox.

        They do not grow by more: a mailbox may be moved there and back any number of times.
        """
        source = self._mailboxes.find(name)
        if source is None:
            return 0
        target = self._mailboxes.made(to)
        execute = self._connection.execute
        ((waiting,),) = execute("SELECT waiting FROM mailbox WHERE id = ?", (source,))
        ((last,),) = execute("SELECT last_seq FROM mailbox WHERE id = ?", (target,))
        ((lowest, highest),) = execute(_NUMBERS, (source, source))
        shift = last + 1 - lowest if lowest is not None else 0
        for table in ("message", "delayed"):
            execute(
                f"UPDATE {table} SET key = NULL WHERE mailbox = ? AND key IN "  # noqa: S608
                "(SELECT key FROM outcome WHERE mailbox = ?)",
                (source, target),
            )
        moved, delayed, _ = (
            execute(
                f"UPDATE OR IGNORE {table} SET mailbox = ?, seq = seq + ? WHERE mailbox = ?",  # noqa: S608
                (target, shift, source),
            ).rowcount
            for table in ("message", "delayed", "outcome")
        )
        execute("DELETE FROM outcome WHERE mailbox = ?", (source,))
        execute("UPDATE dead_letter SET mailbox = ? WHERE mailbox = ?", (target, source))
        states = execute("SELECT member FROM state WHERE mailbox = ?", (source,)).fetchall()
        self._connection.executemany(
            "UPDATE OR IGNORE state SET mailbox = ?, member = ? WHERE mailbox = ? AND member = ?",
            [(target, _renamed(member, name, to), source, member) for (member,) in states],
        )
        execute("UPDATE mailbox SET waiting = 0 WHERE id = ?", (source,))
        self._mailboxes.change(target, waiting, 0 if highest is None else highest + shift)
        self._mailboxes.write()
        return moved + delayed

    def discard(self, name: str) -> int:
        """See `Store.discard`."""
        mailbox = self._mailboxes.find(name)
        if mailbox is None:
            return 0
        execute = self._connection.execute
        waited, delayed, *_ = (
            execute(f"DELETE FROM {table} WHERE mailbox = ?", (mailbox,)).rowcount  # noqa: S608
            for table in ("message", "delayed", "outcome", "state", "dead_letter")
        )
        execute("DELETE FROM mailbox WHERE id = ?", (mailbox,))
        self._mailboxes.forget()
        return waited + delayed


def _renamed(member: str, mailbox: str, to: str) -> str:
    """The name of a process in another mailbox: in a pool it begins with the pool's, `parser/0` in `parsers/parser`."""
    pool, slash, number = member.rpartition("/")
    return f"{_child(to)}/{number}" if slash and pool == _child(mailbox) else member


def _child(mailbox: str) -> str:
    """The name of the child that has a mailbox."""
    return mailbox.rpartition("/")[2]
