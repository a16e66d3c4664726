"""Fate: how a message ends. Pure.

Every message that was taken into a mailbox ends in exactly one of these ways; the words are those of `fates` in a
snapshot, and of the reasons of dead letters.
"""

from __future__ import annotations

from enum import StrEnum


class Fate(StrEnum):
    """How a message ended. docs/explanation/semantics.md has the table."""

    HANDLED = "handled"
    HANDLED_UNANSWERED = "handled_unanswered"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED_WHEN_DOWN = "failed_when_down"
    CRASHED = "crashed_while_handling"
    POISON = "poison"
    MAILBOX_FULL = "mailbox_full"
    NOT_STORED = "not_stored"
    ACTOR_STOPPED = "actor_stopped"
    SHUTDOWN = "shutdown"
    UNDECODABLE = "undecodable"
    NO_SUCH_ACTOR = "no_such_actor"


def fate_of_withdrawn(deadline: float | None, now: float) -> Fate:
    """How a message ends whose asker no longer waits, now: by its deadline, or before."""
    return Fate.EXPIRED if deadline is not None and deadline <= now else Fate.CANCELLED
