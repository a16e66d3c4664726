"""Actors: what runs in a child process, and the words both sides share.

Public is what `__all__` lists. Importing this package is cheap: every spawned process pays for it.
"""

from actors.actor import Actor, Context, handles
from actors.errors import (
    ActorCrashed,
    ActorsError,
    ActorStopped,
    AskTimeout,
    CallCycle,
    DeliveryError,
    FrameTooLarge,
    HandlerError,
    MailboxFull,
    NoSuchActor,
    Rejected,
    UndecodableMessage,
    UsageError,
    WireError,
)
from actors.exits import ExitKind, ExitReason, ExitReport
from actors.messages import Fed, Message, Terminated
from actors.ref import ActorRef
from actors.topics import Topic
from actors.wire.codec import Codec

__all__ = [
    "Actor",
    "ActorCrashed",
    "ActorRef",
    "ActorStopped",
    "ActorsError",
    "AskTimeout",
    "CallCycle",
    "Codec",
    "Context",
    "DeliveryError",
    "ExitKind",
    "ExitReason",
    "ExitReport",
    "Fed",
    "FrameTooLarge",
    "HandlerError",
    "MailboxFull",
    "Message",
    "NoSuchActor",
    "Rejected",
    "Terminated",
    "Topic",
    "UndecodableMessage",
    "UsageError",
    "WireError",
    "handles",
]
