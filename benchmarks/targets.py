"""Targets: what we want to hold, as data, and whether it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.measure import OURS, OURS_LOOP, OURS_UVLOOP, RAW_PIPE
from benchmarks.results import Run

Measured = tuple[str, str]  # figure, contender


@dataclass(frozen=True)
class Target:
    """One figure, or the ratio of two, and its bound.

    Attributes:
        title: what it says.
        measured: the figure.
        sense: which side of the bound is right.
        bound: the last value that is right.
        over: what the figure is divided by; None for the figure itself.
        unit: of the bound.
    """

    title: str
    measured: Measured
    sense: Literal["at most", "at least"]
    bound: float
    over: Measured | None = None
    unit: str = ""


TARGETS = (
    Target(
        "ask alone on one core, against the raw pipe: reading by a thread",
        ("ask_p50_pinned", OURS),
        "at most",
        2.4,
        over=("ask_p50_pinned", RAW_PIPE),
    ),
    Target(
        "ask alone on one core, against the raw pipe: reading on asyncio's loop",
        ("ask_p50_pinned", OURS_LOOP),
        "at most",
        1.8,
        over=("ask_p50_pinned", RAW_PIPE),
    ),
    Target(
        "ask alone on one core, against the raw pipe: reading on uvloop",
        ("ask_p50_pinned", OURS_UVLOOP),
        "at most",
        1.5,
        over=("ask_p50_pinned", RAW_PIPE),
    ),
    Target("asks, 64 in flight: reading by a thread", ("flight", OURS), "at least", 200_000, unit="per second"),
    Target("asks, 64 in flight: reading on uvloop", ("flight", OURS_UVLOOP), "at least", 200_000, unit="per second"),
    Target("tells to one actor", ("tell", OURS), "at least", 1_500_000, unit="per second"),
    Target("kill -9 to the next reply, with a warm spare", ("kill", OURS), "at most", 6, unit="ms"),
    Target(
        "a cold spawn, against kill -9 to the next reply",
        ("start_1", RAW_PIPE),
        "at least",
        8,
        over=("kill", OURS),
    ),
    Target(
        "cold start of an actor, against a bare spawn", ("start_1", OURS), "at most", 1.3, over=("start_1", RAW_PIPE)
    ),
    Target(
        "memory of an idle actor, against a bare Python with msgspec",
        ("worker_memory", OURS),
        "at most",
        1.25,
        over=("worker_memory", RAW_PIPE),
    ),
    Target(
        "threads of the daemon with 100 actors, against 4",
        ("threads_100", OURS),
        "at most",
        1.0,
        over=("threads_4", OURS),
    ),
    Target("the daemon's memory for each actor", ("daemon_memory", OURS), "at most", 200, unit="KiB"),
    Target(
        "fan-out over 100 actors, rate of messages against 4", ("fan_100", OURS), "at least", 0.8, over=("fan_4", OURS)
    ),
    Target("100 idle actors and the daemon", ("idle", OURS), "at most", 0.5, unit="% of a core"),
    Target("64 MiB one way, against the raw pipe", ("send_64", OURS), "at least", 1.0, over=("send_64", RAW_PIPE)),
)


def value(target: Target, run: Run) -> float | None:
    """What was measured; None when it was not."""
    figure = run.median(*target.measured)
    if target.over is None or figure is None:
        return figure
    base = run.median(*target.over)
    return figure / base if base else None


def holds(target: Target, measured: float) -> bool:
    """Whether this is right."""
    return measured <= target.bound if target.sense == "at most" else measured >= target.bound


@dataclass(frozen=True)
class Verdict:
    """How a target fared.

    Attributes:
        target: which.
        measured: what each run measured; a run that did not measure it is left out.
        held: in how many of them it held.
    """

    target: Target
    measured: tuple[float, ...]
    held: int


def judge(runs: Sequence[Run], targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """Every target over all runs."""
    verdicts = []
    for target in targets:
        measured = tuple(each for run in runs if (each := value(target, run)) is not None)
        verdicts.append(Verdict(target, measured, sum(holds(target, each) for each in measured)))
    return verdicts
