"""aioprocessing: multiprocessing's queues with coroutines, which wait in threads."""

from __future__ import annotations

import multiprocessing

import aioprocessing

from benchmarks.awaiting import AwaitedContender
from benchmarks.contenders.queues_worker import Item, serve


class AioWorker:
    """A process between two queues."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.inbox = aioprocessing.AioQueue(context=spawn)
        self.outbox = aioprocessing.AioQueue(context=spawn)
        self.process = aioprocessing.AioProcess(target=serve, args=(self.inbox, self.outbox), context=spawn)
        self.process.start()

    async def ask(self) -> Item:
        await self.inbox.coro_put({"do": "add", "number": 1, "ask": True})
        return await self.answer()

    async def tell(self) -> None:
        await self.inbox.coro_put({"do": "add", "number": 1, "ask": False})

    async def take(self, payload: bytes) -> int:
        await self.inbox.coro_put({"do": "take", "payload": payload})
        total: int = (await self.answer())["total"]
        return total

    async def echo(self, payload: bytes) -> int:
        await self.inbox.coro_put({"do": "echo", "payload": payload})
        return len((await self.answer())["payload"])

    async def answer(self) -> Item:
        item: Item = await self.outbox.coro_get()
        return item

    async def end(self) -> None:
        await self.inbox.coro_put(None)
        await self.process.coro_join()


class Aioprocessing(AwaitedContender[AioWorker]):
    PACKAGES = ("aioprocessing",)
    NO_RECOVERY = "nothing notices: the asker waits for ever"

    async def _launching(self, size: int) -> list[AioWorker]:
        workers = [AioWorker() for _ in range(size)]
        await self._asking_each(workers)
        return workers

    async def _ending(self, workers: list[AioWorker]) -> None:
        for worker in workers:
            await worker.end()

    def _pid(self, worker: AioWorker) -> int:
        pid: int = worker.process.pid
        return pid


def contender() -> Aioprocessing:
    return Aioprocessing()
