"""Clients: messages, and the loop's stall, with 200 clients at the control socket and without any, turn by turn.

python -m benchmarks.clients              two hundred rounds of a second
python -m benchmarks.clients --clients 50

Of eight clients four ask for the tree, one sends garbage, one half a frame, one asks for the tree and for events and
never reads, and one says nothing; each acts once in two seconds, and one that was dropped comes again. In each round
all is measured with them and without them, in random order. "x" is the median of the ratios within a round, behind it
the interval that has the true median with 95 %. "cpu" is processor time of the daemon and of the actor's process for
each message. "late" is by how much a timer of the loop is late. "work" is the processor time that the loop's thread
takes between two looks, a millisecond or more apart: what the daemon itself does, whatever else the machine runs. At
the end stands what a daemon that has nothing else to do spends on the clients, and what they spend themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
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
from supervisor.jobs.jobs_ref import JobsRef

EVERY: Final = 0.001  # seconds between two looks at the loop
SHORT: Final = 0.1  # seconds of each measurement

CROWD: Final = """
import select, socket, sys, time
from itertools import cycle, islice
from random import randrange
from supervisor.control.frames import Identify, ShowEvents, ShowTree
from supervisor.control.framing import HEAD, framed

PATH, COUNT = sys.argv[1], int(sys.argv[2])
NEVER_READ = framed(ShowTree()) + framed(ShowEvents(follow=True))
BAD = {4: b"GET / HTTP/1.1\\r\\n\\r\\n" * 100, 5: framed(Identify())[:-1], 6: NEVER_READ}

class Stranger:
    def __init__(self, data):
        self.data = data
        self.act()

    def act(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(PATH)
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

def told(seconds):
    return select.select([sys.stdin], [], [], max(0.0, seconds))[0]

while sys.stdin.readline():  # come
    clients = [client(number) for number in range(COUNT)]
    for one in clients:
        if isinstance(one, Quiet):
            one.read()  # all were let in
    for one in clients:
        if isinstance(one, Asking):
            one.socket.sendall(one.data)
    print("here", flush=True)
    deeds = [one.ask if isinstance(one, Asking) else one.act for one in clients if type(one) is not Quiet]
    due = time.monotonic()
    for deed in islice(cycle(deeds), randrange(len(deeds)), None):
        due += 2.0 / len(deeds)
        if told(due - time.monotonic()):
            break
        deed()
    sys.stdin.readline()  # go
    del deed, deeds, one, clients  # their sockets close
    print("gone", flush=True)
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


class Crowd:
    """Clients in a process of their own, which come and go."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, path: Path, count: int) -> AsyncIterator[Crowd]:
        """So many, who are not there yet."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CROWD, str(path), str(count), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            yield cls(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    @contextlib.asynccontextmanager
    async def there(self) -> AsyncIterator[None]:
        """All are connected, and act."""
        await self._say(b"come", b"here")
        yield
        await self._say(b"go", b"gone")

    async def _say(self, word: bytes, answer: bytes) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + b"\n")
        if await self._process.stdout.readline() != answer + b"\n":
            sys.exit("the clients have ended")


class Rounds:
    """What was measured, in the order of the rounds, with the crowd and without it."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, bool], list[float]] = {}

    def add(self, what: str, crowded: bool, value: float) -> None:
        """Add one figure of a round."""
        self._taken.setdefault((what, crowded), []).append(value)

    def median(self, what: str, crowded: bool) -> float:
        """The median of all rounds."""
        return statistics.median(self._taken[what, crowded])

    def ratios(self, what: str) -> str:
        """Of the rounds, with the crowd to without it: the median, and the interval that has it with 95 %."""
        pairs = zip(self._taken[what, True], self._taken[what, False], strict=True)
        ratios = sorted(beside / alone for beside, alone in pairs)
        edge = max(0, int((len(ratios) - 1.96 * len(ratios) ** 0.5) / 2))  # the binomial distribution's, nearly
        return f"{statistics.median(ratios):5.3f} x [{ratios[edge]:5.3f} to {ratios[-1 - edge]:5.3f}]"


def most(values: list[float]) -> str:
    """The 99th percentile and the longest of some seconds, as text."""
    values = sorted(values)
    return f"{values[int(len(values) * 0.99)] * 1e3:6.2f} ms (99 %) {values[-1] * 1e3:6.2f} ms (longest)"


async def measure(ref: JobsRef, pid: int, taken: Rounds, *, crowded: bool) -> None:
    """The rates of one half of a round, and the processor time of messages."""
    for way, work in WAYS.items():
        used, begun = time.process_time() + cpu_seconds(pid), time.perf_counter()
        count, took = 0, 0.0
        while took < SHORT:
            count += await work(ref)
            took = time.perf_counter() - begun
        used = time.process_time() + cpu_seconds(pid) - used
        taken.add(way, crowded, count / took)
        taken.add(f"{way}, cpu", crowded, used / count)


async def main(rounds: int, clients: int) -> None:
    """Measure, and print."""
    logging.disable()
    taken, stalls = Rounds(), {True: Stall(), False: Stall()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "control"
        async with Supervisor(ChildSpec(Worker), control=path) as root, Crowd.of(path, clients) as crowd:
            ref, pid = root["worker"], root.snapshot().children[0].pid or 0  # type: ignore[union-attr]
            await measure(ref, pid, Rounds(), crowded=False)  # warms up
            for _ in range(rounds):
                for crowded in random.sample((True, False), 2):
                    async with crowd.there() if crowded else contextlib.nullcontext():
                        await measure(ref, pid, taken, crowded=crowded)
                        look = asyncio.create_task(stalls[crowded].look())
                        await asyncio.sleep(SHORT)
                        look.cancel()
                        daemon, strangers = time.process_time(), cpu_seconds(crowd.pid)
                        await asyncio.sleep(SHORT)
                        taken.add("daemon", crowded, (time.process_time() - daemon) / SHORT)
                        taken.add("strangers", crowded, (cpu_seconds(crowd.pid) - strangers) / SHORT)
    for way in WAYS:
        alone, beside = taken.median(way, crowded=False), taken.median(way, crowded=True)
        sys.stdout.write(
            f"{way:18} {alone:10,.0f} /s alone {beside:10,.0f} /s with {clients} clients  {taken.ratios(way)}"
            f"   cpu {taken.ratios(f'{way}, cpu')}\n"
        )
    for crowded, stall in stalls.items():
        who = f"with {clients} clients" if crowded else "alone"
        sys.stdout.write(f"{who:18} late {most(stall.late)}   work {most(stall.work)}\n")
    spent = taken.median("daemon", crowded=True) - taken.median("daemon", crowded=False)
    sys.stdout.write(
        f"{clients} clients cost an idle daemon {spent:.2%} of a core, and themselves "
        f"{taken.median('strangers', crowded=True):.2%}\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.clients", description="What clients cost.")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--clients", type=int, default=200)
    given = parser.parse_args()
    asyncio.run(main(given.rounds, given.clients))
