"""The bridge that most programs start with: asyncio, two `multiprocessing.Queue`s, and `run_in_executor(queue.get)`."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from benchmarks.awaiting import AwaitedContender
from benchmarks.contenders.queues import QueuesWorker
from benchmarks.contenders.queues_worker import Item


class BridgedWorker:
    """A process between two queues, each of which has a thread for its blocking calls."""

    def __init__(self) -> None:
        self.queues = QueuesWorker()
        self.putting, self.getting = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self.loop = asyncio.get_running_loop()

    async def tell(self) -> None:
        await self.put({"do": "add", "number": 1, "ask": False})

    async def ask(self) -> Item:
        await self.put({"do": "add", "number": 1, "ask": True})
        return await self.get()

    async def take(self, payload: bytes) -> int:
        await self.put({"do": "take", "payload": payload})
        total: int = (await self.get())["total"]
        return total

    async def echo(self, payload: bytes) -> int:
        await self.put({"do": "echo", "payload": payload})
        return len((await self.get())["payload"])

    async def put(self, item: Item) -> None:
        await self.loop.run_in_executor(self.putting, self.queues.inbox.put, item)

    async def get(self) -> Item:
        return await self.loop.run_in_executor(self.getting, self.queues.outbox.get)

    def end(self) -> None:
        self.queues.end()
        self.putting.shutdown()
        self.getting.shutdown()


class ExecutorBridge(AwaitedContender[BridgedWorker]):
    NO_RECOVERY = "nothing notices: the asker waits for ever"

    async def _launching(self, size: int) -> list[BridgedWorker]:
        workers = [BridgedWorker() for _ in range(size)]
        await self._asking_each(workers)
        return workers

    async def _ending(self, workers: list[BridgedWorker]) -> None:
        for worker in workers:
            worker.end()

    def _pid(self, worker: BridgedWorker) -> int:
        return worker.queues.pid


def contender() -> ExecutorBridge:
    return ExecutorBridge()
