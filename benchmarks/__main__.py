"""Benchmarks, from the command line.

python -m benchmarks            ours and the standard library; writes docs/benchmarks.md
python -m benchmarks --runs 3   three times, to see how often each target holds
python -m benchmarks --peers    also the peers from PyPI, each in an environment of its own
python -m benchmarks --quick    a short look; writes nothing
python -m benchmarks --render   writes the page and its charts again from the results
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.charts import charts
from benchmarks.measure import ENTRANTS, FULL, QUICK, measure
from benchmarks.peers.entrants import PEERS
from benchmarks.report import page, pooled, section, targets
from benchmarks.results import Results, Run, load, save
from benchmarks.session import ROOT
from benchmarks.targets import judge

DOCS = ROOT / "docs"


def main() -> None:
    """Parse, and be sure that what was started is ended, whatever ends this."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="What messages, starts and deaths cost.")
    parser.add_argument("--quick", action="store_true", help="a short look; writes nothing")
    parser.add_argument("--runs", type=int, default=1, help="how often everything is measured anew (1)")
    parser.add_argument("--peers", action="store_true", help="also the peers from PyPI")
    parser.add_argument("--only", metavar="NAME", help="the raw pipe and those whose names begin so; writes nothing")
    parser.add_argument("--render", action="store_true", help="measure nothing; write page and charts again")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    path = DOCS / "benchmarks" / "results.json"
    try:
        if not given.render:
            runs = measured(given, path)
            print(section("Measured", "", pooled(runs)))
            print(targets(judge(runs)))
            if given.quick or given.only:
                return
        write(load(path), DOCS)
    except KeyboardInterrupt:
        sys.exit(130)


def measured(given: argparse.Namespace, path: Path) -> list[Run]:
    """What was asked for; saved after each workload, unless it is a short look."""
    runs: list[Run] = []

    def keep(run: Run) -> None:
        if not (given.quick or given.only):
            save(path, replaced(load(path), [*runs, run], peers=given.peers))

    entrants = [*ENTRANTS, *(PEERS if given.peers else ())]
    if given.only:
        entrants = entrants[:1] + [one for one in entrants[1:] if one.name.startswith(given.only)]
    plan = QUICK if given.quick else FULL
    while len(runs) < given.runs:
        runs.append(measure(entrants, plan, say, keep))
    return runs


def replaced(results: Results, runs: list[Run], *, peers: bool) -> Results:
    """The results with these in place of the last of their kind; those of the other command stay."""
    return Results(bench=results.bench, peers=runs) if peers else Results(bench=runs, peers=results.peers)


def write(results: Results, docs: Path) -> None:
    """The page and its charts, and no chart of former results."""
    pictures = charts(pooled(results.bench)) if results.bench else {}
    pictures |= charts(pooled(results.peers), "peers-") if results.peers else {}
    directory = docs / "benchmarks"
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.svg"):
        old.unlink()
    for name, picture in pictures.items():
        (directory / name).write_text(picture, encoding="utf-8")
    (docs / "benchmarks.md").write_text(page(results), encoding="utf-8")


def say(line: str) -> None:
    """How far it is, for a person who watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")


if __name__ == "__main__":
    main()
