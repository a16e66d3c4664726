"""Rows and small helpers for tests of stores."""

from __future__ import annotations

import sqlite3
import time

from supervisor.store.writes import Accept, DeathRow, MessageRow, OutcomeRow, Settle


def row(seq, payload=b"x", **others):
    """A tell."""
    fields = {
        "kind": 0,
        "message_type": "Charge",
        "sender": None,
        "deadline": None,
        "sent_at": time.time(),
        "routing_key": None,
        "attachments": None,
        "key": None,
    }
    return MessageRow(seq=seq, payload=payload, **fields | others)


def accept(mailbox, *seqs, **others):
    """A group that takes tells."""
    return [Accept(mailbox, [row(seq, **others) for seq in seqs])]


def settle(mailbox, *seqs, outcomes=()):
    """A group that ends messages."""
    return [Settle(mailbox, [(seq, seq) for seq in seqs], outcomes)]


def outcome(key, kind=1, payload=b"reply", settled_at=None):
    return OutcomeRow(key, kind, payload, time.time() if settled_at is None else settled_at)


def death(seq, reason="poison", detail="it ended its process", deliveries=3):
    return DeathRow(seq, reason, detail, deliveries, time.time())


def seqs(messages):
    return [message.seq for message in messages]


def looked_at(path, query):
    """What a `sqlite3` shell would show."""
    shell = sqlite3.connect(path)
    try:
        return shell.execute(query).fetchall()
    finally:
        shell.close()
