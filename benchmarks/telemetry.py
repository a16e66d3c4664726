"""Telemetry: what metrics and unsampled tracing cost, beside a tree without both, turn by turn in one run.

python -m benchmarks.telemetry            96 rounds, and the ratio to the plain tree
python -m benchmarks.telemetry --rounds 300

The trees are made anew 24 times. The rate is the median of the rounds; what follows it is the median of the ratios
to the plain tree within a round, in which the trees take turns in random order. "cpu" is processor time of the daemon
and of the actor's process for each message, the least of the rounds: a busy machine changes it less than the rate.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from actors import Actor, Message, handles
from supervisor import ChildSpec, Supervisor
from supervisor.jobs.jobs_ref import JobsRef
from supervisor.metrics import Collector
from supervisor.tracing import instrument

ASKS = 250
AT_ONCE = 64
TELLS = 5_000
SITTINGS = 24

Kind = Callable[[Supervisor], None]


class Add(Message[None]):
    number: int


class Square(Message[int]):
    number: int


class Worker(Actor):
    @handles
    def add(self, msg: Add) -> None: ...

    @handles
    def square(self, msg: Square) -> int:
        return msg.number


async def asks(ref: JobsRef) -> int:
    """One after the other."""
    for number in range(ASKS):
        await ref.ask(Square(number))
    return ASKS


async def asks_at_once(ref: JobsRef) -> int:
    """Of many tasks."""

    async def some() -> None:
        for number in range(2 * ASKS // AT_ONCE):
            await ref.ask(Square(number))

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return 2 * ASKS // AT_ONCE * AT_ONCE


async def tells(ref: JobsRef) -> int:
    """One after the other, and an ask at the end."""
    for number in range(TELLS):
        await ref.tell(Add(number))
    await ref.ask(Square(0), timeout=None)
    return TELLS


WAYS: dict[str, Callable[[JobsRef], Awaitable[int]]] = {
    "ask": asks,
    f"ask, {AT_ONCE} at once": asks_at_once,
    "tell": tells,
}


def cpu_seconds(pid: int) -> float:
    """Processor time of a process's main thread, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def plain(root: Supervisor) -> None:
    """Nothing is on."""


def again(root: Supervisor) -> None:
    """Nothing is on either: by what this differs from the plain tree is noise."""


def metrics(root: Supervisor) -> None:
    """A collector."""
    Collector(root)


def unsampled(root: Supervisor) -> None:
    """Tracing, with a sampler that samples nothing."""
    instrument(root, tracer_provider=TracerProvider(sampler=ALWAYS_OFF))


def sampled(root: Supervisor) -> None:
    """Tracing of everything; nothing is exported."""
    instrument(root, tracer_provider=TracerProvider())


class Taken:
    """What was measured, by way and kind of tree: messages a second, and seconds of processor time of a message."""

    def __init__(self) -> None:
        self.rates: dict[tuple[str, str], list[float]] = {}
        self.cpus: dict[tuple[str, str], list[float]] = {}

    def add(self, way: str, kind: str, rate: float, cpu: float) -> None:
        """Add one round of one tree."""
        self.rates.setdefault((way, kind), []).append(rate)
        self.cpus.setdefault((way, kind), []).append(cpu)

    def lines(self, kinds: Sequence[Kind]) -> Iterator[str]:
        """One line for each way and kind."""
        for way in WAYS:
            bare_rates, bare_cpu = self.rates[way, "plain"], min(self.cpus[way, "plain"])
            for kind in kinds:
                rates, cpu = self.rates[way, kind.__name__], min(self.cpus[way, kind.__name__])
                ratio = statistics.median(rate / bare for rate, bare in zip(rates, bare_rates, strict=True))
                yield (
                    f"{way:18} {kind.__name__:10} {statistics.median(rates):10,.0f} /s  {ratio:5.2f} x"
                    f"   cpu {cpu * 1e6:7.2f} µs  {bare_cpu / cpu:5.2f} x\n"
                )


async def sit(kinds: Sequence[Kind], rounds: int, taken: Taken) -> None:
    """Measure trees made anew, in random order: two equal ones differ by where their memory and threads lie."""
    refs: dict[str, tuple[JobsRef, int]] = {}
    async with AsyncExitStack() as stack:
        for kind in random.sample(kinds, len(kinds)):
            root = Supervisor(ChildSpec(Worker))
            kind(root)
            await stack.enter_async_context(root)
            refs[kind.__name__] = root["worker"], root.snapshot().children[0].pid or 0  # type: ignore[union-attr]
        for number in range(rounds + 1):  # the first warms up
            for way, work in WAYS.items():
                for name in random.sample(list(refs), len(refs)):
                    ref, pid = refs[name]
                    used, begun = time.process_time() + cpu_seconds(pid), time.perf_counter()
                    count = await work(ref)
                    took = time.perf_counter() - begun
                    used = time.process_time() + cpu_seconds(pid) - used
                    if number:
                        taken.add(way, name, count / took, used / count)


async def main(rounds: int, *, every: bool) -> None:
    """Measure, and print ratios."""
    logging.disable()
    kinds: list[Kind] = [plain, again, metrics, unsampled, *([sampled] if every else [])]
    taken = Taken()
    for number in range(SITTINGS):
        await sit(kinds, len(range(number, rounds, SITTINGS)), taken)
    sys.stdout.writelines(taken.lines(kinds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.telemetry", description="What metrics and tracing cost.")
    parser.add_argument("--rounds", type=int, default=96)
    parser.add_argument("--sampled", action="store_true", help="also a tree of which everything is sampled")
    given = parser.parse_args()
    asyncio.run(main(given.rounds, every=given.sampled))
