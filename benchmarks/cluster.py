"""Actors on a Ray cluster beside bare Ray actors, in one run: `python -m benchmarks.cluster` (needs the extra `ray`).

Both run on one local Ray; what differs is the way of the messages. Prints a table.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from actors import Actor, Message, handles
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from supervisor.cluster import RayCluster

ASKS = 2000
FLIGHT = 64
ROUNDS = 15  # of as many batches, each; the median counts
BATCHES = 20
MANY = 5000
KILLS = 5  # of which the median counts
QUEUED = 100


class Echo(Message[bytes]):
    data: bytes


class Tell(Message[None]):
    data: bytes


class Who(Message[int]):
    pass


class Step(Message[int]):
    number: int


class Echoes(Actor):
    def __init__(self, book: str) -> None:
        self._book = book

    @handles
    def echo(self, msg: Echo) -> bytes:
        return msg.data

    @handles
    def tell(self, msg: Tell) -> None:
        """Nothing."""

    @handles
    def who(self, msg: Who) -> int:
        return os.getpid()

    @handles
    def step(self, msg: Step) -> int:
        return step(self._book, msg.number)


def step(book: str, number: int) -> int:
    """Write that it has begun, then work a little."""
    with Path(book).open("a", encoding="ascii") as file:
        file.write(f"{number}\n")
    time.sleep(0.002)
    return number


def doubled(book: str) -> int:
    lines = Path(book).read_text(encoding="ascii").split()
    return len(lines) - len(set(lines))


async def ours(book: str, head: str) -> dict[str, float]:
    spec = ChildSpec(Echoes, args=(book,), name="a", place="any", backoff=Backoff(initial=0.0, cap=0.0))
    found: dict[str, float] = {}
    async with Supervisor(spec, cluster=RayCluster(address=head), intensity=Intensity.unlimited()) as root:
        ref = root["a"]
        for _ in range(200):
            await ref.ask(Echo(b"x"))
        found["ask, p50, us"] = await p50(lambda: ref.ask(Echo(b"x")))
        for name, batch in (("64 in flight, per s", in_flight), ("64 in one batch, per s", in_one)):
            rates = []
            for _ in range(ROUNDS):
                begin = time.perf_counter()
                for _ in range(BATCHES):
                    await batch(ref)
                rates.append(BATCHES * FLIGHT / (time.perf_counter() - begin))
            found[name] = statistics.median(rates)
        begin = time.perf_counter()
        for _ in range(10 * MANY):
            await ref.tell(Tell(b"x"))
        await ref.ask(Echo(b"x"))
        found["tells, per s"] = 10 * MANY / (time.perf_counter() - begin)
        times = []
        for _ in range(KILLS):
            await asyncio.sleep(2.0)  # the spare is there
            os.kill(await ref.ask(Who()), signal.SIGKILL)
            begin = time.perf_counter()
            await ref.ask(Who(), timeout=60)
            times.append(time.perf_counter() - begin)
        found["recovery after kill -9, ms"] = statistics.median(times) * 1000
        await asyncio.sleep(2.0)
        pid = await ref.ask(Who())
        asks = [asyncio.ensure_future(ref.ask(Step(number), timeout=60)) for number in range(QUEUED)]
        await asyncio.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        await asyncio.gather(*asks, return_exceptions=True)
    found["doubled of 100 queued at a kill"] = doubled(book)
    return found


async def in_flight(ref: Any) -> None:
    await asyncio.gather(*(ref.ask(Echo(b"x")) for _ in range(FLIGHT)))


async def in_one(ref: Any) -> None:
    await ref.ask_many([Echo(b"x") for _ in range(FLIGHT)])


async def p50(ask: Any) -> float:
    times = []
    for _ in range(ASKS):
        begin = time.perf_counter()
        await ask()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e6


def bare(ray: Any, book: str) -> dict[str, float]:
    class Bare:
        def echo(self, data: bytes) -> bytes:
            return data

        def who(self) -> int:
            return os.getpid()

        def step(self, number: int) -> int:
            return step(book, number)

    found: dict[str, float] = {}
    actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Bare).remote()
    for _ in range(200):
        ray.get(actor.echo.remote(b"x"))
    times = []
    for _ in range(ASKS):
        begin = time.perf_counter()
        ray.get(actor.echo.remote(b"x"))
        times.append(time.perf_counter() - begin)
    found["ask, p50, us"] = statistics.median(times) * 1e6
    rates = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(BATCHES):
            ray.get([actor.echo.remote(b"x") for _ in range(FLIGHT)])
        rates.append(BATCHES * FLIGHT / (time.perf_counter() - begin))
    found["64 in flight, per s"] = found["64 in one batch, per s"] = statistics.median(rates)  # it has one way for both
    begin = time.perf_counter()
    ray.get([actor.echo.remote(b"x") for _ in range(MANY)])
    found["tells, per s"] = MANY / (time.perf_counter() - begin)
    times = []
    for _ in range(KILLS):
        time.sleep(2.0)
        os.kill(ray.get(actor.who.remote()), signal.SIGKILL)
        begin = time.perf_counter()
        ray.get(actor.who.remote(), timeout=60)
        times.append(time.perf_counter() - begin)
    found["recovery after kill -9, ms"] = statistics.median(times) * 1000
    pid = ray.get(actor.who.remote())
    asks = [actor.step.remote(number) for number in range(QUEUED)]
    time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    ray.get(asks, timeout=60)
    found["doubled of 100 queued at a kill"] = doubled(book)
    return found


def main() -> None:
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError:
        sys.exit("needs Ray: pip install 'actor-supervisor[ray]'")
    head = ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=80 * 2**20,
        log_to_driver=False,
        logging_level="error",
    ).address_info["gcs_address"]
    try:
        with tempfile.TemporaryDirectory() as place:
            theirs = bare(ray, f"{place}/bare")
            mine = asyncio.run(ours(f"{place}/ours", head))
    finally:
        ray.shutdown()
    print(f"{'':34}{'bare Ray':>12}{'ours':>12}{'ours / Ray':>12}")
    for name, figure in theirs.items():
        ratio = f"{mine[name] / figure:.2f}" if figure else "-"
        print(f"{name:34}{figure:12.0f}{mine[name]:12.0f}{ratio:>12}")


if __name__ == "__main__":
    main()
