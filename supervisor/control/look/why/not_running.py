"""Not running: why a child starts, waits, stops or is down. Pure."""

from __future__ import annotations

from supervisor.control.look.why.facts import Facts
from supervisor.control.look.why.phrases import (
    correction,
    crash_loop,
    died,
    restarts_left,
    rule,
    start_it,
    where_it_is,
)
from supervisor.control.look.why.verdict import Verdict, Why
from supervisor.control.look.words import ago, seconds
from supervisor.core.rules.down import TERMINATED, by_call
from supervisor.core.rules.states import SupervisorState
from supervisor.core.tree.commands import Decision
from supervisor.tree.snapshot import ChildSnapshot


def starting(facts: Facts, node: ChildSnapshot) -> Why:
    """A life was begun and is not ready yet."""
    since = facts.started_ago or 0.0
    limit = facts.limits.start_timeout
    end = "" if limit is None else f"at {seconds(limit)} (start_timeout) it is killed, which counts as a failed start"
    loop = crash_loop(facts)
    if loop:
        again = f"life {node.life} has been starting for {seconds(since)}"
        return Why(
            Verdict.CRASH_LOOP, f"{loop}, and {again}", rule(facts), restarts_left(facts), correction(facts, node)
        )
    after = f", after life {node.life - 1} ended with {facts.exits[-1].reason}" if facts.exits else ""
    what = f"has been starting for {seconds(since)} (life {node.life}){after}, and is not ready yet"
    if facts.asked:
        asked = f"it waits for the answer of {', '.join(facts.asked)}"
        return Why(Verdict.STARTING, what, asked, end, f"see: actorctl why {facts.asked[0]}")
    return Why(Verdict.STARTING, what, facts.awaits, end, where_it_is(node, "waits"))


def backoff(facts: Facts, node: ChildSnapshot) -> Why:
    """It waits for its restart."""
    due = "it starts again as soon as its turn comes"
    if node.next_try is not None:
        due = f"life {node.life + 1} starts in {seconds(node.next_try)}"
    next_ = "; ".join(part for part in (due, restarts_left(facts)) if part)
    loop = crash_loop(facts)
    if loop:
        return Why(Verdict.CRASH_LOOP, loop, rule(facts), next_, correction(facts, node))
    return Why(Verdict.WAITING, died(facts, node), rule(facts), next_, f"or stop it: actorctl stop {node.path}")


def stopping(facts: Facts, node: ChildSnapshot) -> Why:
    """Its life was asked to stop, and has not ended."""
    since, grace = facts.stopping_ago or 0.0, facts.limits.shutdown
    what = f"was asked to stop {ago(since)}"
    busy = "" if node.handling is None else f", and is still handling {node.handling}"
    if grace is None or grace == float("inf"):
        end = "it has as long as it needs (shutdown=INFINITY)"
    else:
        end = f"after {seconds(grace)} in all (shutdown) it is killed"
    return Why(Verdict.STOPPING, what + busy, "", end, where_it_is(node))


def stopped(facts: Facts, node: ChildSnapshot) -> Why:
    """It has no life, and none is to come by itself."""
    if node.life:
        return exited(facts, node)
    if facts.phase is SupervisorState.STARTING and facts.waits_for is not None:
        order = f"its supervisor starts one child after the other, and {facts.waits_for} is not ready yet"
        return Why(Verdict.NOT_STARTED, "has not been started yet", order, "", f"see: actorctl why {facts.waits_for}")
    return Why(Verdict.NOT_STARTED, "has not been started", "", "", start_it(facts, node.path))


def exited(facts: Facts, node: ChildSnapshot) -> Why:
    """Its last life has ended, and it stays down."""
    start = start_it(facts, node.path)
    last = node.last_exit
    if last is None:
        return Why(Verdict.DOWN, "is down", "", "", start)
    when = ago(facts.exits[-1].ago) if facts.exits else ""
    what = f"ended {when} with {last.reason}".replace("  ", " ")
    if last.decision == Decision.RESTART and facts.phase is SupervisorState.RUNNING:
        waited = f"was stopped while it waited for its restart, after it {what}"
        return Why(Verdict.DOWN, waited, by_call(TERMINATED), "it stays down", start)
    if last.decision == Decision.GIVE_UP:
        return Why(Verdict.GAVE_UP, what, f"its supervisor {facts.supervisor} gave up, {last.because}", "", start)
    if last.decision == Decision.LEAVE_DOWN and not last.reason.abnormal:
        return Why(Verdict.IDLE, what, f"{last.because}, so it stays down", "", start)
    if last.decision == Decision.EXPECTED and not last.reason.abnormal:
        return Why(Verdict.DOWN, f"was stopped {when}".rstrip(), by_call(last.because), "it stays down", start)
    return Why(Verdict.DOWN, what, f"{last.because}, so it stays down", "", f"mend the cause, then {start}")
