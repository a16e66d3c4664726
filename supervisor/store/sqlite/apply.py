"""Apply: the writes of one transaction, as SQL. Runs in the store's thread.

Writes of a kind are joined over all groups, and go kind by kind: messages enter before they are begun or settled. Many
rows go in one statement, since the interpreter is released and taken again for each step of SQLite. A message that
enters and ends in the same transaction is never written.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from actors.wire.kinds import TELL
from supervisor.store.errors import NoSuchRecord
from supervisor.store.sqlite.mailboxes import Mailboxes
from supervisor.store.writes import (
    Accept,
    AcceptDeadLetter,
    AcceptTells,
    Begin,
    DeadLetterWrite,
    Delay,
    DeleteSchedule,
    DropDeadLetter,
    FallDue,
    MessageRow,
    OutcomeRow,
    PutSchedule,
    RequeueDeadLetter,
    SaveState,
    ScheduleRan,
    ScheduleRow,
    Settle,
    Write,
    joined,
    outside,
)

Ranges = Sequence[tuple[int, int]]
Late = AcceptDeadLetter | SaveState | DropDeadLetter | PutSchedule | ScheduleRan | DeleteSchedule

_FIELDS: Final = len(MessageRow._fields)
_KEY: Final = MessageRow._fields.index("key")
_ROW: Final = ", ".join(MessageRow._fields)
_SIZES: Final = (64, 8, 1)  # rows of one INSERT; SQLite takes 999 parameters everywhere


def _insert_tells(rows: int) -> str:
    """An INSERT of that many tells. Its parameters: mailbox, first number, sender, time; then type and payload of each.

    The parameters have no numbers (`?1`): CPython 3.12 up to 3.12.3 warns of each such one, which takes five times
    as long as the INSERT (gh-117995).
    """
    into = "INSERT INTO message (mailbox, seq, sender, sent_at, kind, message_type, payload)"
    if rows == 1:
        return f"{into} VALUES (?, ?, ?, ?, {TELL}, ?, ?)"
    each = ", ".join(f"({row}, ?, ?)" for row in range(rows))
    return (
        f"{into} SELECT mailbox, first + column1, sender, sent_at, {TELL}, column2, column3 "  # noqa: S608 - as below
        f"FROM (SELECT ? AS mailbox, ? AS first, ? AS sender, ? AS sent_at) JOIN (VALUES {each})"
    )


_INSERTS_OF_TELLS: Final = tuple((size, _insert_tells(size)) for size in (256, *_SIZES))


def _insert(rows: int) -> str:
    """An INSERT of that many messages, each with its mailbox."""
    row = f"({', '.join('?' * (1 + _FIELDS))})"
    return f"INSERT INTO message (mailbox, {_ROW}) VALUES {', '.join([row] * rows)}"  # noqa: S608 - names and numbers of ours


_INSERTS: Final = tuple((size, _insert(size)) for size in _SIZES)

_DELAY: Final = f"INSERT INTO delayed (mailbox, due, {_ROW}) VALUES ({', '.join('?' * (_FIELDS + 2))})"  # noqa: S608
_FALL_DUE: Final = (
    f"INSERT INTO message (mailbox, {_ROW}) SELECT mailbox, ?, {_ROW.removeprefix('seq, ')} FROM delayed "  # noqa: S608
    "WHERE mailbox = ? AND seq = ?"
)
_DIE: Final = """
INSERT INTO dead_letter (mailbox, message_type, reason, detail, deliveries, sender, sent_at, died_at, kind, payload,
  routing_key, attachments)
SELECT mailbox, message_type, ?, ?, ?, sender, sent_at, ?, kind, payload, routing_key, attachments
FROM message WHERE mailbox = ? AND seq = ?
"""
_ACCEPT_DEAD: Final = """
INSERT INTO dead_letter (mailbox, message_type, reason, detail, deliveries, sender, sent_at, died_at, kind, payload,
  routing_key, attachments) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)
"""
_REQUEUE: Final = """
INSERT INTO message (mailbox, seq, kind, message_type, payload, sender, sent_at, routing_key, attachments)
SELECT ?, ?, kind, message_type, payload, sender, sent_at, routing_key, attachments FROM dead_letter WHERE id = ?
"""
_PUT_SCHEDULE: Final = f"""
INSERT INTO schedule ({", ".join(ScheduleRow._fields)}) VALUES ({", ".join("?" * len(ScheduleRow._fields))})
ON CONFLICT (name) DO UPDATE SET message_type = excluded.message_type, payload = excluded.payload,
  child = excluded.child, schedule = excluded.schedule,
  after = CASE WHEN child = excluded.child AND schedule = excluded.schedule THEN after ELSE excluded.after END
"""  # noqa: S608


def apply(connection: sqlite3.Connection, mailboxes: Mailboxes, writes: Iterable[Write]) -> None:
    """Carry out writes within the transaction that is open.

    Raises:
        NoSuchRecord: one of them names what does not exist.
        sqlite3.Error: SQLite refuses.
    """
    batch = _Batch(connection, mailboxes)
    for write in writes:
        batch.add(write)
    batch.write()
    mailboxes.write()


class _Batch:
    """The writes of one transaction, by kind and mailbox."""

    def __init__(self, connection: sqlite3.Connection, mailboxes: Mailboxes) -> None:
        self._connection = connection
        self._mailboxes = mailboxes
        self._messages: defaultdict[str, list[MessageRow]] = defaultdict(list)
        self._tells: list[AcceptTells] = []
        self._deliveries: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self._ranges: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self._outcomes: defaultdict[str, list[OutcomeRow]] = defaultdict(list)
        self._early: list[Delay | FallDue | RequeueDeadLetter] = []
        self._deaths: list[DeadLetterWrite] = []
        self._late: list[Late] = []

    def add(self, write: Write) -> None:
        match write:
            case Accept():
                self._messages[write.mailbox].extend(write.messages)
            case AcceptTells():
                self._tells.append(write)
            case Settle():
                self._ranges[write.mailbox].extend(write.ranges)
                if write.outcomes:
                    self._outcomes[write.mailbox].extend(write.outcomes)
            case Begin():
                self._deliveries[write.mailbox].extend(write.deliveries)
            case Delay() | FallDue() | RequeueDeadLetter():
                self._early.append(write)
            case DeadLetterWrite():
                self._deaths.append(write)
            case _:
                self._late.append(write)

    def write(self) -> None:
        over = {name: joined(ranges) for name, ranges in self._ranges.items()}
        for name, messages in self._messages.items():
            self._accept(self._mailboxes.made(name), messages, over.get(name, ()))
        for tells in self._tells:
            self._accept_tells(self._mailboxes.made(tells.mailbox), tells, over.get(tells.mailbox, ()))
        for early in self._early:
            self._enter(early)
        for name, deliveries in self._deliveries.items():
            rows = [(count, self._mailboxes.made(name), seq) for count, seq in deliveries]
            self._connection.executemany("UPDATE message SET deliveries = ? WHERE mailbox = ? AND seq = ?", rows)
        for name, outcomes in self._outcomes.items():
            self._settle_keys(self._mailboxes.made(name), outcomes)
        for write in self._deaths:
            self._die(self._mailboxes.made(write.mailbox), write)
        for name, ranges in over.items():
            self._delete(self._mailboxes.made(name), ranges)
        for late in self._late:
            self._finish(late)

    def _accept(self, mailbox: int, messages: Sequence[MessageRow], over: Ranges) -> None:
        """Messages enter; those that have ended by now leave nothing but their keys."""
        waiting = [message for message in messages if outside(message[0], message[0], over)] if over else messages
        at, execute = 0, self._connection.execute
        for size, insert in _INSERTS:
            while len(waiting) - at >= size:
                execute(insert, [*chain.from_iterable((mailbox, *message) for message in waiting[at : at + size])])
                at += size
        self._take_keys(mailbox, messages)
        self._mailboxes.change(mailbox, len(waiting), max((message[0] for message in messages), default=0))

    def _accept_tells(self, mailbox: int, tells: AcceptTells, over: Ranges) -> None:
        """Tells enter; those that have ended by now leave nothing."""
        first, execute = tells.first, self._connection.execute
        last = first + len(tells.payloads) - 1
        for begin, end in outside(first, last, over):
            at, behind = begin - first, end - first + 1
            for size, insert in _INSERTS_OF_TELLS:
                while behind - at >= size:
                    each = zip(tells.names[at : at + size], tells.payloads[at : at + size], strict=True)
                    execute(insert, [mailbox, first + at, tells.sender, tells.sent_at, *chain.from_iterable(each)])
                    at += size
            self._mailboxes.change(mailbox, end - begin + 1)
        self._mailboxes.change(mailbox, 0, last)

    def _take_keys(self, mailbox: int, messages: Sequence[MessageRow]) -> None:
        keyed = [(mailbox, message.key, message.seq) for message in messages if message[_KEY] is not None]
        if keyed:
            self._connection.executemany("INSERT INTO outcome (mailbox, key, seq) VALUES (?, ?, ?)", keyed)

    def _enter(self, write: Delay | FallDue | RequeueDeadLetter) -> None:
        mailbox = self._mailboxes.made(write.mailbox)
        match write:
            case Delay():
                self._connection.execute(_DELAY, (mailbox, write.due, *write.message))
                self._take_keys(mailbox, (write.message,))
                self._mailboxes.change(mailbox, 0, write.message.seq)
            case FallDue():
                self._fall_due(mailbox, write)
            case RequeueDeadLetter():
                seq = self._mailboxes.last_seq(mailbox) + 1 if write.seq is None else write.seq
                found = self._connection.execute(_REQUEUE, (mailbox, seq, write.letter)).rowcount
                if not found:
                    raise NoSuchRecord(f"there is no dead letter {write.letter}: it was requeued or dropped before")
                self._connection.execute("DELETE FROM dead_letter WHERE id = ?", (write.letter,))
                self._mailboxes.change(mailbox, 1, seq)

    def _fall_due(self, mailbox: int, write: FallDue) -> None:
        for seq, former in write.numbers:
            if not self._connection.execute(_FALL_DUE, (seq, mailbox, former)).rowcount:
                raise NoSuchRecord(f"{write.mailbox} has no delayed message {former}: it fell due before")
            self._connection.execute("DELETE FROM delayed WHERE mailbox = ? AND seq = ?", (mailbox, former))
            self._connection.execute(
                "UPDATE outcome SET seq = ? WHERE mailbox = ? AND seq = ? AND settled_at IS NULL",
                (seq, mailbox, former),
            )
            self._mailboxes.change(mailbox, 1, seq)

    def _settle_keys(self, mailbox: int, outcomes: Sequence[OutcomeRow]) -> None:
        self._connection.executemany(
            "UPDATE outcome SET kind = ?, payload = ?, settled_at = ? WHERE mailbox = ? AND key = ?",
            [(kind, payload, settled_at, mailbox, key) for key, kind, payload, settled_at in outcomes],
        )

    def _die(self, mailbox: int, write: DeadLetterWrite) -> None:
        self._connection.executemany(
            _DIE, [(why, detail, count, when, mailbox, seq) for seq, why, detail, count, when in write.deaths]
        )
        self._delete(mailbox, joined([(death.seq, death.seq) for death in write.deaths]))

    def _delete(self, mailbox: int, ranges: Iterable[tuple[int, int]]) -> None:
        rows = [(mailbox, first, last) for first, last in ranges]
        deleted = self._connection.executemany(
            "DELETE FROM message WHERE mailbox = ? AND seq BETWEEN ? AND ?", rows
        ).rowcount
        self._connection.executemany(
            "DELETE FROM outcome WHERE mailbox = ? AND seq BETWEEN ? AND ? AND settled_at IS NULL", rows
        )
        self._mailboxes.change(mailbox, -max(0, deleted))

    def _finish(self, write: Late) -> None:
        execute = self._connection.execute
        match write:
            case SaveState():
                mailbox = self._mailboxes.made(write.mailbox)
                execute(
                    "INSERT OR REPLACE INTO state (mailbox, member, type_name, data, saved_at) VALUES (?, ?, ?, ?, ?)",
                    (mailbox, write.member, write.type_name, write.data, write.saved_at),
                )
            case AcceptDeadLetter():
                mailbox, row = self._mailboxes.made(write.mailbox), write.message
                why = row.message_type, write.reason, write.detail, row.sender, row.sent_at, row.sent_at
                execute(_ACCEPT_DEAD, (mailbox, *why, row.kind, row.payload, row.routing_key, row.attachments))
            case DropDeadLetter():
                if not execute("DELETE FROM dead_letter WHERE id = ?", (write.letter,)).rowcount:
                    raise NoSuchRecord(f"there is no dead letter {write.letter}: it was requeued or dropped before")
            case PutSchedule():
                execute(_PUT_SCHEDULE, write.row)
            case ScheduleRan():
                execute("UPDATE schedule SET after = ? WHERE name = ?", (write.after, write.name))
            case DeleteSchedule():
                execute("DELETE FROM schedule WHERE name = ?", (write.name,))
