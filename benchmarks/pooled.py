"""The workloads for pools: stateless workers, none of which can be addressed, awaited on an event loop."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from benchmarks.awaiting import AwaitedContender
from benchmarks.contenders import pool_worker

PAUSE = 0.002  # seconds, in which one worker leaves the next task to another

P = TypeVar("P")


class PooledWorker(Generic[P]):
    """A place in a pool. Who does its work is not for it to say."""

    def __init__(self, pool: P, contender: PooledContender[P]) -> None:
        self.pool = pool
        self.contender = contender
        self.pid = 0

    async def ask(self) -> Any:
        return await self.contender.submit(self.pool, pool_worker.add, 1)

    async def tell(self) -> Any:
        return self.contender.drop(self.pool, pool_worker.add, 1)

    async def take(self, payload: bytes) -> int:
        length: int = await self.contender.submit(self.pool, len, payload)
        return length

    async def echo(self, payload: bytes) -> int:
        return len(await self.contender.submit(self.pool, bytes, payload))


class PooledContender(AwaitedContender[PooledWorker[P]]):
    """A pool to which functions are submitted."""

    @abstractmethod
    def new(self, size: int) -> P:
        """A pool of so many workers."""

    @abstractmethod
    def submit(self, pool: P, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Have a worker call that; the future is of what it returns."""

    @abstractmethod
    async def shut(self, pool: P) -> None:
        """End it, and wait until its workers are gone."""

    def drop(self, pool: P, function: Callable[..., Any], *args: Any) -> object:
        """Have a worker call that; only the last result is waited for."""
        return self.submit(pool, function, *args)

    async def _launching(self, size: int) -> list[PooledWorker[P]]:
        pool = self.new(size)
        workers = [PooledWorker(pool, self) for _ in range(size)]
        pids: set[int] = set()
        while len(pids) < size:  # a task goes to a free worker: ask until each has answered
            tasks = [self.submit(pool, pool_worker.pid, PAUSE if size > 1 else 0.0) for _ in range(size)]
            pids |= set(await asyncio.gather(*tasks))
        for worker, pid in zip(workers, pids, strict=True):
            worker.pid = pid
        return workers

    async def _ending(self, workers: list[PooledWorker[P]]) -> None:
        await self.shut(workers[0].pool)

    def _pid(self, worker: PooledWorker[P]) -> int:
        return worker.pid

    async def _asking_again(self, worker: PooledWorker[P], broken: type[Exception]) -> None:
        """Ask; a pool that broke is replaced by a new one."""
        try:
            await worker.ask()
        except broken:
            await self.shut(worker.pool)
            worker.pool = self.new(1)
            await worker.ask()
