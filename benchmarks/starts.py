"""An ordered start of 16 and of 100 actors beside as many raw spawns, and the memory of one idle actor.

    python -m benchmarks.starts [ROUNDS]

Milliseconds from nothing to the reply of each, medians; each way in turn. The raw spawns are processes of
`multiprocessing` with a pipe, begun one after the other without waiting. Memory is PSS, of 16 actors.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import time
from pathlib import Path

import structlog

from benchmarks.session import Session
from benchmarks.takeover_worker import WhatPid, Worker
from supervisor import ChildSpec, Supervisor

SIZES = (16, 100)
MEASURED = 16  # actors whose memory is looked at
SETTLED = 1.0  # seconds until their memory is
PATIENCE = 120.0  # seconds for a start of raw processes


def raw(limit: Session, size: int) -> float:
    """Milliseconds until so many raw processes have answered."""
    figures: dict[str, float] = limit.do("start", {"size": size}, PATIENCE)["figures"]
    return figures["milliseconds"]


async def ordered(size: int, memory: list[float]) -> float:
    """Milliseconds until so many actors have answered."""
    begun = time.perf_counter()
    async with Supervisor(*(ChildSpec(Worker, name=f"a{number}") for number in range(size))) as root:
        pids = [await root[f"a{number}"].ask(WhatPid(), timeout=None) for number in range(size)]
        took = (time.perf_counter() - begun) * 1000
        if size == MEASURED:
            await asyncio.sleep(SETTLED)
            memory.append(statistics.median(map(pss, pids)))
    return took


def pss(pid: int) -> float:
    """MiB of memory of a process; what others share counts in part."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:"))


async def main(rounds: int) -> None:
    print("| actors | ms | raw spawns, ms | times |\n|---|---|---|---|")
    memory: list[float] = []
    with Session("benchmarks.contenders.pipe") as limit:
        for size in SIZES:
            ours, bounds = [], []
            for _ in range(rounds):
                ours.append(await ordered(size, memory))
                bounds.append(raw(limit, size))
            middle, bound = statistics.median(ours), statistics.median(bounds)
            print(f"| {size} | {middle:.0f} | {bound:.0f} | {middle / bound:.2f} |", flush=True)
    print(f"\none of {MEASURED} idle actors: {statistics.median(memory):.2f} MiB")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
