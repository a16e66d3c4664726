"""Actors: what runs in an actor's process, and the types both sides share.

`__all__` lists the public names. Importing this package is cheap: every spawned process pays for it. So what many
actors do without is imported with its name: `from actors import Shared`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

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
from actors.messages import Fed, Message, Terminated, Topic
from actors.ref import ActorRef
from actors.wire.codec import Codec

if TYPE_CHECKING:
    from actors import testing as testing
    from actors.ipc.shared import Shared
    from actors.jobs.definition import job
    from actors.jobs.jobs import Jobs

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
    "Jobs",
    "MailboxFull",
    "Message",
    "NoSuchActor",
    "Rejected",
    "Shared",
    "Terminated",
    "Topic",
    "UndecodableMessage",
    "UsageError",
    "WireError",
    "handles",
    "job",
]

_WITH_ITS_NAME: Final = {"Jobs": "actors.jobs.jobs", "Shared": "actors.ipc.shared", "job": "actors.jobs.definition"}


def __getattr__(name: str) -> Any:
    if name == "testing":
        return importlib.import_module("actors.testing")
    if name not in _WITH_ITS_NAME:
        raise AttributeError(f"module 'actors' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_WITH_ITS_NAME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
