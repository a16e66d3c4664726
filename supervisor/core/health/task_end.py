"""TaskEnd: the bare facts about the end of an asyncio task, and its cause in one word and one line. Pure."""

from __future__ import annotations

import msgspec

from actors.exits import ExitKind, ExitReason
from actors.wire.from_child import Failure
from supervisor.core.causes import Cause, CauseKind
from supervisor.core.health.exit_reason import one_line

_ASKED = "asked by the supervisor"


class TaskEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The bare facts about the end of a task.

    Attributes:
        failure: what it raised, None when it returned or was cancelled.
        exit_code: the exit code that its `sys.exit` stands for, None when it raised something else.
        cancelled: whether a cancellation ended it.
        ready: whether it had been ready.
        stop_asked: whether its supervisor had cancelled it.
        kill_asked: whether its supervisor had cancelled it for the last time.
        grace: seconds between the two, None when not both were asked.
        runs_on: whether it still runs: it has swallowed every cancellation.
        stacks: where it was then.
        classes: names of the class of what it raised and of its bases, nearest first.
    """

    failure: Failure | None = None
    exit_code: int | None = None
    cancelled: bool = False
    ready: bool = False
    stop_asked: bool = False
    kill_asked: bool = False
    grace: float | None = None
    runs_on: bool = False
    stacks: str | None = None
    classes: tuple[str, ...] = ()


def task_exit_reason(end: TaskEnd) -> ExitReason:
    """Why a task ended, in one word and one line."""
    if end.runs_on:
        return ExitReason(
            ExitKind.KILLED, f"it swallowed its cancellation{_late(end)}; a task cannot be killed, it runs on"
        )
    if end.exit_code is not None:
        return _left(end, end.exit_code)
    if end.failure is not None:
        said = one_line(end.failure.message)
        return ExitReason(ExitKind.CRASHED, f"{end.failure.type_name}: {said}" if said else end.failure.type_name)
    if end.kill_asked or (end.cancelled and not end.stop_asked):
        return ExitReason(ExitKind.KILLED, _killed(end))
    if end.stop_asked:
        return ExitReason(ExitKind.SHUTDOWN, _ASKED)
    return ExitReason(ExitKind.NORMAL, "it returned" if end.ready else "it returned, and had not called ready()")


def task_causes(end: TaskEnd) -> tuple[Cause, ...]:
    """What a rule can decide by, the most exact first: a `sys.exit`'s code, the exception, its bases."""
    code = () if end.exit_code is None else (Cause(CauseKind.EXIT_CODE, str(end.exit_code)),)
    return (*code, *(Cause(CauseKind.EXCEPTION, name) for name in end.classes))


def _left(end: TaskEnd, code: int) -> ExitReason:
    said = "" if end.failure is None else one_line(end.failure.message)
    kind = ExitKind.CRASHED if code else ExitKind.SHUTDOWN if end.stop_asked else ExitKind.NORMAL
    return ExitReason(kind, f"sys.exit({said})")


def _killed(end: TaskEnd) -> str:
    if not end.kill_asked:
        return "cancelled by other code than its supervisor"
    return f"cancelled by its supervisor{_late(end) or ', without grace'}"


def _late(end: TaskEnd) -> str:
    return "" if end.grace is None else f": it was still there {end.grace:.3g} s after it had been asked to stop"
