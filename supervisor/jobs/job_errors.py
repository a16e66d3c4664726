"""Job errors: what became of a message that runs a job, told as the end of that job.

Pure.
"""

from __future__ import annotations

from actors.errors import (
    ActorCrashed,
    ActorsError,
    ActorStopped,
    AskTimeout,
    HandlerError,
    MailboxFull,
    Rejected,
    UndecodableMessage,
    UsageError,
)


def named(error: ActorsError, shown: str, *, idempotent: bool) -> ActorsError:
    """The same error, with the job in its text.

    Args:
        error: how its message ended.
        shown: the job and its arguments.
        idempotent: whether it was begun more than once, if its process died.
    """
    if isinstance(error, HandlerError):
        return HandlerError(error.type_name, error.message, error.traceback_text, shown)
    if isinstance(error, ActorCrashed):
        text = f"{shown} {_crash(error, idempotent=idempotent)}"
        return ActorCrashed(text, started=error.started, finished=error.finished, report=error.report)
    if isinstance(error, ActorStopped):
        return ActorStopped(f"{shown} was not run: {error}")
    if isinstance(error, UsageError | MailboxFull | Rejected | UndecodableMessage):
        return type(error)(f"{shown}: {error}")
    return error


def took_too_long(shown: str, timeout: float) -> AskTimeout:
    """The error of a job that ran longer than it may, in seconds."""
    return AskTimeout(f"{shown} ran longer than {timeout:g} s; its process was killed", started=True)


def _crash(error: ActorCrashed, *, idempotent: bool) -> str:
    reason = str(error) if error.report is None else str(error.report.reason)
    if error.finished and error.report is None:
        return f"was run, and its process lives: {error}"
    if error.finished:
        return f"was run, and its process ended before its result was out: {reason}"
    if idempotent:
        return f"ended its process ({reason}), each time it was run; it is not run again"
    return f"ended its process: {reason}"
