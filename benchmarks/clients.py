"""Clients: messages, and the loop's stall, with 200 clients at the control socket and without any, turn by turn.

python -m benchmarks.clients              twenty rounds; medians
python -m benchmarks.clients --clients 50

Of eight clients four ask for the tree, one sends garbage, one half a frame, one asks and never reads, and one says
nothing; each acts once in two seconds, and one that was dropped comes again. "late" is by how much a timer of the loop
is late. "work" is the processor time that the loop's thread takes between two looks, a millisecond or more apart: what
the daemon itself does, whatever else the machine runs. "cpu" is processor time of the daemon and of the actor's process
for each message, the least of the rounds.
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
LONG: Final = 0.5  # seconds of each measurement of a rate, so that many clients act in it

CROWD: Final = """
import socket, sys, time
from itertools import cycle
from pathlib import Path
from supervisor.control.frames import Identify, ShowEvents, ShowTree
from supervisor.control.framing import HEAD, framed

PATH, COUNT = Path(sys.argv[1]), int(sys.argv[2])
NEVER_READ = framed(ShowTree()) * 16 + framed(ShowEvents())
BAD = {4: b"GET / HTTP/1.1\\r\\n\\r\\n" * 100, 5: framed(Identify())[:-1], 6: NEVER_READ}

class Stranger:
    def __init__(self, data):
        self.data = data
        self.act()

    def act(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(PATH))
        self.socket.settimeout(60.0)
        self.socket.sendall(self.data)

class Quiet(Stranger):
    def read(self):  # and looks at nothing of it: what is measured is the daemon's work
        head = self.socket.recv(HEAD, socket.MSG_WAITALL)
        self.socket.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)

class Asking(Quiet):
    def ask(self):
        self.read()  # the reply to the last one: no client waits for another
        self.socket.sendall(self.data)

def client(number):
    if number % 8 in BAD:
        return Stranger(BAD[number % 8])
    return Asking(framed(ShowTree())) if number % 8 < 4 else Quiet(framed(Identify()))

clients = [client(number) for number in range(COUNT)]
for one in clients:
    if type(one) is Quiet:
        one.read()
deeds = [one.ask if isinstance(one, Asking) else one.act for one in clients if type(one) is not Quiet]
for number, deed in enumerate(cycle(deeds)):
    if number == len(deeds):  # each has acted once: all were let in
        print("here", flush=True)
    begun = time.monotonic()
    deed()
    time.sleep(max(0.0, 2.0 / len(deeds) - (time.monotonic() - begun)))
"""


class Stall:
    """By how much a timer is late, and how long the loop's thread works between two looks, in seconds."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.work: list[float] = []

    async def look(self) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due, used = loop.time() + EVERY, time.thread_time()
            await asyncio.sleep(EVERY)
            self.late.append(loop.time() - due)
            self.work.append(time.thread_time() - used)


def most(values: list[float]) -> str:
    """The 99th percentile and the longest of some seconds, as text."""
    values = sorted(values)
    return f"{values[int(len(values) * 0.99)] * 1e3:6.2f} ms (99 %) {values[-1] * 1e3:6.2f} ms (longest)"


@contextlib.asynccontextmanager
async def crowd(path: Path, count: int) -> AsyncIterator[None]:
    """Clients in a process of their own, all connected."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CROWD, str(path), str(count), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    if not await process.stdout.readline():
        sys.exit("the clients did not begin")
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
                            count, took = 0, 0.0
                            while took < LONG:
                                count += await work(ref)
                                took = time.perf_counter() - begun
                            used = time.process_time() + cpu_seconds(pid) - used
                            if number:
                                rates.setdefault((way, crowded), []).append(count / took)
                                cpus.setdefault((way, crowded), []).append(used / count)
                        look = asyncio.create_task(stalls[crowded].look())
                        await asyncio.sleep(1.0)
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
        sys.stdout.write(f"{who:18} late {most(stall.late)}   work {most(stall.work)}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.clients", description="What clients cost.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clients", type=int, default=200)
    given = parser.parse_args()
    asyncio.run(main(given.rounds, given.clients))
