"""Policy: what follows from a death: another life, none, or the end of the supervisor. Pure.

The answer depends only on the child's terms and the way it ended; the tables below are complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from actors.exits import ExitKind
from supervisor.core.causes import Cause, RestartAction, Rule, matching
from supervisor.core.terms import AutoShutdown, ChildTerms, RestartPolicy, Strategy

OVER_A_JOB: Final = "it ended over a job, whose caller has the error; its process is replaced, and nothing is counted"
"""Why the next life follows when a process of `Jobs` has ended while it ran one."""


def _row(*answers: bool) -> Mapping[ExitKind, bool]:
    return dict(zip(ExitKind, answers, strict=True))


RESTARTS: Final[Mapping[RestartPolicy, Mapping[ExitKind, bool]]] = {
    #                             normal shutdown crashed killed unstarted lost
    RestartPolicy.PERMANENT: _row(True, True, True, True, True, True),
    RestartPolicy.TRANSIENT: _row(False, False, True, True, True, True),
    RestartPolicy.TEMPORARY: _row(False, False, False, False, False, False),
}
"""Whether a child that ended without being asked to is started again (OTP's table)."""


def restarts(policy: RestartPolicy, kind: ExitKind) -> bool:
    """Whether a child of this policy is started again after this end."""
    return RESTARTS[policy][kind]


def because(policy: RestartPolicy, kind: ExitKind) -> str:
    """The same answer as a line for a person."""
    match policy:
        case RestartPolicy.PERMANENT:
            return "permanent children are restarted"
        case RestartPolicy.TEMPORARY:
            return "temporary children are never restarted"
        case RestartPolicy.TRANSIENT if restarts(policy, kind):
            return "transient children are restarted after an abnormal end"
        case RestartPolicy.TRANSIENT:
            return "transient children are not restarted after a normal end"


class Choice(msgspec.Struct, frozen=True):
    """What follows from a death that the supervisor did not cause.

    Attributes:
        action: restart (counted or not), stop or escalate.
        because: one line for a person.
        by_rule: whether a rule for the cause decided, and not the policy.
    """

    action: RestartAction
    because: str
    by_rule: bool = False


def choose(terms: ChildTerms, kind: ExitKind, causes: Sequence[Cause]) -> Choice:
    """What follows from a death: by the rule for its cause, else by the policy.

    Args:
        terms: the child's.
        kind: how it ended.
        causes: why, the most exact cause first.
    """
    rule = matching(terms.rules, causes) if terms.rules else None
    if rule is not None:
        return Choice(rule.action, f"the rule for {rule.cause} says {rule.action}", by_rule=True)
    action = RestartAction.RESTART if restarts(terms.restart, kind) else RestartAction.STOP
    return Choice(action, because(terms.restart, kind))


def ends_supervisor(rule: AutoShutdown, ended: ChildTerms, still_up: Iterable[ChildTerms]) -> bool:
    """Whether this end also ends the supervisor.

    Only for children that ended by themselves and are not restarted.

    Args:
        rule: the supervisor's.
        ended: the child that is down now.
        still_up: the children that run, or will be restarted.
    """
    if not ended.significant:
        return False
    match rule:
        case AutoShutdown.NEVER:
            return False
        case AutoShutdown.ANY_SIGNIFICANT:
            return True
        case AutoShutdown.ALL_SIGNIFICANT:
            return not any(other.significant for other in still_up)


def can_end(policy: RestartPolicy, rules: Iterable[Rule]) -> bool:
    """Whether such a child can end for good by itself: not a permanent one, unless a rule stops it."""
    return policy is not RestartPolicy.PERMANENT or any(rule.action is RestartAction.STOP for rule in rules)


def refusal(rule: AutoShutdown, terms: ChildTerms) -> str:
    """Why a supervisor with this rule cannot take this child, or an empty string (OTP's two refusals)."""
    if terms.significant and rule is AutoShutdown.NEVER:
        return "a significant child needs a supervisor with auto_shutdown any_significant or all_significant"
    if terms.significant and not can_end(terms.restart, terms.rules):
        return "a permanent child cannot be significant: it never ends for good"
    return ""


class Scope(msgspec.Struct, frozen=True):
    """Which children a restart affects.

    Attributes:
        stop: the names to stop first, one after the other, in this order; those already down are skipped.
        start: the names to start then, in this order, whether they ran before or not (OTP).
    """

    stop: tuple[str, ...]
    start: tuple[str, ...]


def scope(strategy: Strategy, children: Sequence[ChildTerms], culprit: str) -> Scope:
    """Which children the restart of `culprit` affects.

    Args:
        strategy: the supervisor's.
        children: all of its children, in order of start.
        culprit: the one that ended, or whose start failed.
    """
    names = [child.name for child in children]
    position = names.index(culprit)
    match strategy:
        case Strategy.ONE_FOR_ONE:
            touched = children[position : position + 1]
        case Strategy.REST_FOR_ONE:
            touched = children[position:]
        case Strategy.ONE_FOR_ALL:
            touched = children
    return Scope(
        stop=tuple(child.name for child in reversed(touched) if child.name != culprit),
        start=tuple(child.name for child in touched if child.restart is not RestartPolicy.TEMPORARY),
    )
