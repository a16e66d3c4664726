"""pebble: a pool of stateless workers that replaces those that die at work."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from pebble import ProcessPool

from benchmarks.pooled import PooledContender, PooledWorker


class Pebble(PooledContender[ProcessPool]):
    PACKAGES = ("pebble",)

    def new(self, size: int) -> ProcessPool:
        return ProcessPool(max_workers=size, context=multiprocessing.get_context("spawn"))

    def submit(self, pool: ProcessPool, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        return asyncio.wrap_future(pool.schedule(function, args=args))

    async def shut(self, pool: ProcessPool) -> None:
        pool.stop()
        pool.join()

    async def _recovering(self, worker: PooledWorker[ProcessPool]) -> None:
        await self._asking_again(worker, BrokenProcessPool)


def contender() -> Pebble:
    return Pebble()
