"""`concurrent.futures.ProcessPoolExecutor`, awaited: a pool of stateless workers."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from benchmarks.pooled import PooledContender, PooledWorker


class Executor(PooledContender[ProcessPoolExecutor]):
    def new(self, size: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(size, mp_context=multiprocessing.get_context("spawn"))

    def submit(self, pool: ProcessPoolExecutor, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        return asyncio.wrap_future(pool.submit(function, *args))

    async def shut(self, pool: ProcessPoolExecutor) -> None:
        pool.shutdown()

    async def _recovering(self, worker: PooledWorker[ProcessPoolExecutor]) -> None:
        await self._asking_again(worker, BrokenProcessPool)


def contender() -> Executor:
    return Executor()
