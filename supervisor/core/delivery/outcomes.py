"""Outcomes: the fate of a message, and the error its asker gets. Pure.

The input is what an actor's process sends, or what is known after its death; the result is a fate and an error. An
impossible outcome is a WireError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from actors.errors import (
    ActorCrashed,
    ActorsError,
    ActorStopped,
    AskTimeout,
    MailboxFull,
    UndecodableMessage,
    WireError,
)
from actors.exits import ExitReport
from actors.wire import kinds
from actors.wire.errors import decode_error
from actors.wire.framing import HERE, Carried, SharedAttachment
from actors.wire.from_child import Outcome
from actors.wire.kinds import FEED, STREAM, TELL
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.losses import LostMessage
from supervisor.core.delivery.messages import QueuedMessage

FATES: Final = {
    kinds.REPLY: Fate.HANDLED,
    kinds.BESIDE: Fate.HANDLED,
    kinds.DONE: Fate.HANDLED,
    kinds.FAILED: Fate.FAILED,
    kinds.REJECTED: Fate.REJECTED,
    kinds.CANCELLED: Fate.CANCELLED,
    kinds.EXPIRED: Fate.EXPIRED,
    kinds.UNDECODABLE: Fate.UNDECODABLE,
    kinds.STOPPED: Fate.CANCELLED,  # a stream or feed that was cancelled; the others are dead letters
}

_BROKEN: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what decoding a payload may raise


def fate_of(message: QueuedMessage, outcome: Outcome, *, asked: bool) -> Fate:
    """The fate of a message.

    Args:
        message: the message.
        outcome: what the actor's process reports.
        asked: whether an asker waits.

    Raises:
        WireError: this message cannot have ended so.
    """
    fate = FATES.get(outcome.kind)
    if fate is None:
        raise WireError(f"it ended message {message.seq} in a way that does not exist: {outcome.kind}")
    if outcome.kind == kinds.EXPIRED and message.deadline is None:
        raise WireError(f"it let message {message.seq} expire, which has no deadline")
    if outcome.kind == kinds.STOPPED and message.kind not in (STREAM, FEED):
        raise WireError(f"it stopped message {message.seq}, which is not a stream")
    if outcome.kind == kinds.CANCELLED and (asked or message.kind == TELL):
        raise WireError(f"it cancelled message {message.seq}, which was not cancelled")
    if outcome.kind == kinds.DONE and asked:
        raise WireError(f"it ended ask {message.seq} without an answer")
    return fate


def error_of(path: str, outcome: Outcome) -> ActorsError | None:
    """The error an asker gets for an outcome that is not a reply.

    Raises:
        UndecodableMessage: its payload does not decode.
    """
    match outcome.kind:
        case kinds.FAILED | kinds.REJECTED:
            try:
                return decode_error(outcome.kind, outcome.payload)
            except _BROKEN as error:
                raise _undecodable(outcome, error) from error
        case kinds.EXPIRED:
            return too_late(path)
        case kinds.STOPPED:
            return ActorStopped(f"{path} was stopped in the middle of the message")
        case kinds.UNDECODABLE:
            return unreadable(path, payload_of(outcome, str))
        case _:
            return None


def unreadable(path: str, why: str) -> UndecodableMessage:
    """The error of an asker whose message its actor could not read."""
    return UndecodableMessage(f"{path} cannot read the message: {why}")


def payload_of(outcome: Outcome, of: Any) -> Any:
    """The decoded payload of an outcome.

    Raises:
        UndecodableMessage: it does not have that type.
    """
    try:
        return msgspec.msgpack.decode(outcome.payload, type=of)
    except _BROKEN as error:
        raise _undecodable(outcome, error) from error


def _undecodable(outcome: Outcome, error: Exception) -> UndecodableMessage:
    return UndecodableMessage(f"the outcome of message {outcome.seq} does not decode: {error}")


def too_late(path: str) -> AskTimeout:
    """The error of an asker whose message did not begin before its deadline."""
    return AskTimeout(f"{path} did not come to the message in time; it had not begun", started=False)


class Held(msgspec.Struct, frozen=True):
    """What an actor does when an ask times out.

    Attributes:
        started: whether the handler of the ask has begun; None where that is not seen at once.
        finished: whether it has returned.
        handler: name of the message class whose handler has run longest; None when none runs.
        running: for how many seconds; None when several run and the ask's is one of them, or would be next.
        down: whether the actor has no process.
        leaving: whether the ask waits, and its process was asked to stop and has not ended.
        staying: whether its code has ended, and its process is still there.
        others: how many other messages wait or are being handled.
    """

    started: bool | None
    finished: bool
    handler: str | None
    running: float | None
    down: bool
    leaving: bool
    staying: bool
    others: int


def unanswered(path: str, name: str, timeout: float | None, held: Held) -> AskTimeout:
    """The error of an ask that timed out.

    Args:
        path: the actor's path.
        name: of the message's class.
        timeout: seconds that the asker gave.
        held: what the actor does instead of answering.
    """
    lasts = "" if held.running is None else f", for {held.running:.1f} s now"
    if held.finished:
        how = "it has been handled, and the reply is on its way"
    elif held.staying and held.started is not None:
        begun = "its handler has left" if held.started else "it has not begun"
        how = f"{begun}: the actor has ended, and its process stays; a thread that is not a daemon may keep it"
    elif held.started:
        how = f"it is being handled{lasts}"
    elif held.started is None:
        how = "whether it has begun is not known here at once"
    elif held.down:
        how = "it has not begun: the actor has no running process"
    elif held.leaving:
        still = "" if held.handler is None else f", and still handles {held.handler}{lasts}"
        how = f"it has not begun: the actor's process was asked to stop{still}"
    elif held.handler is None:
        how = "it has not begun, and the actor handles no other: root.health() says whether its process is stopped"
    else:
        how = f"it has not begun: the actor handles {held.handler}{lasts}"
    others = "1 other message waits or is" if held.others == 1 else f"{held.others} other messages wait or are"
    behind = "" if held.started else f"; {others} being handled"
    return AskTimeout(f"{path} did not answer {name} within {timeout} s: {how}{behind}", started=held.started)


def crashed(path: str, name: str, loss: LostMessage, report: ExitReport) -> ActorCrashed:
    """The error of an ask that was in flight to a life that ended.

    Args:
        path: the actor's path.
        name: of the message's class.
        loss: the fate of the message.
        report: of the life.
    """
    if loss.started is None and loss.fate is not Fate.POISON:
        how = f"with {name} in flight; whether it had begun is not known, so it is not delivered again"
    elif loss.finished:
        done = "what the handler did is done" if loss.fate is Fate.HANDLED_UNANSWERED else "its state is the one before"
        how = f"after it had handled {name}, before the reply was out; {done}"
    elif loss.fate is Fate.POISON:
        how = f"while handling {name} for time {loss.deliveries}; it is not delivered again"
    else:
        how = f"while handling {name}; it is not delivered again, since {name} is not idempotent"
    return ActorCrashed(
        f"{path} (life {report.life}) ended ({report.reason}) {how}",
        started=loss.started,
        finished=loss.finished,
        report=report,
    )


def unserved(path: str, report: ExitReport | None) -> ActorCrashed:
    """The error of an ask that does not wait for an actor that is down; `report` is of its last life."""
    last = "" if report is None else f"; last: {report.reason}"
    return ActorCrashed(
        f"{path} has no running process now, and the ask does not wait for one{last}",
        started=False,
        finished=False,
        report=report,
    )


# ---- values in shared memory for which the daemon had no descriptor; the actor that passed them has done nothing wrong

_REMEDY: Final = (
    "`close()` values that are done with, pass fewer at once, or raise its limit of descriptors (ulimit -n, "
    "LimitNOFILE=); /proc/<pid>/fd shows what it has open"
)


def check_arrived(name: str, path: str, attachments: Sequence[Carried]) -> None:
    """Check that all values of a message of an actor have arrived.

    Raises:
        MailboxFull: the daemon had no descriptor left for some.
    """
    if lost := _lost(attachments):
        raise MailboxFull(f"{lost}; {name} for {path} was not sent. {_REMEDY}")


def reply_lost(name: str, path: str, attachments: Sequence[Carried]) -> ActorCrashed | None:
    """The error of an asker whose reply has come without all of its values; None where all are there."""
    lost = _lost(attachments)
    if not lost:
        return None
    text = f"{path} has handled {name}, and what it replied was lost: {lost}. The actor lives on. {_REMEDY}"
    return ActorCrashed(text, started=True, finished=True)


def item_lost(name: str, path: str, attachments: Sequence[Carried]) -> ActorCrashed | None:
    """As `reply_lost`, of the reader of a stream, which ends."""
    lost = _lost(attachments)
    if not lost:
        return None
    text = f"the stream of {name} from {path} ends, since an item was lost: {lost}. The actor lives on. {_REMEDY}"
    return ActorCrashed(text, started=True, finished=False)


def _lost(attachments: Sequence[Carried]) -> str:
    """What of these has not come, in words; empty where all of it has."""
    lost = [one for one in attachments if isinstance(one, SharedAttachment) and one.lost]
    if not lost:
        return ""
    many = "a value" if len(lost) == 1 else f"{len(lost)} values"
    who = "the daemon" if any(one.lost == HERE for one in lost) else lost[0].lost
    return f"{who} had no descriptor left for {many} in shared memory of {sum(one.size for one in lost)} bytes"
