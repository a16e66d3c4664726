"""Measure: every contender does every workload in every repetition, in turn, so that what disturbs one disturbs all."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.results import Run
from benchmarks.session import ContenderFailed, Session
from benchmarks.workloads import Workload, workloads


@dataclass(frozen=True)
class Entrant:
    """Who takes part.

    Attributes:
        name: in the tables.
        module: where the contender is.
        options: of the contender.
        python: finds the interpreter it runs in; may raise ContenderFailed.
        restless: it uses processors while it has nothing to do, so it is not there while others are measured.
        slow: it takes seconds to begin, so it takes part in the first repetition only.
    """

    name: str
    module: str
    options: tuple[str, ...] = ()
    python: Callable[[], str | Path] = lambda: sys.executable
    restless: bool = False
    slow: bool = False


RAW_PIPE = "raw pipe"
OURS = "ours"
OURS_LOOP = 'ours, reading="loop"'
OURS_UVLOOP = 'ours, reading="loop", uvloop'

_HERE = "benchmarks.contenders"
ENTRANTS = (
    Entrant(RAW_PIPE, f"{_HERE}.pipe"),
    Entrant("mp.Queue pair", f"{_HERE}.queues"),
    Entrant("run_in_executor(queue.get)", f"{_HERE}.bridge"),
    Entrant("ProcessPoolExecutor", f"{_HERE}.executor"),
    Entrant(OURS, f"{_HERE}.ours", ("thread",)),
    Entrant(OURS_LOOP, f"{_HERE}.ours", ("loop",)),
    Entrant(OURS_UVLOOP, f"{_HERE}.ours", ("uvloop",)),
)


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        repetitions: of the short workloads.
        rare: repetitions of the long ones.
        seconds: that a short workload takes with each contender.
        workloads: in their order.
    """

    repetitions: int
    rare: int
    seconds: float
    workloads: tuple[Workload, ...]


FULL = Plan(repetitions=5, rare=1, seconds=0.25, workloads=workloads(idle=3.0))
QUICK = Plan(repetitions=1, rare=0, seconds=0.1, workloads=workloads(idle=1.0))


def measure(entrants: Sequence[Entrant], plan: Plan, say: Callable[[str], None], keep: Callable[[Run], None]) -> Run:
    """All of it.

    Args:
        entrants: who takes part; the first is what the others are compared with.
        plan: how much.
        say: is told how far it is.
        keep: gets the figures after each workload, so that they outlive an interruption.
    """
    run = Run(
        date=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        machine=machine(),
        repetitions=(0, 0),
        contenders=[entrant.name for entrant in entrants],
    )
    with Stage(run) as stage:
        counts = {
            (workload, entrant): stage.pace(workload, entrant, plan.seconds)
            for workload in plan.workloads
            for entrant in entrants
            if workload.first
        }
        for repetition in range(max(plan.repetitions, plan.rare)):
            run.repetitions = min(repetition + 1, plan.repetitions), min(repetition, plan.rare)
            for workload in plan.workloads:
                if repetition < (plan.rare if workload.rare else plan.repetitions):
                    say(f"{repetition + 1}: {workload.do} {dict(workload.arguments) or ''}")
                    for entrant in entrants:
                        if not (entrant.slow and repetition):
                            stage.do(workload, entrant, counts.get((workload, entrant), 0))
                keep(run)
            run.repetitions = run.repetitions[0], min(repetition + 1, plan.rare)
            keep(run)
    return run


def count_for(pace: float, seconds: float, least: int) -> int:
    """How many to do so that it takes about so long."""
    return max(least, int(pace * seconds))


def machine() -> list[str]:
    """What this runs on."""
    facts = [f"{os.cpu_count()} cores", platform.platform(terse=True)]
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        facts.insert(0, next(line.partition(":")[2].strip() for line in lines if line.startswith("model name")))
        facts.append(f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB of memory")
    with contextlib.suppress(OSError):
        facts.append(f"load average at the start {os.getloadavg()[0]:.1f}")
    return facts


class Stage:
    """The contenders that are open, and what became of them; leaving it ends all of them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._sessions: dict[tuple[str, bool], Session] = {}
        self._out: dict[tuple[str, bool], str] = {}  # who could not begin, and why
        self._given_up: set[tuple[Workload, str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        for session in self._sessions.values():
            session.close() if kind is None else session.kill()

    def pace(self, workload: Workload, entrant: Entrant, seconds: float) -> int:
        """Warm up; how many to do from now on. 0 when it cannot be done."""
        figures = self._figures(workload, entrant, workload.first)
        return count_for(workload.pace(figures), seconds, workload.first) if figures else 0

    def do(self, workload: Workload, entrant: Entrant, count: int) -> None:
        """One repetition, into the results."""
        for name, sample in self._figures(workload, entrant, count).items():
            if name in workload.figures:
                self._run.note(workload.figures[name], entrant.name, sample)

    def _figures(self, workload: Workload, entrant: Entrant, count: int) -> Mapping[str, float]:
        if (workload, entrant.name) in self._given_up:
            return {}
        try:
            if workload.rare:
                self._close(entrant, pinned=workload.pinned)
            answer = self._answer(workload, entrant, count)
            why = answer.get("absent") or answer.get("failed")
            if entrant.restless:
                self._close(entrant, pinned=workload.pinned)
        except ContenderFailed as failure:
            self._sessions.pop((entrant.name, workload.pinned), None)
            answer, why = {}, str(failure)
        if why is not None:
            self._given_up.add((workload, entrant.name))
            for figure in workload.figures.values():
                self._run.excuse(figure, entrant.name, why)
        figures: Mapping[str, float] = answer.get("figures", {})
        return figures

    def _answer(self, workload: Workload, entrant: Entrant, count: int) -> dict[str, Any]:
        new = (entrant.name, workload.pinned) not in self._sessions
        session = self._session(entrant, workload.pinned)
        if not workload.first:
            return session.do(workload.do, dict(workload.arguments), workload.patience)
        if new and count != workload.first:  # warm up
            session.do(workload.do, {**workload.arguments, "count": workload.first}, workload.patience)
        return session.do(workload.do, {**workload.arguments, "count": count}, workload.patience)

    def _close(self, entrant: Entrant, *, pinned: bool) -> None:
        """The next workload is done by an instance that has done nothing before."""
        session = self._sessions.pop((entrant.name, pinned), None)
        if session is not None:
            session.close()

    def _session(self, entrant: Entrant, pinned: bool) -> Session:
        key = entrant.name, pinned
        if key in self._out:
            raise ContenderFailed(self._out[key])
        if key not in self._sessions:
            options = (*entrant.options, "--pin") if pinned else entrant.options
            try:
                session = Session(entrant.module, *options, python=entrant.python())
            except ContenderFailed as failure:
                self._out[key] = f"did not begin: {failure}"
                raise ContenderFailed(self._out[key]) from None
            self._sessions[key] = session
            self._run.versions[entrant.name] = session.versions
        return self._sessions[key]
