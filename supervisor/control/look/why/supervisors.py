"""Supervisors: why a supervisor is as it is. Pure."""

from __future__ import annotations

from actors.exits import ExitReport
from supervisor.control.look.why.facts import Facts
from supervisor.control.look.why.phrases import start_it
from supervisor.control.look.why.verdict import Verdict, Why
from supervisor.control.look.words import count, seconds
from supervisor.core.rules.down import by_call
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.core.tree.commands import Decision
from supervisor.tree.snapshot import SupervisorSnapshot


def _ended(facts: Facts, node: SupervisorSnapshot, last: ExitReport) -> Why:
    start = start_it(facts, node.path)
    if last.decision == Decision.EXPECTED and not last.reason.abnormal:
        return Why(Verdict.DOWN, "was stopped", by_call(last.because), "it stays down", start)
    cause = "" if last.cause is None else f"; the last death below it: {last.cause}"
    what = f"ended with {last.reason}{cause}"
    if node.state is ChildState.BACKOFF:
        due = "" if node.next_try is None else f"it starts again in {seconds(node.next_try)}"
        return Why(Verdict.GAVE_UP, what, last.because, due)
    verdict = Verdict.GAVE_UP if last.reason.gave_up else Verdict.DOWN
    return Why(verdict, what, last.because, "it stays down", f"mend the cause, then {start}")


def supervisor(facts: Facts, node: SupervisorSnapshot) -> Why:
    """What a supervisor waits for, how it has ended, or how those below it are."""
    below = [child for child in node.children if child.state is not ChildState.RUNNING]
    if node.phase is SupervisorState.STOPPED and node.last_exit is not None:
        return _ended(facts, node, node.last_exit)
    if node.phase in (SupervisorState.STARTING, SupervisorState.NEW) and below:
        waits = f"waits for {below[0].path}"
        return Why(Verdict.STARTING, f"is starting and {waits}", "", "", f"see: actorctl why {below[0].path}")
    if node.phase is SupervisorState.STOPPING:
        return Why(
            Verdict.STOPPING, f"is being stopped: {count(len(node.children) - len(below), 'child', 'children')} run"
        )
    if below:
        names = ", ".join(f"{child.name} ({child.state})" for child in below[:5])
        return Why(
            Verdict.DEGRADED,
            f"runs, but not all below it: {names}",
            node.window,
            "",
            f"see: actorctl why {below[0].path}",
        )
    number = len(node.children)
    below_it = "its only child runs" if number == 1 else f"all of its {count(number, 'child', 'children')} run"
    what = f"is well: {below_it} ({node.strategy})"
    return Why(Verdict.HEALTHY, what, node.window)
