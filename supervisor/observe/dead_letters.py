"""DeadLetter: a message that no actor handled, and why. A value; where it goes is decided elsewhere."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from actors.messages import Message
from supervisor.core.delivery.fates import Fate


class DeadReason(StrEnum):
    """Why a message is a dead letter: the fates that make one."""

    ACTOR_STOPPED = Fate.ACTOR_STOPPED.value
    SHUTDOWN = Fate.SHUTDOWN.value
    CRASHED = Fate.CRASHED.value
    POISON = Fate.POISON.value
    MAILBOX_FULL = Fate.MAILBOX_FULL.value
    NOT_STORED = Fate.NOT_STORED.value
    NO_SUCH_ACTOR = Fate.NO_SUCH_ACTOR.value
    UNDECODABLE = Fate.UNDECODABLE.value


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that no actor handled, and why.

    Attributes:
        actor: path of the actor it was for.
        message: the message itself; None when its type is not known in the daemon.
        message_type: its class name, `job parse` of a job.
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
