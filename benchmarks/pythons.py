"""An idle actor on several Pythons: its memory and the processor time of its start, beside those on the first one.

    python -m benchmarks.pythons [-r ROUNDS] PYTHON...

Each PYTHON is a command, as `python3.14` or `"chroot /srv/sid /usr/bin/python3.15"`, of one that has msgspec and
structlog, and as little else as can be: what is installed is imported. They take turns. Printed are medians, of as many
actors as stand beside each other, and how many times the first Python's they are. Compile the sources for each before,
with `compileall`, where they are not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shlex
import statistics
import subprocess
from pathlib import Path
from typing import Final

import structlog

from benchmarks.pythons_worker import Begun, Idle
from supervisor import ChildSpec, Supervisor

ACTORS: Final = 8
SETTLED: Final = 1.0  # seconds until their memory is looked at
FIGURES: Final = {
    "memory of its own (USS), KiB": "uss",
    "with its share of the rest (PSS), KiB": "pss",
    "processor time of its start, ms": "start",
}


def main() -> None:
    """Print a row for each figure and a column for each Python."""
    reader = argparse.ArgumentParser(prog="python -m benchmarks.pythons", description=__doc__.splitlines()[0])
    reader.add_argument("-r", "--rounds", type=int, default=5)
    reader.add_argument("pythons", nargs="*", metavar="PYTHON")
    asked = reader.parse_args()
    if not asked.pythons:
        print(json.dumps(asyncio.run(idle())))
        return
    found: dict[str, list[dict[str, float]]] = {python: [] for python in asked.pythons}
    for _ in range(asked.rounds):
        for python, rounds in found.items():
            rounds.append(one_round(python))
    names = [output(python, "-c", "import platform; print(platform.python_version())") for python in found]
    print(f"| | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for title, key in FIGURES.items():
        middles = [statistics.median(figures[key] for figures in rounds) for rounds in found.values()]
        cells = [f"{middle:,.0f} ({middle / middles[0]:.2f})" for middle in middles]
        print(f"| {title} | {' | '.join(cells)} |")


def one_round(python: str) -> dict[str, float]:
    """The figures of a daemon on that Python, which ends before this returns."""
    figures: dict[str, float] = json.loads(output(python, "-m", "benchmarks.pythons"))
    return figures


def output(python: str, *arguments: str) -> str:
    """What a Python prints."""
    command = [*shlex.split(python), *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


async def idle() -> dict[str, float]:
    """The figures of one idle actor on this Python: the median of some that stand beside each other."""
    async with Supervisor(*(ChildSpec(Idle, name=f"a{number}") for number in range(ACTORS))) as root:
        begun = [await root[f"a{number}"].ask(Begun(), timeout=None) for number in range(ACTORS)]
        await asyncio.sleep(SETTLED)
        memory = [memory_of(pid) for pid, _ in begun]
    return {
        "uss": statistics.median(kib["Private_Clean"] + kib["Private_Dirty"] for kib in memory),
        "pss": statistics.median(kib["Pss"] for kib in memory),
        "start": statistics.median(seconds * 1000 for _, seconds in begun),
    }


def memory_of(pid: int) -> dict[str, int]:
    """KiB of memory of a process, by kind, as Linux tells them."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return {kind.rstrip(":"): int(size) for kind, size, *_ in lines}


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    main()
