"""Records: what a store gives back. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec


class StoredMessage(NamedTuple):
    """A message that waits in a store; the fields of `MessageRow`, and what was noted since.

    Attributes:
        deliveries: how often it was begun.
    """

    seq: int
    kind: int
    message_type: str
    payload: bytes
    sender: str | None
    deadline: float | None
    sent_at: float
    routing_key: bytes | None
    attachments: bytes | None
    key: str | None
    deliveries: int


class DelayedMessage(NamedTuple):
    """A message that waits for its time.

    Attributes:
        due: when, in seconds since the epoch.
        message: the message.
    """

    due: float
    message: StoredMessage


class StoredState(msgspec.Struct, frozen=True):
    """The saved state of an actor, or of one process of a pool; see `SaveState`."""

    type_name: str
    data: bytes
    saved_at: float


class RecoveredMailbox(msgspec.Struct, frozen=True):
    """What a store has of a mailbox when its actor is started.

    Attributes:
        last_seq: the highest number that it ever gave to a message; 0 of a new mailbox.
        waiting: how many messages wait.
        delayed: how many messages wait for their time.
        states: by the name of the member.
    """

    last_seq: int
    waiting: int
    delayed: int
    states: Mapping[str, StoredState]


class KnownKey(msgspec.Struct, frozen=True):
    """A message with this key was taken before.

    Attributes:
        seq: its number.
        kind: of its outcome as on the wire, None while it waits.
        payload: of its outcome as on the wire.
    """

    seq: int
    kind: int | None
    payload: bytes | None


class MailboxSummary(msgspec.Struct, frozen=True):
    """What a store has of one mailbox, for a person.

    Attributes:
        mailbox: its name.
        waiting: how many messages wait.
        delayed: how many messages wait for their time.
        dead_letters: how many dead letters it has.
        states: how many processes have a saved state.
    """

    mailbox: str
    waiting: int
    delayed: int
    dead_letters: int
    states: int


class StoredDeadLetter(NamedTuple):
    """A dead letter in a store, with all that a requeue needs.

    Attributes:
        id: its number, unique in the store.
        mailbox: whose message it was.
        message_type: name of its class.
        reason: a `DeadReason`.
        detail: one line for a person.
        deliveries: how often it was begun.
        sender: path of the actor that sent it, None when the daemon did.
        sent_at: when it was taken, in seconds since the epoch.
        died_at: when it became a dead letter.
        kind: TELL, ASK, STREAM or FEED.
        payload: its bytes.
        routing_key: what a keyed pool routes it by.
        attachments: values that travel beside it, encoded; None without any.
    """

    id: int
    mailbox: str
    message_type: str
    reason: str
    detail: str
    deliveries: int
    sender: str | None
    sent_at: float
    died_at: float
    kind: int
    payload: bytes
    routing_key: bytes | None
    attachments: bytes | None
