"""aiomultiprocess: a pool of workers, each with an event loop, for coroutine functions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiomultiprocess import Pool

from benchmarks.contenders.pool_worker import awaited
from benchmarks.pooled import PooledContender, PooledWorker


class Aiomultiprocess(PooledContender[Pool]):
    PACKAGES = ("aiomultiprocess",)

    def new(self, size: int) -> Pool:
        return Pool(processes=size)

    def submit(self, pool: Pool, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.ensure_future(pool.apply(awaited, (function, *args)))
        return answer

    def drop(self, pool: Pool, function: Callable[..., Any], *args: Any) -> object:
        return pool.queue_work(awaited, (function, *args), {})

    async def shut(self, pool: Pool) -> None:
        pool.terminate()
        await pool.join()

    async def _recovering(self, worker: PooledWorker[Pool]) -> None:
        await worker.ask()  # the pool puts a new worker in the place of the dead one


def contender() -> Aiomultiprocess:
    return Aiomultiprocess()
