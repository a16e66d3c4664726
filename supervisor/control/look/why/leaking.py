"""Leaking: whether a process grows without end. Pure."""

from __future__ import annotations

from typing import Final

from supervisor.control.look.why.facts import Exit, Facts
from supervisor.control.look.why.phrases import RECENT
from supervisor.control.look.why.verdict import Verdict, Why
from supervisor.control.look.words import ago, count, mebibytes, seconds
from supervisor.tree.snapshot import ChildSnapshot

GROWN: Final = 32 * 2**20  # bytes by which a leaking process has grown at least
OPENED: Final = 100  # descriptors by which a leaking process has grown at least
SHARE: Final = 0.3  # of what it began with, by which it has grown at least


def leaks_memory(facts: Facts, node: ChildSnapshot) -> Why | None:
    """It uses more and more memory, or several lives of it ended for memory."""
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
    limit, name = facts.limits.max_rss, node.path
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


def leaks_descriptors(facts: Facts, node: ChildSnapshot) -> Why | None:
    """It opens more and more descriptors."""
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
    return Why(Verdict.LEAKING, happened, rule, "", f"{do} {node.path}")


def _for_memory(exit_: Exit) -> bool:
    return exit_.out_of_memory or "MemoryError" in exit_.reason or exit_.because.startswith("max_rss")
