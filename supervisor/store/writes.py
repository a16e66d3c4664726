"""Writes: what a daemon's loop hands over to a store. Plain values.

Rows are tuples in the order in which a store binds them, so that many of them cost no Python code each. All times are
seconds since the epoch (`time.time`): they hold over restarts of the machine.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import msgspec


class MessageRow(NamedTuple):
    """A message as it is stored.

    Attributes:
        seq: its number in its mailbox, for good.
        kind: TELL, ASK, STREAM or FEED.
        message_type: name of its class.
        payload: its bytes.
        sender: path of the actor that sent it, None when the daemon did.
        deadline: when it is no longer wanted, None without a bound.
        sent_at: when it was taken.
        routing_key: what a keyed pool routes it by.
        attachments: values that travel beside it and their places, encoded; None without any.
        key: unique in its mailbox as long as its outcome is kept; None without one.
    """

    seq: int
    kind: int
    message_type: str
    payload: bytes
    sender: str | None
    deadline: float | None
    sent_at: float
    routing_key: bytes | None = None
    attachments: bytes | None = None
    key: str | None = None


class OutcomeRow(NamedTuple):
    """How a message with a key ended.

    Attributes:
        key: its key, unique in its mailbox.
        kind: of the outcome, as on the wire.
        payload: the reply or the error, as on the wire.
        settled_at: when.
    """

    key: str
    kind: int
    payload: bytes
    settled_at: float


class DeathRow(NamedTuple):
    """Why a stored message becomes a dead letter.

    Attributes:
        seq: its number in its mailbox.
        reason: a `DeadReason`.
        detail: one line for a person.
        deliveries: how often it was begun.
        died_at: when.
    """

    seq: int
    reason: str
    detail: str
    deliveries: int
    died_at: float


class _Write(msgspec.Struct, frozen=True, gc=False):
    """Settings of every write.

    Those with a tag are kept in a journal as they are: their tags, and the order of their fields, never change.
    """


class Accept(_Write, frozen=True, array_like=True, tag=1):
    """Messages enter a mailbox.

    Attributes:
        mailbox: its name in the store.
        messages: the messages; one with a key that the mailbox knows already fails the group.
    """

    mailbox: str
    messages: Sequence[MessageRow]


class AcceptTells(_Write, frozen=True, array_like=True, tag=2):
    """Tells enter a mailbox that have consecutive numbers, and nothing beside their bytes.

    Attributes:
        mailbox: its name in the store.
        first: the number of the first.
        sender: path of the actor that sent them, None when the daemon did.
        sent_at: when they were taken.
        names: of their classes, one for each.
        payloads: their bytes.
    """

    mailbox: str
    first: int
    sender: str | None
    sent_at: float
    names: Sequence[str]
    payloads: Sequence[bytes]


class Delay(_Write, frozen=True):
    """A message waits for its time. Its number is one of the mailbox's; when it is due it gets another one.

    Attributes:
        mailbox: its name in the store.
        due: when it enters the mailbox.
        message: the message.
    """

    mailbox: str
    due: float
    message: MessageRow


class FallDue(_Write, frozen=True):
    """Delayed messages enter their mailbox.

    Attributes:
        mailbox: its name in the store.
        numbers: of each, its new number and the one it had.
    """

    mailbox: str
    numbers: Sequence[tuple[int, int]]


class Begin(_Write, frozen=True, array_like=True, tag=3):
    """Messages have been begun, or are about to be.

    Attributes:
        mailbox: its name in the store.
        deliveries: of each, how often it was begun by now, and its number.
    """

    mailbox: str
    deliveries: Sequence[tuple[int, int]]


class Settle(_Write, frozen=True, array_like=True, tag=4):
    """Messages have ended.

    Attributes:
        mailbox: its name in the store.
        ranges: first and last number of each run of messages that have all ended.
        outcomes: of those that have a key. The key of a message that ends without one is forgotten.
    """

    mailbox: str
    ranges: Sequence[tuple[int, int]]
    outcomes: Sequence[OutcomeRow] = ()


class DeadLetterWrite(_Write, frozen=True):
    """Messages of a mailbox become dead letters, with all their bytes.

    Attributes:
        mailbox: its name in the store.
        deaths: why, of each.
    """

    mailbox: str
    deaths: Sequence[DeathRow]


class AcceptDeadLetter(_Write, frozen=True):
    """A message that no mailbox takes is a dead letter from the beginning.

    Attributes:
        mailbox: name in the store of the one that it was sent to.
        message: the message; its number means nothing.
        reason: a `DeadReason`.
        detail: one line for a person.
    """

    mailbox: str
    message: MessageRow
    reason: str
    detail: str


class SaveState(_Write, frozen=True, array_like=True, tag=5):
    """The state of an actor, in place of the former one.

    Attributes:
        mailbox: its name in the store.
        member: which process of a pool; empty where there is one.
        type_name: of the state, for a person.
        data: the state, encoded.
        saved_at: when.
    """

    mailbox: str
    member: str
    type_name: str
    data: bytes
    saved_at: float


class RequeueDeadLetter(_Write, frozen=True):
    """A dead letter enters a mailbox as a new message, begun by no life.

    Attributes:
        letter: its number as a dead letter.
        mailbox: name in the store of the mailbox.
        seq: its new number there; None for the next one, of a mailbox that no running actor has.
    """

    letter: int
    mailbox: str
    seq: int | None = None


class DropDeadLetter(_Write, frozen=True):
    """A dead letter is deleted.

    Attributes:
        letter: its number.
    """

    letter: int


class ScheduleRow(NamedTuple):
    """A schedule of a tree.

    Attributes:
        name: of the schedule, unique in the tree.
        child: name of the child that gets the messages.
        schedule: when, as text.
        message_type: name of the message's class.
        payload: the message.
        after: the latest time of the schedule that was dealt with; the next one is after it.
    """

    name: str
    child: str
    schedule: str
    message_type: str
    payload: bytes
    after: float


class PutSchedule(_Write, frozen=True):
    """A schedule is new, or has changed. One of the same child and the same times goes on where it was."""

    row: ScheduleRow


class ScheduleRan(_Write, frozen=True):
    """A schedule has run. One that was deleted meanwhile stays deleted.

    Attributes:
        name: of the schedule.
        after: as in `ScheduleRow`.
    """

    name: str
    after: float


class DeleteSchedule(_Write, frozen=True):
    """A schedule is deleted."""

    name: str


Write: TypeAlias = (
    Accept
    | AcceptTells
    | Delay
    | FallDue
    | Begin
    | Settle
    | DeadLetterWrite
    | AcceptDeadLetter
    | SaveState
    | RequeueDeadLetter
    | DropDeadLetter
    | PutSchedule
    | ScheduleRan
    | DeleteSchedule
)


def outside(first: int, last: int, ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The numbers from `first` to `last` that are in none of some ranges, which are `joined`."""
    result: list[tuple[int, int]] = []
    for at in range(bisect_left(ranges, first, key=_last), len(ranges)):
        begin, end = ranges[at]
        if begin > last:
            break
        if begin > first:
            result.append((first, begin - 1))
        first = end + 1
    if first <= last:
        result.append((first, last))
    return result


def _last(range_: tuple[int, int]) -> int:
    return range_[1]


def joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers in as few ranges as possible, ascending."""
    if len(ranges) < 2:
        return list(ranges)
    result: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = result[-1][0], max(last, result[-1][1])
        else:
            result.append((first, last))
    return result
