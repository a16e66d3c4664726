"""torchmonarch: a mesh of processes with an actor in each; a worker is a slice of it."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from monarch.actor import Actor, ProcMesh, endpoint, shutdown_context, this_host

from benchmarks.awaiting import AwaitedContender
from benchmarks.contender import Figures, quantiles


class Adder(Actor):
    """Adds numbers up, and has another do so."""

    def __init__(self) -> None:
        self.total = 0

    @endpoint
    async def add(self, number: int) -> int:
        self.total += number
        return self.total

    @endpoint
    async def take(self, payload: bytes) -> int:
        return len(payload)

    @endpoint
    async def echo(self, payload: bytes) -> bytes:
        return payload

    @endpoint
    async def pid(self) -> int:
        return os.getpid()

    @endpoint
    async def ask_other(self, other: Any, count: int) -> list[int]:
        """How many nanoseconds each ask took."""
        took = []
        for _ in range(count):
            begun = time.perf_counter_ns()
            await other.add.call_one(1)
            took.append(time.perf_counter_ns() - begun)
        return took

    @endpoint
    async def tell_other(self, other: Any, count: int) -> float:
        """How many seconds all tells took, until an ask behind them was answered."""
        begun = time.perf_counter()
        for _ in range(count):
            other.add.broadcast(1)
        await other.add.call_one(1)
        return time.perf_counter() - begun


class MonarchWorker:
    """An actor alone in a process of a mesh."""

    def __init__(self, procs: ProcMesh, actor: Any) -> None:
        self.procs = procs
        self.actor = actor
        self.pid = 0

    async def ask(self) -> Any:
        return await self.actor.add.call_one(1)

    async def tell(self) -> None:
        self.actor.add.broadcast(1)

    async def take(self, payload: bytes) -> int:
        length: int = await self.actor.take.call_one(payload)
        return length

    async def echo(self, payload: bytes) -> int:
        return len(await self.actor.echo.call_one(payload))


class Monarch(AwaitedContender[MonarchWorker]):
    PACKAGES = ("torchmonarch",)
    NO_RECOVERY = "its supervision tells the owner, after seconds, and starts nothing again"

    async def _launching(self, size: int) -> list[MonarchWorker]:
        procs = this_host().spawn_procs({"workers": size})
        actors: Any = procs.spawn("adder", Adder)
        workers = [MonarchWorker(procs, actors.slice(workers=index)) for index in range(size)]
        for worker, pid in zip(workers, await asyncio.gather(*map(_pid_of, workers)), strict=True):
            worker.pid = pid
        return workers

    async def _ending(self, workers: list[MonarchWorker]) -> None:
        await workers[0].procs.stop()

    async def _closing(self) -> None:
        await shutdown_context()

    def _pid(self, worker: MonarchWorker) -> int:
        return worker.pid

    def between_ask(self, count: int) -> Figures:
        return self._run(self._between_ask(count))

    def between_tell(self, count: int) -> Figures:
        return self._run(self._between_tell(count))

    async def _between_ask(self, count: int) -> Figures:
        here, there = workers = await self._launching(2)
        try:
            return quantiles(await here.actor.ask_other.call_one(there.actor, count))
        finally:
            await self._ending(workers)

    async def _between_tell(self, count: int) -> Figures:
        here, there = workers = await self._launching(2)
        try:
            return {"rate": count / await here.actor.tell_other.call_one(there.actor, count)}
        finally:
            await self._ending(workers)


async def _pid_of(worker: MonarchWorker) -> int:
    pid: int = await worker.actor.pid.call_one()
    return pid


def contender() -> Monarch:
    return Monarch()
