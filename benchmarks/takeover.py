"""From kill -9 to the first reply of the next life, beside a fresh Python process that imports msgspec.

    python -m benchmarks.takeover [KILLS]

Milliseconds, medians of one run. The raw bound is a new Python process that imports msgspec and writes one value.
`quiet` waits for a spare before each kill; `early` kills 0.3 s after the start of a tree; `often` kills five times a
second, whatever is ready by then; with a pause of 0 it kills as soon as the last life has answered.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import statistics
import subprocess
import sys
import time

import structlog

from actors import ActorRef
from benchmarks.takeover_worker import WhatPid, Worker
from supervisor import Backoff, ChildSpec, Intensity, Supervisor

SOON = 0.3  # seconds
OFTEN = 0.2  # seconds


RAW = "import os, msgspec; os.write(1, msgspec.msgpack.encode(os.getpid()))"


def fresh() -> float:
    """Milliseconds from the start of a raw process to its answer."""
    begun = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", RAW], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        return (time.perf_counter() - begun) * 1000


def tree(spares: int) -> Supervisor:
    at_once = Backoff(initial=0.0, cap=0.0, jitter=0.0)
    return Supervisor(ChildSpec(Worker, backoff=at_once), spares=spares, intensity=Intensity(10_000, 1.0))


async def killed(worker: ActorRef, pid: int) -> tuple[float, int]:
    """Milliseconds from the kill to the next life's answer, and its process id."""
    begun = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    while (now := await worker.ask(WhatPid(), timeout=60)) == pid:
        pass
    return (time.perf_counter() - begun) * 1000, now


async def early(kills: int) -> list[float]:
    took = []
    for _ in range(kills):
        async with tree(1) as root:
            pid = await root["worker"].ask(WhatPid())
            await asyncio.sleep(SOON)
            took.append((await killed(root["worker"], pid))[0])
    return took


async def often(kills: int, pause: float, spares: int = 1) -> list[float]:
    took = []
    async with tree(spares) as root:
        pid = await root["worker"].ask(WhatPid())
        for _ in range(kills):
            await asyncio.sleep(pause)
            one, pid = await killed(root["worker"], pid)
            took.append(one)
    return took


async def quiet(kills: int) -> list[float]:
    took = []
    async with tree(1) as root:
        pid = await root["worker"].ask(WhatPid())
        for _ in range(kills):
            while not root.snapshot().spares:  # noqa: ASYNC110 - no event says so
                await asyncio.sleep(0.01)
            one, pid = await killed(root["worker"], pid)
            took.append(one)
    return took


def show(what: str, took: list[float], raw_bound: float) -> None:
    middle = statistics.median(took)
    print(f"| {what} | {middle:.1f} | {max(took):.1f} | {middle / raw_bound:.2f} |", flush=True)


async def main(kills: int) -> None:
    bounds = [fresh() for _ in range(kills)]
    bound = statistics.median(bounds)
    print("| what | median, ms | worst, ms | times the raw bound |\n|---|---|---|---|")
    show("a fresh Python process that imports msgspec", bounds, bound)
    show("kill -9 to the next reply, a spare waits", await quiet(kills), bound)
    show("0.3 s after the start", await early(kills), bound)
    show("five kills a second", await often(kills, OFTEN), bound)
    show("each as soon as the last life has answered", await often(kills, 0.0), bound)
    show("without spares", await often(kills, OFTEN, 0), bound)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
