"""Policy: what follows from a death: another life, none, or the end of the supervisor; which others, when. Pure.

The answer depends only on the child's terms and the way it ended; the tables below are complete. The window that
bounds restarts is OTP's: add this restart, drop those older than `period`; the supervisor continues if no more than
`max_restarts` are left. The pause before each is Pekko's: the first restart is at once, then the wait doubles up to its
cap, plus random jitter. Time and random numbers are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from actors.exits import ExitKind
from supervisor.core.causes import Cause, RestartAction, Rule, matching
from supervisor.core.terms import AutoShutdown, Backoff, ChildTerms, Intensity, RestartPolicy, Strategy

OVER_A_JOB: Final = (
    "it ended over a job: its caller has the error, or it is run again; its process is replaced, and nothing is counted"
)
"""Why the next life follows when a process of `Jobs` has ended while it ran one."""

BY_RULE: Final = "the rule for "
"""How the line begins that says why, where a rule for the cause has decided."""

_SHARED: Final = ""
_MAX_DOUBLINGS: Final = 1000
"""2.0 ** 1000 is still a float; every capped wait has reached its cap by then."""
_DEFAULT: Final = Backoff()


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
        return Choice(rule.action, f"{BY_RULE}{rule.cause} says {rule.action}", by_rule=True)
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


class Window(msgspec.Struct, frozen=True):
    """The restarts that still count, oldest first, in the machine's seconds."""

    restarts: tuple[float, ...] = ()

    def add(self, now: float, intensity: Intensity) -> Window:
        """The window with one more restart, and without those that have left it."""
        return Window((*self._since(now - intensity.period), now))

    def held(self, now: float, intensity: Intensity) -> int:
        """How many restarts the window holds now."""
        return len(self._since(now - intensity.period))

    def exceeds(self, intensity: Intensity) -> bool:
        """Whether it holds more than allowed; asked right after `add`."""
        return intensity.max_restarts is not None and len(self.restarts) > intensity.max_restarts

    def _since(self, oldest: float) -> tuple[float, ...]:
        return tuple(at for at in self.restarts if at >= oldest)


class Budgets:
    """The restarts of all children that still count. Members of a pool have budgets of their own."""

    def __init__(self, intensity: Intensity) -> None:
        self._intensity = intensity
        self._windows = {_SHARED: Window()}  # by budget

    def exceeded(self, child: ChildTerms, now: float) -> bool:
        """Count one restart of a child; returns whether that is one too many."""
        budget = _budget(child)
        window = self._windows[budget] = self._windows.get(budget, Window()).add(now, self._intensity)
        return window.exceeds(self._intensity)

    def held(self, child: ChildTerms, now: float) -> int:
        """How many restarts count against the budget of a child."""
        return self._windows.get(_budget(child), Window()).held(now, self._intensity)

    def most(self, now: float) -> int:
        """How many restarts count in the budget that is nearest its end."""
        return max(window.held(now, self._intensity) for window in self._windows.values())

    def forget(self, child: ChildTerms) -> None:
        """A child is deleted."""
        if child.own_budget:
            self._windows.pop(_budget(child), None)


def _budget(child: ChildTerms) -> str:
    return child.name if child.own_budget else _SHARED


def terms_for(backoff: Backoff | None, intensity: Intensity) -> Backoff:
    """The backoff of a child: its own, or the default, short enough for the intensity to be reached.

    The waits take half of the period at most; the other half is for the starts.
    """
    if backoff is not None:
        return backoff
    most = intensity.max_restarts
    if most is None or span(_DEFAULT, most) <= intensity.period / 2:
        return _DEFAULT
    wait = intensity.period / (2 * most)
    return Backoff(initial=min(wait, _DEFAULT.initial), cap=min(wait, _DEFAULT.cap))


def span(terms: Backoff, restarts: int) -> float:
    """The least seconds that the waits before this many restarts after the first take."""
    total = 0.0
    for attempt in range(1, restarts + 1):
        wait = delay(attempt, 0.0, terms)
        if wait in (0.0, terms.cap):  # it has reached its cap
            return total + wait * (restarts - attempt + 1)
        total += wait
    return total


def waits_in_words(terms: Backoff, restarts: int) -> str:
    """What `span` adds up, for a person: `0 + 1 + 2 + 7 x 4`; the first restart is at once."""
    waits = ["0"]
    for attempt in range(1, restarts + 1):
        wait = delay(attempt, 0.0, terms)
        if wait == terms.cap:
            most = restarts - attempt + 1
            waits.append(f"{wait:g}" if most == 1 else f"{most} x {wait:g}")
            break
        waits.append(f"{wait:g}")
    return " + ".join(waits)


def delay(attempt: int, roll: float, backoff: Backoff) -> float:
    """Seconds before restart number `attempt` of an unhealthy stretch, counted from 0.

    Args:
        attempt: how many restarts the stretch has had before.
        roll: a random number in [0, 1).
        backoff: the child's terms.
    """
    if attempt == 0:
        return 0.0
    grown = backoff.initial * 2.0 ** min(attempt - 1, _MAX_DOUBLINGS)
    return min(backoff.cap, grown) * (1.0 + roll * backoff.jitter)


def healthy_after(backoff: Backoff, intensity: Intensity) -> float:
    """Seconds of being ready after which a child counts as healthy."""
    if backoff.healthy_after is not None:
        return backoff.healthy_after
    return max(backoff.cap, intensity.period)


def attempt_after(attempt: int, uptime: float | None, healthy: float) -> int:
    """The number of the restart that follows a life.

    Args:
        attempt: the number it would have if the stretch continued.
        uptime: seconds the life was ready, None when it never was.
        healthy: seconds that end the stretch.
    """
    return 0 if uptime is not None and uptime >= healthy else attempt
