"""Why: why a child is as it is, in one sentence. Pure.

The sentence says what happened, what was decided and by which rule, what happens next and when, and what a person can
do.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from itertools import takewhile
from typing import Final

import msgspec

from actors.exits import ExitReport
from supervisor.control.look.facts import Exit, Facts
from supervisor.control.look.words import ago, count, mebibytes, seconds
from supervisor.core.health.hang_detector import Health
from supervisor.core.rules.down import by_call
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.core.tree.commands import Decision
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot

LOOP: Final = 3  # deaths that make a crash loop
RECENT: Final = 300.0  # seconds in which they count
JUST_NOW: Final = 60.0  # seconds in which one death is still worth a word
LONG: Final = 5.0  # seconds of one handler that look like a hang where there is no limit
SLOW: Final = 2.0  # seconds of work that wait before an actor that make it a slow consumer
FEW: Final = 10  # messages that wait without being worth a word
GROWN: Final = 32 * 2**20  # bytes by which a leaking process has grown at least
OPENED: Final = 100  # descriptors by which a leaking process has grown at least
SHARE: Final = 0.3  # of what it began with, by which it has grown at least
IDLE: Final = "it stopped itself: no message waited"


class Verdict(StrEnum):
    """A finding in one word, for scripts."""

    HEALTHY = "healthy"
    RESTARTED = "restarted"  # it died a moment ago, and runs again
    CRASH_LOOP = "crash_loop"
    WAITING = "waiting"  # for its restart
    HUNG = "hung"  # over its limit, or in one handler for long
    SUSPENDED = "suspended"  # by SIGSTOP
    DEGRADED = "degraded"  # as it says itself
    SLOW = "slow"  # messages come faster than it handles them
    LEAKING = "leaking"
    STARTING = "starting"
    STOPPING = "stopping"
    IDLE = "idle"  # it ended by itself because there was nothing to do
    DOWN = "down"  # and stays down
    GAVE_UP = "gave_up"
    NOT_STARTED = "not_started"


class Why(msgspec.Struct, frozen=True):
    """The parts of the sentence; what does not apply is empty.

    Attributes:
        verdict: in one word.
        happened: what, after the name of the child.
        decided: what, and by which rule.
        next: what happens next, and when.
        remedy: what a person can do.
    """

    verdict: Verdict
    happened: str
    decided: str = ""
    next: str = ""
    remedy: str = ""

    def sentence(self, path: str) -> str:
        """All of it as one sentence."""
        rest = "; ".join(part for part in (self.decided, self.next, self.remedy) if part)
        return f"{path} {self.happened}{f': {rest}' if rest else ''}."


def why(facts: Facts) -> Why:
    """Why a child is as it is."""
    if isinstance(facts.node, SupervisorSnapshot):
        return _supervisor(facts.node)
    return _BY_STATE[facts.node.state](facts, facts.node)


# ---- states without a running life


def _starting(facts: Facts, node: ChildSnapshot) -> Why:
    since = facts.started_ago or 0.0
    limit = facts.limits.start_timeout
    end = "" if limit is None else f"at {seconds(limit)} (start_timeout) it is killed, which counts as a failed start"
    loop = _loop(facts)
    if loop:
        again = f"life {node.life} has been starting for {seconds(since)}"
        return Why(Verdict.CRASH_LOOP, f"{loop}, and {again}", _rule(facts), _left(facts), _correct(facts, node))
    after = f", after life {node.life - 1} ended with {facts.exits[-1].reason}" if facts.exits else ""
    what = f"has been starting for {seconds(since)} (life {node.life}){after}, and is not ready yet"
    return Why(Verdict.STARTING, what, facts.awaits, end, _where(node, "waits"))


def _backoff(facts: Facts, node: ChildSnapshot) -> Why:
    due = "it starts again as soon as its turn comes"
    if node.next_try is not None:
        due = f"life {node.life + 1} starts in {seconds(node.next_try)}"
    next_ = "; ".join(part for part in (due, _left(facts)) if part)
    loop = _loop(facts)
    if loop:
        return Why(Verdict.CRASH_LOOP, loop, _rule(facts), next_, _correct(facts, node))
    return Why(Verdict.WAITING, _died(facts, node), _rule(facts), next_, f"or stop it: actorctl stop {_short(node)}")


def _stopping(facts: Facts, node: ChildSnapshot) -> Why:
    since, grace = facts.stopping_ago or 0.0, facts.limits.shutdown
    what = f"was asked to stop {ago(since)}"
    busy = "" if node.handling is None else f", and is still handling {node.handling}"
    if grace is None or grace == float("inf"):
        end = "it has as long as it needs (shutdown=INFINITY)"
    else:
        end = f"after {seconds(grace)} in all (shutdown) it is killed"
    return Why(Verdict.STOPPING, what + busy, "", end, _where(node))


def _stopped(facts: Facts, node: ChildSnapshot) -> Why:
    if node.life:
        return _exited(facts, node)
    if facts.phase is SupervisorState.STARTING and facts.waits_for is not None:
        order = f"its supervisor starts one child after the other, and {facts.waits_for} is not ready yet"
        return Why(Verdict.NOT_STARTED, "has not been started yet", order, "", f"see: actorctl why {facts.waits_for}")
    return Why(Verdict.NOT_STARTED, "has not been started", "", "", f"start it: actorctl start {_short(node)}")


def _exited(facts: Facts, node: ChildSnapshot) -> Why:
    start = f"start it: actorctl start {_short(node)}"
    last = node.last_exit
    if last is None:
        return Why(Verdict.DOWN, "is down", "", "", start)
    when = ago(facts.exits[-1].ago) if facts.exits else ""
    what = f"ended {when} with {last.reason}".replace("  ", " ")
    if last.decision == Decision.GIVE_UP:
        return Why(Verdict.GAVE_UP, what, f"its supervisor {facts.supervisor} gave up, {last.because}", "", start)
    if last.decision == Decision.LEAVE_DOWN and not last.reason.abnormal:
        return Why(Verdict.IDLE, what, f"{last.because}, so it stays down", "", start)
    if last.decision == Decision.EXPECTED and not last.reason.abnormal:
        return Why(Verdict.DOWN, f"was stopped {when}".rstrip(), by_call(last.because), "it stays down", start)
    return Why(Verdict.DOWN, what, f"{last.because}, so it stays down", "", f"mend the cause, then {start}")


# ---- a running life


def _running(facts: Facts, node: ChildSnapshot) -> Why:
    checks: tuple[Callable[[Facts, ChildSnapshot], Why | None], ...] = (
        _suspended,
        _crash_loop,
        _unstored,
        _hung,
        _leaking,
        _leaking_descriptors,
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


def _crash_loop(facts: Facts, node: ChildSnapshot) -> Why | None:
    loop = _loop(facts)
    if not loop or _deaths(facts)[-1].ago > JUST_NOW:
        return None
    up = "" if node.uptime is None else f"life {node.life} has run for {seconds(node.uptime)}"
    next_ = "; ".join(part for part in (up, _left(facts)) if part)
    return Why(Verdict.CRASH_LOOP, loop, _rule(facts), next_, _correct(facts, node))


def _unstored(facts: Facts, _node: ChildSnapshot) -> Why | None:
    if not facts.unstored:
        return None
    return Why(Verdict.DEGRADED, "runs, but its store fails, and so do those who send to it", facts.unstored)


def _hung(facts: Facts, node: ChildSnapshot) -> Why | None:
    if node.handling is None or node.handling_for is None:
        return None
    limit, name, look = facts.limits.handler_timeout, _short(node), _where(node)
    one = node.handling if facts.runs_jobs else f"one {node.handling}"
    what = f"has been handling {one} for {seconds(node.handling_for)}"
    waits = f", while {count(node.mailbox - 1, 'message waits', 'messages wait')}" if node.mailbox > 1 else ""
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


def _leaking(facts: Facts, node: ChildSnapshot) -> Why | None:
    trend = facts.trend
    killed = [exit_ for exit_ in facts.exits if exit_.ago < RECENT and _for_memory(exit_)]
    growing = ""
    if trend is not None and trend.life_seconds > 0:
        grown = trend.rss - trend.rss_began
        still = trend.rss - trend.rss_before
        if grown >= max(GROWN, SHARE * trend.rss_began) and still > 0.1 * grown * min(1.0, 10 / trend.life_seconds):
            pace = mebibytes(60 * still / trend.seconds)
            growing = (
                f"grows: its memory went from {mebibytes(trend.rss_began)} to {mebibytes(trend.rss)} in "
                f"{seconds(trend.life_seconds)}, now by about {pace} a minute"
            )
    if not growing and len(killed) < 2:
        return None
    limit, name = facts.limits.max_rss, _short(node)
    if killed:
        again = f"{count(len(killed), 'life', 'lives')} of it ended for memory, the last {ago(killed[-1].ago)}"
        happened = f"{growing}; {again}" if growing else f"leaks: {again} ({killed[-1].reason})"
    else:
        happened = growing
    if limit is not None:
        rule = f"max_rss replaces it above {mebibytes(limit)}, and no message is lost"
        return Why(Verdict.LEAKING, happened, rule, "", "find what its handlers keep between two messages")
    if node.kind != "actor":
        rule = f"a {node.kind} has no max_rss, so nothing replaces it before the machine's memory ends"
        bound = f"bound its address space with rlimits=; a new process now: actorctl restart {name}"
        return Why(Verdict.LEAKING, happened, rule, "", bound)
    rule = "no max_rss is set, so nothing replaces it before the machine's memory ends"
    return Why(Verdict.LEAKING, happened, rule, "", f"set max_rss=; a new process now: actorctl restart {name}")


def _leaking_descriptors(facts: Facts, node: ChildSnapshot) -> Why | None:
    trend = facts.trend
    if trend is None or not trend.descriptors_began or trend.descriptors <= trend.descriptors_before:
        return None
    grown = trend.descriptors - trend.descriptors_began
    if grown < max(OPENED, trend.descriptors_began):
        return None
    pace = round(60 * (trend.descriptors - trend.descriptors_before) / trend.seconds)
    happened = (
        f"grows: its open descriptors went from {trend.descriptors_began:,} to {trend.descriptors:,} in "
        f"{seconds(trend.life_seconds)}, now by about {pace:,} a minute"
    )
    rule = "at the limit of its process (rlimits=) it can open nothing more"
    do = f"find what it opens and does not close: ls -l /proc/{node.pid}/fd; a new process now: actorctl restart"
    return Why(Verdict.LEAKING, happened, rule, "", f"{do} {_short(node)}")


def _slow(facts: Facts, node: ChildSnapshot) -> Why | None:
    trend, limits = facts.trend, facts.limits
    full = limits.mailbox is not None and node.mailbox >= limits.mailbox
    if node.mailbox <= FEW and not (full or facts.senders):
        return None
    if trend is None or trend.seconds <= 0:
        rate, pace = 0.0, ""
    else:
        rate = trend.handled / trend.seconds
        pace = f"handles {_rate(rate)} and gets {_rate(trend.arrived / trend.seconds)}"
    behind = node.mailbox / rate if rate else None
    if not (full or facts.senders) and behind is not None and behind < SLOW:
        return None
    wait = count(node.mailbox, "message waits", "messages wait") + (
        f", {seconds(behind)} of work" if behind is not None else ""
    )
    happened = f"{pace}: {wait}" if pace else f"is behind: {wait}"
    rule = _mailbox_rule(facts) if full or facts.senders else ""
    more = f"more processes: actorctl resize {_short(node, pool=True)} {limits.size + 1}"
    look = f"see where the time goes: actorctl stacks {_short(node)}"
    return Why(Verdict.SLOW, happened.replace(": ", ", so ", 1) if pace else happened, rule, "", f"{look}; {more}")


def _degraded(_facts: Facts, node: ChildSnapshot) -> Why | None:
    if node.degraded is None:
        return None
    return Why(Verdict.DEGRADED, f"runs, and says of itself: {node.degraded}", "", "it is asked again and again")


def _just_restarted(facts: Facts, node: ChildSnapshot) -> Why | None:
    if not facts.exits or facts.exits[-1].ago > JUST_NOW or facts.exits[-1].decision is not Decision.RESTART:
        return None
    up = "" if node.uptime is None else f" for {seconds(node.uptime)}"
    runs = f"life {node.life} runs{up} and is well"
    return Why(Verdict.RESTARTED, _died(facts, node), _rule(facts), "; ".join(filter(None, (runs, _left(facts)))))


def _healthy(facts: Facts, node: ChildSnapshot) -> Why:
    up = "" if node.uptime is None else f" for {seconds(node.uptime)}"
    what = f"is well: life {node.life} runs{'' if node.node is None else f' on {node.node}'}{up}"
    if node.kind == "actor":
        doing = "it is idle" if node.handling is None else f"it handles {node.handling}"
        done = count(sum(node.fates.values()), "message is", "messages are")
        here = count(node.mailbox, "message waits or is", "messages wait or are")
        waits = "none waits" if node.mailbox == 0 else f"{here} being handled"
        what += f", {doing}, {waits}, {done} over"
    if facts.exits:
        what += f"; its last end was {ago(facts.exits[-1].ago)} ({facts.exits[-1].reason})"
    return Why(Verdict.HEALTHY, what)


# ---- supervisors


def _ended_supervisor(node: SupervisorSnapshot, last: ExitReport) -> Why:
    start = f"actorctl start {_short(node)}"
    if last.decision == Decision.EXPECTED and not last.reason.abnormal:
        return Why(Verdict.DOWN, "was stopped", by_call(last.because), "it stays down", f"start it: {start}")
    cause = "" if last.cause is None else f"; the last death below it: {last.cause}"
    what = f"ended with {last.reason}{cause}"
    if node.state is ChildState.BACKOFF:
        due = "" if node.next_try is None else f"it starts again in {seconds(node.next_try)}"
        return Why(Verdict.GAVE_UP, what, last.because, due)
    verdict = Verdict.GAVE_UP if last.reason.gave_up else Verdict.DOWN
    return Why(verdict, what, last.because, "it stays down", f"mend the cause, then {start}")


def _supervisor(node: SupervisorSnapshot) -> Why:
    below = [child for child in node.children if child.state is not ChildState.RUNNING]
    if node.phase is SupervisorState.STOPPED and node.last_exit is not None:
        return _ended_supervisor(node, node.last_exit)
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
    what = f"is well: all of its {count(len(node.children), 'child', 'children')} run ({node.strategy})"
    return Why(Verdict.HEALTHY, what, node.window)


# ---- phrases


def _loop(facts: Facts) -> str:
    """A crash loop as a phrase; empty when there is none."""
    exits = [exit_ for exit_ in _deaths(facts) if exit_.ago < RECENT]
    if len(exits) < LOOP:
        return ""
    span = exits[0].ago - exits[-1].ago
    often = f"died {len(exits)} times in {seconds(max(1.0, span))}"
    last = exits[-1]
    alike = len(list(takewhile(lambda exit_: exit_.reason == last.reason, reversed(exits))))
    times = "each time" if alike == len(exits) else f"the last {alike} times" if alike > 1 else "the last time"
    early = " before it was ready" if last.early else ""
    same = f"{times}{early} with {last.reason.removeprefix('unstarted: ')}"
    messages = {exit_.message for exit_ in exits}
    over = f", each time over one {last.message}" if messages == {last.message} and last.message else ""
    return f"is in a crash loop: it {often}, {same}{over}"


def _deaths(facts: Facts) -> list[Exit]:
    """Its last ends that nobody asked for; a stop or a recycle by a person neither makes a crash loop nor ends it."""
    return [exit_ for exit_ in facts.exits if exit_.decision in _ABNORMAL]


_ABNORMAL = (Decision.RESTART, Decision.GIVE_UP, Decision.LEAVE_DOWN)


def _correct(facts: Facts, node: ChildSnapshot) -> str:
    """What to do about a crash loop."""
    last, name = _deaths(facts)[-1], _short(node)
    if "SIGKILL from outside" in last.reason:
        who = "something outside of the daemon kills it: find that (dmesg, a script, a limit of its container)"
        return f"{who}, or stop it: actorctl stop {name}"
    if last.early:
        return f"what it needs to start is wrong, so no restart helps: correct that, or stop it: actorctl stop {name}"
    if last.message is not None:
        return f"look at what kills it: actorctl why {name} --report, and actorctl dead list {name}"
    return f"see its last report: actorctl why {name} --report; or stop it: actorctl stop {name}"


def _died(facts: Facts, node: ChildSnapshot) -> str:
    last = facts.exits[-1] if facts.exits else Exit(0.0, str(node.last_exit.reason) if node.last_exit else "an end")
    over = "" if last.message is None else f" while it handled {last.message}"
    early = " before it was ready" if last.early else ""
    where = f" on {last.node}" if last.node else ""
    return f"died {ago(last.ago)}{where}{early}{over} ({last.reason})"


def _rule(facts: Facts) -> str:
    said = _deaths(facts) or facts.exits
    return said[-1].because if said else ""


def _where(node: ChildSnapshot, does: str = "is") -> str:
    """How to see where its code is; what a program does, only its own tools and its output say."""
    if node.kind == "command":
        return f"see what it has written, in the log of the daemon; its pid is {node.pid}"
    return f"see where it {does}: actorctl stacks {_short(node)}"


def _left(facts: Facts) -> str:
    """How many restarts are left before its supervisor gives up."""
    if facts.allowed is None:
        return "its supervisor never gives up"
    left = facts.allowed - facts.held
    if facts.held == 0:
        return ""
    if left <= 0:
        return f"with one more within {seconds(facts.period)} {facts.supervisor} gives up"
    return f"{facts.supervisor} gives up after {left} more within {seconds(facts.period)}"


def _for_memory(exit_: Exit) -> bool:
    return exit_.out_of_memory or "MemoryError" in exit_.reason or exit_.because.startswith("max_rss")


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


def _short(node: ChildSnapshot | SupervisorSnapshot, *, pool: bool = False) -> str:
    """A name to type: its path, which is always unique."""
    return node.path.rpartition("/")[0] if pool and node.path.rpartition("/")[2].isdigit() else node.path


_BY_STATE: Final[dict[ChildState, Callable[[Facts, ChildSnapshot], Why]]] = {
    ChildState.STOPPED: _stopped,
    ChildState.STARTING: _starting,
    ChildState.RUNNING: _running,
    ChildState.STOPPING: _stopping,
    ChildState.BACKOFF: _backoff,
    ChildState.EXITED: _exited,
}
