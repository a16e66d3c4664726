"""64 MiB of numbers to an actor that sums them, and 8 MiB there and back, beside shared memory alone.

    python -m benchmarks.shared

Medians of one run. `made each time` copies the array into shared memory for each message; else one Shared is sent
again and again. Shared memory alone: another mapping of the same memory, made and summed in this process, without a
message.
"""

from __future__ import annotations

import asyncio
import mmap
import statistics
import time
from collections.abc import Awaitable, Callable

import numpy as np

from actors import Actor, Message, Shared, handles
from actors.ipc.shared_memory import Segment
from supervisor import ChildSpec, Supervisor

MIB = 1024 * 1024
TIMES = 7


class Sum(Message[float]):
    array: Shared


class SumBytes(Message[float]):
    data: bytes


class Echo(Message[Shared]):
    array: Shared


class EchoBytes(Message[bytes]):
    data: bytes


class Worker(Actor):
    @handles
    def sum(self, msg: Sum) -> float:
        return float(msg.array.array().sum())

    @handles
    def sum_bytes(self, msg: SumBytes) -> float:
        return float(np.frombuffer(msg.data).sum())

    @handles
    def echo(self, msg: Echo) -> Shared:
        return msg.array

    @handles
    def echo_bytes(self, msg: EchoBytes) -> bytes:
        return msg.data


async def median(deed: Callable[[], Awaitable[object]]) -> float:
    """Seconds."""
    took = []
    await deed()
    for _ in range(TIMES):
        begun = time.perf_counter()
        await deed()
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


async def alone(array: np.ndarray) -> None:
    """Map it again, and sum it."""
    segment = Shared.of(array).carried()
    assert isinstance(segment, Segment)

    async def summed() -> None:
        mapping = mmap.mmap(segment.fileno(), segment.size, prot=mmap.PROT_READ)
        np.frombuffer(mapping).sum()

    show("64 MiB, shared memory alone: mapped and summed", 64, await median(summed))


def show(what: str, mib: int, seconds: float) -> None:
    print(f"| {what} | {seconds * 1000:.1f} | {mib / 1024 / seconds:.2f} |", flush=True)


async def main() -> None:
    array = np.random.default_rng(1).random(64 * MIB // 8)
    large, small = Shared.of(array), Shared.of(array[:MIB])
    raw, raw_small = array.tobytes(), array[:MIB].tobytes()
    print("| what | ms | GiB/s |\n|---|---|---|")
    await alone(array)
    async with Supervisor(ChildSpec(Worker)) as root:
        worker = root["worker"]
        show("64 MiB to an actor, summed there: Shared", 64, await median(lambda: worker.ask(Sum(large), timeout=60)))
        made = await median(lambda: worker.ask(Sum(Shared.of(array)), timeout=60))
        show("the same, made each time", 64, made)
        show("the same as bytes", 64, await median(lambda: worker.ask(SumBytes(raw), timeout=60)))
        show("8 MiB there and back: Shared", 8, await median(lambda: worker.ask(Echo(small), timeout=60)))
        show("the same as bytes", 8, await median(lambda: worker.ask(EchoBytes(raw_small), timeout=60)))


if __name__ == "__main__":
    asyncio.run(main())
