"""Phrases: what several sentences say: of deaths, of restarts, of what a person can do. Pure."""

from __future__ import annotations

from itertools import pairwise, takewhile
from typing import Final

from supervisor.control.look.why.facts import Exit, Facts
from supervisor.control.look.words import ago, seconds
from supervisor.core.rules.states import SupervisorState
from supervisor.core.tree.commands import Decision
from supervisor.tree.snapshot import ChildSnapshot

LOOP: Final = 3  # deaths that make a crash loop
RECENT: Final = 300.0  # seconds in which they count


def crash_loop(facts: Facts) -> str:
    """A crash loop as a phrase; empty when there is none."""
    exits = [exit_ for exit_ in deaths(facts) if exit_.ago < RECENT]
    if len(exits) < LOOP:
        return ""
    span = exits[0].ago - exits[-1].ago
    often = f"died {len(exits)} times in {seconds(max(1.0, span))}"
    last = exits[-1]
    alike = len(list(takewhile(lambda exit_: exit_.reason == last.reason, reversed(exits))))
    times = "each time" if alike == len(exits) else f"the last {alike} times" if alike > 1 else "the last time"
    early = " before it was ready" if last.early else ""
    same = f"{times}{early} with {last.reason.removeprefix('unstarted: ')}{_wrote(last)}"
    messages = {exit_.message for exit_ in exits}
    over = f", each time over one {last.message}" if messages == {last.message} and last.message else ""
    return f"is in a crash loop: it {often}, {same}{over}"


def deaths(facts: Facts) -> list[Exit]:
    """Its last ends that were not asked for; a stop or a recycle by a person neither makes a crash loop nor ends it."""
    return [exit_ for exit_ in facts.exits if exit_.decision in _ABNORMAL]


_ABNORMAL = (Decision.RESTART, Decision.GIVE_UP, Decision.LEAVE_DOWN)


def out_of_loop(facts: Facts) -> bool:
    """Whether the life that is ready has come further than those that died: they were not, or died twice as soon."""
    ends = deaths(facts)
    longest = max((one.ago - next_.ago for one, next_ in pairwise(ends)), default=0.0)
    return ends[-1].early or ends[-1].ago > 2 * longest


def correction(facts: Facts, node: ChildSnapshot) -> str:
    """What to do about a crash loop."""
    last, name = deaths(facts)[-1], node.path
    if "SIGKILL from outside" in last.reason:
        who = "something outside of the daemon kills it: find that (dmesg, a script, a limit of its container)"
        return f"{who}, or stop it: actorctl stop {name}"
    if last.early:
        return f"what it needs to start is wrong, so no restart helps: correct that, or stop it: actorctl stop {name}"
    if last.message is not None:
        return f"look at what kills it: actorctl why {name} --report, and actorctl dead list {name}"
    return f"see its last report: actorctl why {name} --report; or stop it: actorctl stop {name}"


def died(facts: Facts, node: ChildSnapshot) -> str:
    """How its last life ended, as a phrase."""
    last = facts.exits[-1] if facts.exits else Exit(0.0, str(node.last_exit.reason) if node.last_exit else "an end")
    over = "" if last.message is None else f" while it handled {last.message}"
    early = " before it was ready" if last.early else ""
    where = f" on {last.node}" if last.node else ""
    return f"died {ago(last.ago)}{where}{early}{over} ({last.reason}{_wrote(last)})"


def _wrote(exit_: Exit) -> str:
    return f", and wrote last: {exit_.wrote}" if exit_.wrote else ""


def rule(facts: Facts) -> str:
    """By which rule was decided what follows its last death; empty where none has died."""
    said = deaths(facts) or facts.exits
    return said[-1].because if said else ""


def where_it_is(node: ChildSnapshot, does: str = "is") -> str:
    """How to see where its code is; what a program does, only its own tools and its output say."""
    if node.kind == "command":
        return f"see what it has written, in the log of the daemon; its pid is {node.pid}"
    return f"see where it {does}: actorctl stacks {node.path}"


def restarts_left(facts: Facts) -> str:
    """How many restarts are left before its supervisor gives up."""
    if facts.allowed is None:
        return "its supervisor never gives up"
    left = facts.allowed - facts.held
    if facts.held == 0:
        return ""
    if left <= 0:
        return f"with one more within {seconds(facts.period)} {facts.supervisor} gives up"
    return f"{facts.supervisor} gives up after {left} more within {seconds(facts.period)}"


def start_it(facts: Facts, path: str) -> str:
    """How to start what is down; below a supervisor that is down itself, that one is to be looked at."""
    if facts.phase is SupervisorState.STOPPED:
        return f"see: actorctl why {facts.supervisor}"
    return f"start it: actorctl start {path}"
