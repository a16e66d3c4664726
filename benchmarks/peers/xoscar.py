"""xoscar: actors in a pool of processes, one of them in each, restarted by its monitor."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import xoscar as xo
from xoscar.backends.allocate_strategy import ProcessIndex

from benchmarks.awaiting import AwaitedContender
from benchmarks.contender import Figures, quantiles


class Adder(xo.Actor):
    """Adds numbers up, and has another do so."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    async def add(self, number: int) -> int:
        self.total += number
        return self.total

    async def take(self, payload: bytes) -> int:
        return len(payload)

    async def echo(self, payload: bytes) -> bytes:
        return payload

    async def pid(self) -> int:
        return os.getpid()

    async def ask_other(self, other: Any, count: int) -> list[int]:
        """How many nanoseconds each ask took."""
        took = []
        for _ in range(count):
            begun = time.perf_counter_ns()
            await other.add(1)
            took.append(time.perf_counter_ns() - begun)
        return took

    async def tell_other(self, other: Any, count: int) -> float:
        """How many seconds all tells took, until an ask behind them was answered."""
        begun = time.perf_counter()
        for _ in range(count):
            await other.add.tell(1)
        await other.add(1)
        return time.perf_counter() - begun


class XoscarWorker:
    """An actor alone in a process of a pool."""

    def __init__(self, pool: Any, ref: Any, pid: int) -> None:
        self.pool = pool
        self.ref = ref
        self.pid = pid

    async def ask(self) -> Any:
        return await self.ref.add(1)

    async def tell(self) -> None:
        await self.ref.add.tell(1)

    async def take(self, payload: bytes) -> int:
        length: int = await self.ref.take(payload)
        return length

    async def echo(self, payload: bytes) -> int:
        return len(await self.ref.echo(payload))


class Xoscar(AwaitedContender[XoscarWorker]):
    PACKAGES = ("xoscar", "uvloop")

    async def _launching(self, size: int) -> list[XoscarWorker]:
        pool = await xo.create_actor_pool("127.0.0.1", n_process=size)
        workers = []
        for index in range(1, size + 1):
            ref = await xo.create_actor(Adder, address=pool.external_address, allocate_strategy=ProcessIndex(index))
            workers.append(XoscarWorker(pool, ref, await ref.pid()))
        return workers

    async def _ending(self, workers: list[XoscarWorker]) -> None:
        await workers[0].pool.stop()

    def _pid(self, worker: XoscarWorker) -> int:
        return worker.pid

    async def _recovering(self, worker: XoscarWorker) -> None:
        while True:
            try:
                await worker.ask()
            except Exception:  # whatever it is called: the process is not there yet
                await asyncio.sleep(0.002)
            else:
                return

    def between_ask(self, count: int) -> Figures:
        return self._run(self._between_ask(count))

    def between_tell(self, count: int) -> Figures:
        return self._run(self._between_tell(count))

    async def _between_ask(self, count: int) -> Figures:
        here, there = workers = await self._launching(2)
        try:
            return quantiles(await here.ref.ask_other(there.ref, count))
        finally:
            await self._ending(workers)

    async def _between_tell(self, count: int) -> Figures:
        here, there = workers = await self._launching(2)
        try:
            return {"rate": count / await here.ref.tell_other(there.ref, count)}
        finally:
            await self._ending(workers)


def contender() -> Xoscar:
    return Xoscar()
