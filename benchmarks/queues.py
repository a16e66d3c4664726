"""What the standard library offers for it: two `multiprocessing.Queue`s, used as most programs use them."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.queues import Queue
from typing import Any, Self

Item = dict[str, Any] | None


def serve(inbox: Queue[Item], outbox: Queue[Item]) -> None:
    """Runs in the other process, until None comes."""
    total = 0
    while (item := inbox.get()) is not None:
        total += item["number"]
        if item["ask"]:
            outbox.put({"total": total})


class StockQueues:
    name = "multiprocessing.Queue pair"

    def __enter__(self) -> Self:
        spawn = multiprocessing.get_context("spawn")
        self._inbox: Queue[Item] = spawn.Queue()
        self._outbox: Queue[Item] = spawn.Queue()
        self._process = spawn.Process(target=serve, args=(self._inbox, self._outbox))
        self._process.start()
        self._ask()
        return self

    def __exit__(self, *exc: object) -> None:
        self._inbox.put(None)
        self._process.join()
        for queue in (self._inbox, self._outbox):
            queue.close()
            queue.join_thread()

    def ask_alone(self, count: int) -> list[int]:
        took = []
        for _ in range(count):
            begun = time.perf_counter_ns()
            self._ask()
            took.append(time.perf_counter_ns() - begun)
        return took

    def ask_many(self, count: int, in_flight: int) -> float:
        begun = time.perf_counter()
        for _ in range(in_flight):
            self._send(ask=True)
        for _ in range(count - in_flight):
            self._outbox.get()
            self._send(ask=True)
        for _ in range(in_flight):
            self._outbox.get()
        return time.perf_counter() - begun

    def tell(self, count: int) -> float:
        begun = time.perf_counter()
        for _ in range(count):
            self._send(ask=False)
        self._ask()
        return time.perf_counter() - begun

    def _ask(self) -> Item:
        self._send(ask=True)
        return self._outbox.get()

    def _send(self, *, ask: bool) -> None:
        self._inbox.put({"number": 1, "ask": ask})
