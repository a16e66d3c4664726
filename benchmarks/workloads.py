"""Workloads: what is measured, what the figures are called, and which way is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Figure:
    """One row of figures in the tables.

    Attributes:
        key: its name in results.
        group: the table it stands in.
        title: what it says, with its unit.
        better: which way is better.
        charted: whether it has a chart.
    """

    key: str
    group: str
    title: str
    better: Literal["less", "more"]
    charted: bool = False


ASK, LOAD, LARGE, BETWEEN, LIFE, FAN_OUT, IDLE = (
    "One ask at a time",
    "Many messages",
    "Large payloads, one at a time",
    "One worker to another",
    "Start and recovery",
    "Fan-out",
    "Memory, threads and idling",
)

FIGURES = {
    figure.key: figure
    for figure in (
        Figure("ask_p50_pinned", ASK, "ask alone, all on one core, p50, µs", "less", charted=True),
        Figure("ask_p99_pinned", ASK, "ask alone, all on one core, p99, µs", "less"),
        Figure("ask_p50", ASK, "ask alone, on all cores, p50, µs", "less"),
        Figure("ask_p99", ASK, "ask alone, on all cores, p99, µs", "less"),
        Figure("flight", LOAD, "asks, 64 in flight, per second", "more", charted=True),
        Figure("tell", LOAD, "tells with a barrier behind, per second", "more", charted=True),
        Figure("send_8", LARGE, "8 MiB one way, MiB per second", "more"),
        Figure("send_64", LARGE, "64 MiB one way, MiB per second", "more", charted=True),
        Figure("echo_8", LARGE, "8 MiB there and back, MiB per second", "more"),
        Figure("array_64", LARGE, "64 MiB array summed there, MiB per second", "more"),
        Figure("array_64_again", LARGE, "the same array once more, MiB per second", "more"),
        Figure("between_p50", BETWEEN, "one worker asks another, p50, µs", "less", charted=True),
        Figure("between_p99", BETWEEN, "one worker asks another, p99, µs", "less"),
        Figure("between_tell", BETWEEN, "one worker tells another, a barrier behind, per second", "more"),
        Figure("start_1", LIFE, "start of 1 worker to its reply, ms", "less"),
        Figure("start_16", LIFE, "start of 16 workers to their replies, ms", "less", charted=True),
        Figure("kill", LIFE, "kill -9 to the next reply, ms", "less", charted=True),
        Figure("kill_cold", LIFE, "kill -9 to the next reply, no spare process, ms", "less"),
        Figure("fan_4", FAN_OUT, "to each of 4 workers, messages per second", "more"),
        Figure("fan_32", FAN_OUT, "to each of 32 workers, messages per second", "more"),
        Figure("fan_100", FAN_OUT, "to each of 100 workers, messages per second", "more", charted=True),
        Figure("worker_memory", IDLE, "one of 32 idle workers, MiB", "less", charted=True),
        Figure("tree_memory", IDLE, "32 idle workers, daemon and helpers, MiB", "less"),
        Figure("daemon_memory", IDLE, "the daemon's growth for each of 100 workers, KiB", "less"),
        Figure("threads_4", IDLE, "threads of the daemon with 4 workers", "less"),
        Figure("threads_100", IDLE, "threads of the daemon with 100 workers", "less"),
        Figure("idle", IDLE, "processor time of 100 idle workers and the daemon, % of a core", "less"),
    )
}


@dataclass(frozen=True, eq=False)
class Workload:
    """One measurement, which gives one or more figures.

    Attributes:
        do: the contender's method.
        figures: by the names under which it returns them, the keys of what they are here.
        arguments: of the method, besides `count`.
        first: `count` of the first, uncounted round; 0 for what takes no count.
        pace: how many a second that round did, from what the method returned; what follows is chosen to last as long
            for each contender.
        pinned: done by an instance of the contender that has one core for all its processes.
        rare: takes long; not done in every repetition, and by an instance that has done nothing before.
        patience: seconds after which it hangs.
    """

    do: str
    figures: Mapping[str, str]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    first: int = 0
    pace: Callable[[Mapping[str, float]], float] = lambda figures: figures["rate"]
    pinned: bool = False
    rare: bool = False
    patience: float = 30.0


def _alone(figures: Mapping[str, float]) -> float:
    return 1e6 / figures["p50"]


def _payload(do: str, key: str, mib: int) -> Workload:
    return Workload(do, {"rate": key}, {"mib": mib}, first=1, pace=lambda figures: figures["rate"] / mib)


def _fleet(size: int, idle: float, figures: Mapping[str, str]) -> Workload:
    return Workload("fleet", figures, {"size": size, "idle": idle}, rare=True, patience=240.0)


def workloads(idle: float) -> tuple[Workload, ...]:
    """All of them.

    Args:
        idle: seconds for which idle workers are watched.
    """
    return (
        Workload("ask", {"p50": "ask_p50_pinned", "p99": "ask_p99_pinned"}, first=100, pace=_alone, pinned=True),
        Workload("ask", {"p50": "ask_p50", "p99": "ask_p99"}, first=100, pace=_alone),
        Workload("flight", {"rate": "flight"}, first=1280),
        Workload("tell", {"rate": "tell"}, first=2000),
        _payload("send", "send_8", 8),
        _payload("send", "send_64", 64),
        _payload("echo", "echo_8", 8),
        Workload(
            "array",
            {"rate": "array_64", "again": "array_64_again"},
            {"mib": 64},
            first=1,
            pace=lambda figures: figures["rate"] / 64,
        ),
        Workload("between_ask", {"p50": "between_p50", "p99": "between_p99"}, first=100, pace=_alone),
        Workload("between_tell", {"rate": "between_tell"}, first=2000),
        Workload("start", {"milliseconds": "start_1"}, {"size": 1}),
        Workload("start", {"milliseconds": "start_16"}, {"size": 16}, patience=90.0),
        Workload("kill", {"milliseconds": "kill"}),
        Workload("kill_cold", {"milliseconds": "kill_cold"}),
        _fleet(4, 0.0, {"rate": "fan_4", "threads": "threads_4"}),
        _fleet(32, 0.0, {"rate": "fan_32", "worker": "worker_memory", "tree": "tree_memory"}),
        _fleet(
            100,
            idle,
            {"rate": "fan_100", "daemon": "daemon_memory", "threads": "threads_100", "idle": "idle"},
        ),
    )
