"""Benchmarks: what an ask and a tell cost, against the raw pipe and the standard library, in one run.

python -m benchmarks            all contenders, interleaved
python -m benchmarks --quick    a short look
python -m benchmarks --pin      everything on one core
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import statistics
import sys
from collections import defaultdict
from contextlib import ExitStack

import structlog

from benchmarks.ours import Ours
from benchmarks.pipe import RawPipe
from benchmarks.queues import StockQueues
from benchmarks.workloads import IN_FLIGHT, WORKLOADS, Contender, Counts

FULL, QUICK = Counts(alone=5_000, many=640 * IN_FLIGHT, tells=100_000), Counts(alone=200, many=1_280, tells=2_000)

Figures = dict[str, dict[str, list[float]]]  # title to contender to one figure a repetition


def contenders() -> list[Contender]:
    """Who takes part; the first is the limit the others are measured by."""
    those: list[Contender] = [
        RawPipe(),
        StockQueues(),
        Ours("ours, reading='thread'", "thread"),
        Ours("ours, reading='loop'", "loop"),
    ]
    try:
        import uvloop  # noqa: PLC0415 - it may be missing
    except ImportError:
        return those
    return [*those, Ours("ours, reading='loop', uvloop", "loop", uvloop.new_event_loop)]


def measure(those: list[Contender], counts: Counts, repetitions: int) -> Figures:
    """Every contender does every workload in every repetition, in turn: what disturbs one disturbs all."""
    figures: Figures = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        for contender in those:
            stack.enter_context(contender)
        for repetition in range(-1, repetitions):  # the first round warms up and is not counted
            for workload in WORKLOADS:
                for contender in those:
                    for title, figure in zip(workload.titles, workload.measure(contender, counts), strict=True):
                        if repetition >= 0:
                            figures[title][contender.name].append(figure)
    return figures


def show(figures: Figures) -> None:
    """The median of the repetitions, their spread, and the ratio to the limit."""
    for title, rows in figures.items():
        limit = statistics.median(next(iter(rows.values())))
        print(f"\n{title:<34}{'median':>12}{'lowest':>12}{'highest':>12}{'x raw pipe':>12}")
        for name, each in rows.items():
            median = statistics.median(each)
            print(f"  {name:<32}{median:>12,.1f}{min(each):>12,.1f}{max(each):>12,.1f}{median / limit:>12.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description="What an ask and a tell cost.")
    parser.add_argument("--quick", action="store_true", help="a short look instead of a measurement")
    parser.add_argument("--pin", action="store_true", help="put every process on one core")
    parser.add_argument("--repetitions", type=int, help="how often everything is measured (7; quick: 3)")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if given.pin:
        if not hasattr(os, "sched_setaffinity"):
            sys.exit("benchmarks: this system cannot pin a process to a core")
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    repetitions = given.repetitions or (3 if given.quick else 7)
    pinned = ", all on one of them" if given.pin else ""
    print(f"{platform.platform()}, {os.cpu_count()} cores{pinned}, Python {platform.python_version()}")
    print(f"median of {repetitions} interleaved repetitions; microseconds: less is better, per second: more is better")
    show(measure(contenders(), QUICK if given.quick else FULL, repetitions))


if __name__ == "__main__":
    main()
