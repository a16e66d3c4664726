"""What the standard library offers for it: two `multiprocessing.Queue`s, used as most programs use them."""

from __future__ import annotations

import multiprocessing
from multiprocessing.queues import Queue

from benchmarks.blocking import BlockingContender
from benchmarks.contenders.queues_worker import Item, serve

spawn = multiprocessing.get_context("spawn")


class QueuesWorker:
    """A process between two queues."""

    def __init__(self) -> None:
        self.inbox: Queue[Item | None] = spawn.Queue()
        self.outbox: Queue[Item] = spawn.Queue()
        self.process = spawn.Process(target=serve, args=(self.inbox, self.outbox))
        self.process.start()

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    def send_ask(self) -> None:
        self.inbox.put({"do": "add", "number": 1, "ask": True})

    def send_tell(self) -> None:
        self.inbox.put({"do": "add", "number": 1, "ask": False})

    def receive(self) -> Item:
        return self.outbox.get()

    def take(self, payload: bytes) -> int:
        self.inbox.put({"do": "take", "payload": payload})
        total: int = self.outbox.get()["total"]
        return total

    def echo(self, payload: bytes) -> int:
        self.inbox.put({"do": "echo", "payload": payload})
        return len(self.outbox.get()["payload"])

    def end(self) -> None:
        self.inbox.put(None)
        self.process.join()
        for queue in (self.inbox, self.outbox):
            queue.close()
            queue.join_thread()


class StockQueues(BlockingContender[QueuesWorker]):
    NO_RECOVERY = "nothing notices: the asker waits for ever"

    def _begin(self) -> QueuesWorker:
        return QueuesWorker()

    def _end(self, workers: list[QueuesWorker]) -> None:
        for worker in workers:
            worker.end()


def contender() -> StockQueues:
    return StockQueues()
