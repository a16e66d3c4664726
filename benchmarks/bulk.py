"""Bulk: many messages of one call beside as many calls, in one run.

python -m benchmarks.bulk            five rounds, each way in turn; medians
python -m benchmarks.bulk --rounds 9
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from actors import Actor, Message, handles
from supervisor import ChildSpec, Supervisor

TELLS = 100_000
ASKS = 20_000
AT_ONCE = 1_000  # messages of one call; asks in flight


class Add(Message[None]):
    number: int


class Square(Message[int]):
    number: int


class Worker(Actor):
    def __init__(self) -> None:
        self._sum = 0

    @handles
    def add(self, msg: Add) -> None:
        self._sum += msg.number

    @handles
    def square(self, msg: Square) -> int:
        return msg.number


async def main(rounds: int) -> None:  # noqa: C901 - one function for each way
    """Measure, and print messages a second."""
    logging.disable()
    async with Supervisor(ChildSpec(Worker)) as root:
        worker = root["worker"]
        tells = [Add(number) for number in range(TELLS)]
        calls = [tells[start : start + AT_ONCE] for start in range(0, TELLS, AT_ONCE)]
        asks = [Square(number) for number in range(AT_ONCE)]

        async def one_by_one() -> None:
            for tell in tells:
                await worker.tell(tell)
            await worker.ask(Square(0), timeout=None)

        async def many() -> None:
            for call in calls:
                await worker.tell_many(call)
            await worker.ask(Square(0), timeout=None)

        async def all_at_once() -> None:
            await worker.tell_many(tells)
            await worker.ask(Square(0), timeout=None)

        async def gathered() -> None:
            for _ in range(ASKS // AT_ONCE):
                await asyncio.gather(*(worker.ask(ask, timeout=None) for ask in asks))

        async def asked_together() -> None:
            for _ in range(ASKS // AT_ONCE):
                await worker.ask_many(asks, timeout=None)

        ways: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "tell, one by one": (TELLS, one_by_one),
            f"tell_many of {AT_ONCE:,}": (TELLS, many),
            f"tell_many of {TELLS:,}": (TELLS, all_at_once),
            f"{AT_ONCE:,} asks gathered": (ASKS, gathered),
            f"ask_many of {AT_ONCE:,}": (ASKS, asked_together),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds + 1):  # the first warms up
            for name, (count, way) in ways.items():
                begun = time.perf_counter()
                await way()
                rates[name].append(count / (time.perf_counter() - begun))
        for name, measured in rates.items():
            sys.stdout.write(f"{name:28} {statistics.median(measured[1:]):12,.0f} /s\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.bulk", description="What many messages of one call save.")
    parser.add_argument("--rounds", type=int, default=5)
    asyncio.run(main(parser.parse_args().rounds))
