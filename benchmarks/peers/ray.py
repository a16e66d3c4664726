"""Ray: async actors in a runtime of several processes, restarted and asked again by it."""

from __future__ import annotations

import os
import tempfile
import time
from typing import Any

import ray

from benchmarks.awaiting import AwaitedContender
from benchmarks.contender import MIB, Figures, quantiles

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would report to its makers


class Adder:
    """Adds numbers up, and has another do so."""

    def __init__(self) -> None:
        self.total = 0

    async def add(self, number: int) -> int:
        self.total += number
        return self.total

    async def take(self, payload: bytes) -> int:
        return len(payload)

    async def echo(self, payload: bytes) -> bytes:
        return payload

    async def sum(self, array: Any) -> float:
        return float(array.sum())

    async def pid(self) -> int:
        return os.getpid()

    async def ask_other(self, other: Any, count: int) -> list[int]:
        """How many nanoseconds each ask took."""
        took = []
        for _ in range(count):
            begun = time.perf_counter_ns()
            await other.add.remote(1)
            took.append(time.perf_counter_ns() - begun)
        return took

    async def tell_other(self, other: Any, count: int) -> float:
        """How many seconds all tells took, until an ask behind them was answered."""
        begun = time.perf_counter()
        for _ in range(count):
            other.add.remote(1)
        await other.add.remote(1)
        return time.perf_counter() - begun


class RayWorker:
    """An actor; it needs no core of its own, and is restarted as often as it takes."""

    def __init__(self) -> None:
        options = ray.remote(Adder).options(num_cpus=0, max_restarts=-1, max_task_retries=-1)
        self.actor = options.remote()
        self.pid = 0

    async def ask(self) -> Any:
        return await self.actor.add.remote(1)

    async def tell(self) -> None:
        self.actor.add.remote(1)

    async def take(self, payload: bytes) -> int:
        length: int = await self.actor.take.remote(payload)
        return length

    async def echo(self, payload: bytes) -> int:
        return len(await self.actor.echo.remote(payload))


class Ray(AwaitedContender[RayWorker]):
    PACKAGES = ("ray",)

    async def _opening(self) -> None:
        ray.init(
            include_dashboard=False,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=tempfile.gettempdir(),
        )

    async def _closing(self) -> None:
        ray.shutdown()

    async def _launching(self, size: int) -> list[RayWorker]:
        workers = [RayWorker() for _ in range(size)]
        for worker in workers:
            worker.pid = await worker.actor.pid.remote()
        return workers

    async def _ending(self, workers: list[RayWorker]) -> None:
        for worker in workers:
            ray.kill(worker.actor)

    def _pid(self, worker: RayWorker) -> int:
        return worker.pid

    async def _recovering(self, worker: RayWorker) -> None:
        await worker.ask()

    def array(self, count: int, mib: int) -> Figures:
        return self._run(self._array(count, mib))

    async def _array(self, count: int, mib: int) -> Figures:
        import numpy as np  # noqa: PLC0415 - only arrays need it

        array, figures = np.ones(mib * MIB // 8), {}
        for name in ("first", "rate", "again"):  # the worker imports numpy with the first
            stored, begun = ray.put(array), time.perf_counter()
            for _ in range(count):
                total = await self._worker.actor.sum.remote(array if name == "rate" else stored)
                assert total == array.size
            figures[name] = count * mib / (time.perf_counter() - begun)
        return figures

    def between_ask(self, count: int) -> Figures:
        return self._run(self._between_ask(count))

    def between_tell(self, count: int) -> Figures:
        return self._run(self._between_tell(count))

    async def _between_ask(self, count: int) -> Figures:
        here, there = workers = await self._launching(2)
        try:
            return quantiles(await here.actor.ask_other.remote(there.actor, count))
        finally:
            await self._ending(workers)

    async def _between_tell(self, count: int) -> Figures:
        here, there = workers = await self._launching(2)
        try:
            return {"rate": count / await here.actor.tell_other.remote(there.actor, count)}
        finally:
            await self._ending(workers)


def contender() -> Ray:
    return Ray()
