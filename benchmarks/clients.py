"""Clients: messages, and the loop's stall, with 200 clients at the control socket and without any, turn by turn.

python -m benchmarks.clients              twenty rounds; medians
python -m benchmarks.clients --clients 50

Half of the clients ask for the tree again and again, once in two seconds each; the others are connected and read
nothing. "stall" is by how much a timer of the loop is late, the 99th percentile. "cpu" is processor time of the daemon
and of the actor's process for each message, the least of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from benchmarks.telemetry import WAYS, Worker, cpu_seconds
from supervisor import ChildSpec, Supervisor

EVERY: Final = 0.001  # seconds between two looks at the loop

CROWD: Final = """
import sys, time
from pathlib import Path
from typing import Final
from supervisor.ctl.client import Client

path, count = Path(sys.argv[1]), int(sys.argv[2])
clients = []
for _ in range(count):
    clients.append(Client(path, timeout=60.0))
    clients[-1].identify()  # one after the other: the backlog is shorter
asking = clients[::2]
print("here", flush=True)
while True:
    for client in asking:
        begun = time.monotonic()
        client.tree()
        time.sleep(max(0.0, 2.0 / len(asking) - (time.monotonic() - begun)))
"""


class Stall:
    """By how much a timer is late, while inside."""

    def __init__(self) -> None:
        self.late: list[float] = []

    async def look(self) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + EVERY
            await asyncio.sleep(EVERY)
            self.late.append(loop.time() - due)

    @property
    def most(self) -> float:
        """The 99th percentile, in seconds."""
        return sorted(self.late)[int(len(self.late) * 0.99)]


@contextlib.asynccontextmanager
async def crowd(path: Path, count: int) -> AsyncIterator[None]:
    """Clients in a process of their own, all connected."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CROWD, str(path), str(count), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def main(rounds: int, clients: int) -> None:
    """Measure, and print."""
    logging.disable()
    rates: dict[tuple[str, bool], list[float]] = {}
    cpus: dict[tuple[str, bool], list[float]] = {}
    stalls: dict[bool, Stall] = {True: Stall(), False: Stall()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "control"
        async with Supervisor(ChildSpec(Worker), control=path) as root:
            ref, pid = root["worker"], root.snapshot().children[0].pid or 0  # type: ignore[union-attr]
            for number in range(rounds + 1):  # the first warms up
                for crowded in (False, True) if number % 2 else (True, False):
                    async with crowd(path, clients) if crowded else contextlib.nullcontext():
                        for way, work in WAYS.items():
                            used, begun = time.process_time() + cpu_seconds(pid), time.perf_counter()
                            count = await work(ref)
                            took = time.perf_counter() - begun
                            used = time.process_time() + cpu_seconds(pid) - used
                            if number:
                                rates.setdefault((way, crowded), []).append(count / took)
                                cpus.setdefault((way, crowded), []).append(used / count)
                        look = asyncio.create_task(stalls[crowded].look())
                        await asyncio.sleep(0.5)
                        look.cancel()
    for way in WAYS:
        alone, beside = (statistics.median(rates[way, crowded]) for crowded in (False, True))
        cheap, dear = (min(cpus[way, crowded]) for crowded in (False, True))
        sys.stdout.write(
            f"{way:18} {alone:10,.0f} /s alone {beside:10,.0f} /s with {clients} clients {beside / alone:5.2f} x"
            f"   cpu {cheap / dear:5.2f} x\n"
        )
    for crowded, stall in stalls.items():
        who = f"with {clients} clients" if crowded else "alone"
        sys.stdout.write(f"stall of the loop, {who:18} {stall.most * 1e3:6.2f} ms\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.clients", description="What clients cost.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clients", type=int, default=200)
    given = parser.parse_args()
    asyncio.run(main(given.rounds, given.clients))
