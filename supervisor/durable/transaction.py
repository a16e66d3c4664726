"""Transaction: what one mailbox stores together, and what follows once it is stored.

    outcomes, states, messages sent on ─▶ writes ─▶ Store.commit ─▶ over: replies leave, messages enter their queues

What comes while the mailbox's former transaction is being stored is gathered in the next one.

Used on the loop's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from supervisor.durable.rows import row_of
from supervisor.mailbox.intake.entry import Entry
from supervisor.store.writes import (
    Accept,
    AcceptDeadLetter,
    Begin,
    DeadLetterWrite,
    DeathRow,
    Delay,
    MessageRow,
    OutcomeRow,
    SaveState,
    Settle,
    Write,
    joined,
)


class Target(Protocol):
    """A stored mailbox to which a message is sent."""

    @property
    def name(self) -> str:
        """Its name in the store."""

    def number(self) -> int:
        """The number of its next message."""

    def entered(self, seq: int, entry: Entry) -> None:
        """A message is stored."""

    def postponed(self, due: float) -> None:
        """A delayed message is stored."""


class Sent(NamedTuple):
    """A message that an actor has sent to a durable one.

    Attributes:
        target: the mailbox.
        entry: the message.
        due: when it enters the mailbox, in seconds since the epoch; None for now.
        beside: what `rows.beside_of` has of the message.
    """

    target: Target
    entry: Entry
    due: float | None
    beside: bytes | None


class Transaction:
    """Gathered by one mailbox.

    Attributes:
        settled: numbers of messages that have ended.
        ranges: first and last numbers of others that have.
        outcomes: of those with a key.
        deaths: of messages that become dead letters.
        deliveries: how often messages were begun, by number.
        states: by the name of the member.
        sent: messages to durable actors.
        unsent: those to names that the tree does not have.
        after: called once everything is stored, in order.
    """

    __slots__ = (
        "_numbered",
        "after",
        "deaths",
        "deliveries",
        "outcomes",
        "ranges",
        "sent",
        "settled",
        "states",
        "unsent",
    )

    def __init__(self) -> None:
        self.settled: list[int] = []
        self.ranges: list[tuple[int, int]] = []
        self.outcomes: list[OutcomeRow] = []
        self.deaths: dict[int, DeathRow] = {}
        self.deliveries: dict[int, int] = {}
        self.states: dict[str, SaveState] = {}
        self.sent: list[Sent] = []
        self.unsent: list[AcceptDeadLetter] = []
        self.after: list[Callable[[], None]] = []
        self._numbered: list[int] = []

    def writes(self, mailbox: str) -> Sequence[Write]:
        """Everything as writes. Messages sent get their numbers now, new ones when it is tried again."""
        writes: list[Write] = []
        over = [(seq, seq) for seq in self.settled if seq not in self.deaths]
        over += self.ranges
        if over or self.outcomes:
            writes.append(Settle(mailbox, joined(over), self.outcomes))
        if self.deaths:
            writes.append(DeadLetterWrite(mailbox, list(self.deaths.values())))
        if self.deliveries:
            writes.append(Begin(mailbox, [(count, seq) for seq, count in self.deliveries.items()]))
        writes.extend(self.states.values())
        writes.extend(self.unsent)
        self._numbered = [sent.target.number() for sent in self.sent]
        entering: dict[str, list[MessageRow]] = {}
        for seq, (target, entry, due, beside) in zip(self._numbered, self.sent, strict=True):
            if due is None:
                entering.setdefault(target.name, []).append(row_of(seq, entry, beside))
            else:
                writes.append(Delay(target.name, due, row_of(seq, entry, beside)))
        writes.extend(Accept(name, rows) for name, rows in entering.items())
        return writes

    def over(self, failed: Callable[[Exception], None]) -> None:
        """It is stored: carry out what follows. What raises is given to `failed`, and the rest goes on."""
        entering: list[Callable[[], None]] = [
            partial(target.entered, seq, entry) if due is None else partial(target.postponed, due)
            for seq, (target, entry, due, _) in zip(self._numbered, self.sent, strict=True)
        ]
        for then in (*entering, *self.after):
            try:
                then()
            except Exception as error:
                failed(error)

    def settle(self, seq: int, key: str | None, kind: int, payload: bytes) -> None:
        """A message has ended; with a key, its outcome is kept."""
        self.settled.append(seq)
        if key is not None:
            self.outcomes.append(OutcomeRow(key, kind, payload, time.time()))

    def die(self, seq: int, reason: str, detail: str, deliveries: int) -> None:
        """A message becomes a dead letter."""
        self.deaths[seq] = DeathRow(seq, reason, detail, deliveries, time.time())
