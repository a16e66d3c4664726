"""DeadLetter: a message that reached nobody, and why.

Law: a dead letter is a value; who buries it, logs it or reads it is decided elsewhere.
May import: the words of `actors`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from actors.messages import Message


class DeadReason(StrEnum):
    """Why a message reached nobody."""

    ACTOR_STOPPED = "actor_stopped"
    SHUTDOWN = "shutdown"
    CRASHED = "crashed_while_handling"
    POISON = "poison"
    MAILBOX_FULL = "mailbox_full"
    NO_SUCH_ACTOR = "no_such_actor"
    UNDECODABLE = "undecodable"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that reached nobody, and why.

    Attributes:
        actor: path of the actor it was for.
        message: the message itself; None when its type is not known here.
        message_type: its class name.
        sender: path of the actor that sent it, None when the daemon did.
        reason: why.
        detail: one line for a person.
        deliveries: how often a handler had begun it.
    """

    actor: str
    message: Message[Any] | None
    message_type: str
    sender: str | None
    reason: DeadReason
    detail: str
    deliveries: int
