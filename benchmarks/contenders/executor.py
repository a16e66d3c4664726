"""`concurrent.futures.ProcessPoolExecutor`, awaited: a pool of stateless workers."""

from __future__ import annotations

import asyncio
import multiprocessing
import platform
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from benchmarks.awaiting import AwaitedContender
from benchmarks.contenders import pool_worker

PAUSE = 0.002  # seconds, in which one worker leaves the next task to another


class PooledWorker:
    """A place in a pool. Who does its work is not for it to say."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self.pool = pool
        self.pid = 0

    async def ask(self) -> int:
        return await asyncio.wrap_future(self.pool.submit(pool_worker.add, 1))

    async def tell(self) -> asyncio.Future[int]:
        return asyncio.wrap_future(self.pool.submit(pool_worker.add, 1))

    async def take(self, payload: bytes) -> int:
        return await asyncio.wrap_future(self.pool.submit(len, payload))

    async def echo(self, payload: bytes) -> int:
        return len(await asyncio.wrap_future(self.pool.submit(bytes, payload)))


def new_pool(size: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(size, mp_context=multiprocessing.get_context("spawn"))


class Executor(AwaitedContender[PooledWorker]):
    def versions(self) -> dict[str, str]:
        return {"Python": platform.python_version()}

    async def _launching(self, size: int) -> list[PooledWorker]:
        pool = new_pool(size)
        workers = [PooledWorker(pool) for _ in range(size)]
        pids: set[int] = set()
        while len(pids) < size:  # a task goes to whoever is free: ask until each has answered
            tasks = [asyncio.wrap_future(pool.submit(pool_worker.pid, PAUSE if size > 1 else 0.0)) for _ in range(size)]
            pids |= set(await asyncio.gather(*tasks))
        for worker, pid in zip(workers, pids, strict=True):
            worker.pid = pid
        return workers

    async def _ending(self, workers: list[PooledWorker]) -> None:
        workers[0].pool.shutdown()

    def _pid(self, worker: PooledWorker) -> int:
        return worker.pid

    async def _recovering(self, worker: PooledWorker) -> None:
        try:
            await worker.ask()
        except BrokenProcessPool:
            worker.pool.shutdown()
            worker.pool = new_pool(1)
            await worker.ask()


def contender() -> Executor:
    return Executor()
