"""Requests: which API calls a supervisor serves, and how it refuses the others. Pure.

The answer depends on the call and on the states of supervisor and child. A call never waits for something that the
caller cannot see.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from supervisor.core.rules import policy
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.core.terms import SupervisorTerms
from supervisor.core.tree.child import Child, StopCause
from supervisor.core.tree.commands import Verdict
from supervisor.core.tree.events import DeleteAsked, RecycleCalled, RestartAsked, StartAsked, TerminateAsked, UndoAsked

AFRESH = "child {!r} waits for its restart: its next life is a new one"

ChildCall = TerminateAsked | RestartAsked | DeleteAsked | RecycleCalled
Call = ChildCall | StartAsked | UndoAsked


class Refusal(msgspec.Struct, frozen=True):
    """Why a call is refused: a word for programs, a line for people."""

    verdict: Verdict
    detail: str


def refusal(
    asked: Call, phase: SupervisorState, child: Child | None, terms: SupervisorTerms, count: int
) -> Refusal | None:
    """Why a call is refused now, or None when it is served.

    Args:
        asked: the call.
        phase: the state of the supervisor.
        child: the child in question, None when there is none; for a start the one that has the name.
        terms: the supervisor's.
        count: how many children it has.
    """
    match phase:
        case SupervisorState.STOPPED:
            return Refusal(Verdict.STOPPING, "the supervisor is down")
        case SupervisorState.STOPPING:
            return Refusal(Verdict.STOPPING, "the supervisor is stopping")
        case SupervisorState.NEW | SupervisorState.STARTING:
            return Refusal(Verdict.REFUSED, "the supervisor is starting; ask again when it runs")
        case SupervisorState.RUNNING | SupervisorState.RESTARTING:
            return _refused(asked, child, terms, count, busy=phase is SupervisorState.RESTARTING)


def _refused(asked: Call, child: Child | None, terms: SupervisorTerms, count: int, *, busy: bool) -> Refusal | None:
    """Why a call is refused by a supervisor that runs; `busy`: a restart of several children is in progress."""
    match asked:
        case StartAsked():
            return _taken(child) if child else _busy(busy=busy) or _unfit(asked, terms, count)
        case UndoAsked():
            return None
        case _ if child is None:
            return Refusal(Verdict.NOT_FOUND, f"there is no child {asked.child!r}")
        case TerminateAsked():
            return _busy(busy=busy and child.alive)
        case _:
            return _busy(busy=busy) or (_not_running(child) if isinstance(asked, RecycleCalled) else _up(child))


def child_of(asked: Call, children: Mapping[str, Child]) -> Child | None:
    """The child that a call is about; for a start the first that has one of its names, if there is one."""
    match asked:
        case StartAsked(name=""):
            return children.get(asked.terms.name)
        case StartAsked():
            return next((one for one in children.values() if asked.name in (one.name, one.terms.pool)), None)
        case UndoAsked():
            return None
        case _:
            return children.get(asked.child)


def _taken(child: Child) -> Refusal:
    where = f"child {child.name!r} is {child.state.value}"
    if child.alive or child.state is ChildState.BACKOFF:
        return Refusal(Verdict.ALREADY_STARTED, where)
    return Refusal(Verdict.ALREADY_PRESENT, f"{where}; restart_child starts it, delete_child frees the name")


def _unfit(asked: StartAsked, terms: SupervisorTerms, count: int) -> Refusal | None:
    most, new = terms.max_children, len(asked.members)
    if most is not None and count + new > most:
        size = "" if new == 1 else f", which has no room for {new} more"
        return Refusal(Verdict.MAX_CHILDREN, f"there are {count} children, and max_children is {most}{size}")
    why = policy.refusal(terms.auto_shutdown, asked.terms)
    return Refusal(Verdict.REFUSED, why) if why else None


def _up(child: Child) -> Refusal | None:
    begun_by_restart = child.state is ChildState.STARTING and child.callers.start is None
    if child.state is ChildState.BACKOFF or begun_by_restart:
        return Refusal(Verdict.RESTARTING, f"child {child.name!r} is being restarted")
    if child.alive:
        return Refusal(Verdict.RUNNING, f"child {child.name!r} is {child.state.value}; terminate_child first")
    return None


def _not_running(child: Child) -> Refusal | None:
    if child.state in (ChildState.STOPPED, ChildState.EXITED):
        return Refusal(Verdict.REFUSED, f"child {child.name!r} is down; restart_child starts it")
    if child.state is ChildState.BACKOFF:
        return Refusal(Verdict.RESTARTING, AFRESH.format(child.name))
    if child.state is ChildState.STOPPING and child.goal is not StopCause.RECYCLE:
        return Refusal(Verdict.STOPPING, f"child {child.name!r} is being stopped")
    if child.terms.shutdown <= 0:
        why = "its shutdown is BRUTAL_KILL, which would break off its message; give it seconds of grace"
        return Refusal(Verdict.REFUSED, f"child {child.name!r} cannot be recycled: {why}")
    return None


def _busy(*, busy: bool) -> Refusal | None:
    if not busy:
        return None
    return Refusal(Verdict.RESTARTING, "a restart of several children is under way; ask again when it is done")
