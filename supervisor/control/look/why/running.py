"""Running: whether a life that runs is well, and if not, why. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from supervisor.control.look.why.facts import Facts
from supervisor.control.look.why.leaking import leaks_descriptors, leaks_memory
from supervisor.control.look.why.phrases import (
    correction,
    crash_loop,
    deaths,
    died,
    out_of_loop,
    restarts_left,
    rule,
    where_it_is,
)
from supervisor.control.look.why.verdict import Verdict, Why
from supervisor.control.look.words import ago, count, seconds
from supervisor.core.health.hang_detector import Health
from supervisor.core.terms import Routing
from supervisor.core.tree.commands import Decision
from supervisor.tree.snapshot import ChildSnapshot, said

JUST_NOW: Final = 60.0  # seconds in which one death is still worth a word
LONG: Final = 5.0  # seconds of one handler that look like a hang where there is no limit
SLOW: Final = 2.0  # seconds of work that wait before an actor that make it a slow consumer
FEW: Final = 10  # messages that wait without being worth a word


def running(facts: Facts, node: ChildSnapshot) -> Why:
    """A life runs: the first thing that is wrong with it, or that it is well."""
    checks: tuple[Callable[[Facts, ChildSnapshot], Why | None], ...] = (
        _suspended,
        _drains,
        _crash_loop,
        _unstored,
        _hung,
        leaks_memory,
        leaks_descriptors,
        _slow,
        _degraded,
        _just_restarted,
    )
    return next((found for check in checks if (found := check(facts, node)) is not None), None) or _healthy(facts, node)


def _suspended(_facts: Facts, node: ChildSnapshot) -> Why | None:
    if node.health is not Health.STOPPED:
        return None
    what = "is suspended: a signal (SIGSTOP) has stopped its process, which is not dead and so is not restarted"
    there = "" if node.node is None else f" on {node.node}"
    return Why(Verdict.SUSPENDED, what, "", "", f"continue it: kill -CONT {node.pid}{there}")


def _drains(facts: Facts, node: ChildSnapshot) -> Why | None:
    """It holds up a drain; one that has nothing left only waits for the stop that follows."""
    if not (facts.drains and facts.queue.depth):
        return None
    what = f"drains, and has {count(facts.queue.depth, 'message')} left"
    if node.handling is not None and node.handling_for is not None:
        what += f"; it has been handling {node.handling} for {seconds(node.handling_for)}"
    next_ = "it is stopped when none is left, or when the time of the drain is over"
    return Why(Verdict.STOPPING, what, "it takes no new messages (drain)", next_, where_it_is(node))


def _crash_loop(facts: Facts, node: ChildSnapshot) -> Why | None:
    loop = crash_loop(facts)
    if not loop or deaths(facts)[-1].ago > JUST_NOW or out_of_loop(facts):
        return None
    up = "" if node.uptime is None else f"life {node.life} has run for {seconds(node.uptime)}"
    next_ = "; ".join(part for part in (up, restarts_left(facts)) if part)
    return Why(Verdict.CRASH_LOOP, loop, rule(facts), next_, correction(facts, node))


def _unstored(facts: Facts, _node: ChildSnapshot) -> Why | None:
    if not facts.unstored:
        return None
    return Why(Verdict.DEGRADED, "runs, but its store fails, and so do those who send to it", facts.unstored)


def _hung(facts: Facts, node: ChildSnapshot) -> Why | None:
    if node.handling is None or node.handling_for is None:
        return None
    limit, name = facts.limits.handler_timeout, node.path
    look = f"see: actorctl why {facts.asked[0]}" if facts.asked else where_it_is(node)
    one = node.handling if facts.runs_jobs else f"one {node.handling}"
    what = f"has been handling {one} for {seconds(node.handling_for)}"
    what += f", and waits for the answer of {', '.join(facts.asked)}" if facts.asked else ""
    queue = facts.queue
    waits = f", while {count(queue.waiting, 'message waits', 'messages wait')}" if queue.waiting else ""
    waits += " for its pool" if waits and queue.takers > 1 else ""
    if node.health is Health.OVER and limit is not None:
        rule = f"its limit is {seconds(limit)} (handler_timeout)"
        next_ = "it is looked at once more, then killed with its stacks in the report and restarted"
        return Why(Verdict.HUNG, what + waits, rule, next_, look)
    if limit is not None or node.handling_for < LONG:
        return None
    rule = "no handler_timeout is set, so it may take as long as it likes"
    if facts.runs_jobs:
        rule = "a job may take as long as the timeout= of its run or map allows"
    return Why(Verdict.HUNG, what + waits, rule, "", f"{look}; end it and keep what waits: actorctl restart {name}")


def _slow(facts: Facts, node: ChildSnapshot) -> Why | None:
    trend, limits, queue = facts.trend, facts.limits, facts.queue
    if not queue.first:
        return None
    full = queue.longest and (facts.senders or (limits.mailbox is not None and node.mailbox >= limits.mailbox))
    if queue.depth <= FEW and not full:
        return None
    if trend is None or trend.seconds <= 0:
        rate, pace = 0.0, ""
    else:
        rate = trend.handled / trend.seconds
        does = ("handles", "gets") if queue.takers == 1 else ("and its pool handle", "get")
        pace = f"{does[0]} {_rate(rate)} and {does[1]} {_rate(trend.arrived / trend.seconds)}"
    behind = queue.waiting / rate if rate else None
    if not full and behind is not None and behind < SLOW:
        return None
    wait = count(queue.waiting, "message waits", "messages wait") + (
        f", {seconds(behind)} of work" if behind is not None else ""
    )
    happened = f"{pace}, so {wait}" if pace else f"is behind: {wait}"
    rule = _mailbox_rule(facts) if full else ""
    return Why(Verdict.SLOW, happened, rule, "", _quicker(facts, node))


def _quicker(facts: Facts, node: ChildSnapshot) -> str:
    """What to do about messages that wait."""
    queue, pool = facts.queue, _of_its_pool(node)
    look = f"see where the time goes: actorctl stacks {node.path if queue.takers == 1 else pool}"
    more = f"actorctl resize {pool} {facts.limits.size + 1}"
    if queue.by == Routing.BY_KEY:
        return f"{look}; messages of one key are for one process, so only where its keys are many do more help: {more}"
    return f"{look}; more processes: {more}"


def _degraded(_facts: Facts, node: ChildSnapshot) -> Why | None:
    if node.degraded is None:
        return None
    return Why(Verdict.DEGRADED, f"runs, and says of itself: {said(node.degraded)}", "", "it is asked again and again")


def _just_restarted(facts: Facts, node: ChildSnapshot) -> Why | None:
    if not facts.exits or facts.exits[-1].ago > JUST_NOW or facts.exits[-1].decision is not Decision.RESTART:
        return None
    up = "" if node.uptime is None else f" for {seconds(node.uptime)}"
    runs = f"life {node.life} runs{up} and is well"
    return Why(Verdict.RESTARTED, died(facts, node), rule(facts), "; ".join(filter(None, (runs, restarts_left(facts)))))


def _healthy(facts: Facts, node: ChildSnapshot) -> Why:
    up = "" if node.uptime is None else f" for {seconds(node.uptime)}"
    what = f"is well: life {node.life} runs{'' if node.node is None else f' on {node.node}'}{up}"
    if node.kind == "actor":
        doing = "it is idle" if node.handling is None else f"it handles {node.handling}"
        what += f", {doing}, {_queue(facts, node)}"
    if facts.exits:
        what += f"; its last end was {ago(facts.exits[-1].ago)} ({facts.exits[-1].reason})"
    return Why(Verdict.HEALTHY, what)


def _queue(facts: Facts, node: ChildSnapshot) -> str:
    """What waits, and what is over: of an actor, or of one process of a pool."""
    queue = facts.queue
    shared = queue.takers > 1
    here = count(queue.depth, "message waits or is", "messages wait or are")
    waits = "none waits" if queue.depth == 0 else f"{here} being handled"
    waits += " in its pool" if shared else ""
    if shared or queue.by:
        return f"{waits}, {count(queue.ended, 'message', 'messages')} of this life are over"
    return f"{waits}, {count(sum(node.fates.values()), 'message is', 'messages are')} over"


def _mailbox_rule(facts: Facts) -> str:
    what = {
        "wait": "its senders wait for room (overflow=wait)",
        "fail": "further messages are refused (overflow=fail)",
        "drop_oldest": "the oldest become dead letters (overflow=drop_oldest)",
        "drop_newest": "the newest become dead letters (overflow=drop_newest)",
    }.get(facts.limits.overflow, "")
    held = f", {count(facts.senders, 'sender')} now" if facts.senders else ""
    return f"its mailbox is full at {facts.limits.mailbox}, and {what}{held}"


def _rate(rate: float) -> str:
    return f"{rate:.0f} messages/s" if rate >= 10 else f"{rate:.1f} messages/s"


def _of_its_pool(node: ChildSnapshot) -> str:
    """The path of the pool of which it is a member; its own where it is none."""
    pool, _, member = node.path.rpartition("/")
    return pool if member.isdigit() else node.path
