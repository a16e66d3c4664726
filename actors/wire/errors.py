"""Errors on the wire: one table of kinds and error classes, read in both directions.

Runs in the daemon and in the actor's process.
"""

from __future__ import annotations

from typing import Final

import msgspec

from actors.errors import (
    ActorCrashed,
    ActorsError,
    ActorStopped,
    AskTimeout,
    CallCycle,
    HandlerError,
    MailboxFull,
    NoSuchActor,
    Rejected,
    UsageError,
)
from actors.exits import encodable
from actors.wire import kinds
from actors.wire.codec import encode
from actors.wire.from_child import Failure

_CLASSES: Final[dict[int, type[ActorsError]]] = {  # those that travel as their text
    kinds.REJECTED: Rejected,
    kinds.STOPPED: ActorStopped,
    kinds.UNKNOWN: NoSuchActor,
    kinds.FULL: MailboxFull,
    kinds.EXPIRED: AskTimeout,
    kinds.UNDECODABLE: UsageError,
    kinds.CYCLE: CallCycle,
}
_KINDS: Final = {error: kind for kind, error in _CLASSES.items()}


def encode_error(error: ActorsError) -> tuple[int, bytes]:
    """Kind and payload of an error; an error of a class that is not in the table travels as UNDECODABLE."""
    if isinstance(error, HandlerError):
        return kinds.FAILED, encode(Failure(error.type_name, error.message, error.traceback_text))
    if isinstance(error, ActorCrashed):
        return kinds.CRASHED, encode((encodable(str(error)), error.started, error.finished))
    return _KINDS.get(type(error), kinds.UNDECODABLE), encode(encodable(str(error)))


def decode_error(kind: int, payload: msgspec.Raw) -> ActorsError:
    """The error of a kind and a payload.

    Raises:
        KeyError: no error has that kind.
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError: the payload does not belong to that kind.
    """
    if kind == kinds.FAILED:
        failure = msgspec.msgpack.decode(payload, type=Failure)
        return HandlerError(failure.type_name, failure.message, failure.traceback)
    if kind == kinds.CRASHED:
        text, started, finished = msgspec.msgpack.decode(payload, type=tuple[str, bool | None, bool | None])
        return ActorCrashed(text, started=started, finished=finished)
    error = _CLASSES[kind]
    text = msgspec.msgpack.decode(payload, type=str)
    return AskTimeout(text, started=False) if error is AskTimeout else error(text)
