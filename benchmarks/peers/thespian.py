"""Thespian: actors in forked processes, and a synchronous door to them."""

from __future__ import annotations

import os
import time
from typing import Any, Self

from thespian.actors import Actor, ActorExitRequest, ActorSystem

from benchmarks.blocking import BlockingContender
from benchmarks.contender import Figures, quantiles

PATIENCE = 30.0  # seconds


class Adder(Actor):
    """Adds numbers up, and has another do so: what it is told is a tuple, and the first of it says what to do."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self.other = self.asker = None
        self.took: list[int] = []
        self.left = 0
        self.begun = 0

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802 - Thespian calls it
        """Runs in the actor's process."""
        if isinstance(message, tuple):
            getattr(self, message[0])(sender, *message[1:])

    def add(self, sender: Any, number: int) -> None:
        self.total += number
        self.send(sender, ("added", self.total))

    def told(self, sender: Any, number: int) -> None:
        self.total += number

    def take(self, sender: Any, payload: bytes) -> None:
        self.send(sender, len(payload))

    def echo(self, sender: Any, payload: bytes) -> None:
        self.send(sender, payload)

    def pid(self, sender: Any) -> None:
        self.send(sender, os.getpid())

    def ask_other(self, sender: Any, other: Any, count: int) -> None:
        """Answered with how many nanoseconds each ask took."""
        self.other, self.left, self.asker, self.took = other, count, sender, []
        self._ask()

    def tell_other(self, sender: Any, other: Any, count: int) -> None:
        """Answered with how many nanoseconds all tells took, until an ask behind them was answered."""
        self.left, self.asker, self.took = 0, sender, []
        self.begun = time.perf_counter_ns()
        for _ in range(count):
            self.send(other, ("told", 1))
        self.send(other, ("add", 1))

    def added(self, sender: Any, total: int) -> None:
        """The other has answered."""
        self.took.append(time.perf_counter_ns() - self.begun)
        self.left -= 1
        if self.left > 0:
            self._ask()
        else:
            self.send(self.asker, self.took)

    def _ask(self) -> None:
        self.begun = time.perf_counter_ns()
        self.send(self.other, ("add", 1))


class ThespianWorker:
    """An actor."""

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self.address = system.createActor(Adder)
        self.pid: int = self.answered("pid")

    def send_ask(self) -> None:
        self.system.tell(self.address, ("add", 1))

    def send_tell(self) -> None:
        self.system.tell(self.address, ("told", 1))

    def receive(self) -> Any:
        answer = self.system.listen(PATIENCE)
        assert answer is not None, f"no answer within {PATIENCE} s"
        return answer

    def take(self, payload: bytes) -> int:
        length: int = self.answered("take", payload)
        return length

    def echo(self, payload: bytes) -> int:
        return len(self.answered("echo", payload))

    def answered(self, *message: Any) -> Any:
        answer = self.system.ask(self.address, message, PATIENCE)
        assert answer is not None, f"no answer to {message[0]} within {PATIENCE} s"
        return answer


class Thespian(BlockingContender[ThespianWorker]):
    """Thespian.

    Args:
        base: which of its transports: "multiprocQueueBase" or "multiprocTCPBase".
    """

    PACKAGES = ("thespian",)

    def __init__(self, base: str) -> None:
        self._base = base

    def __enter__(self) -> Self:
        self._system = ActorSystem(self._base)
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._system.shutdown()

    def _begin(self) -> ThespianWorker:
        return ThespianWorker(self._system)

    def _end(self, workers: list[ThespianWorker]) -> None:
        for worker in workers:
            self._system.tell(worker.address, ActorExitRequest())

    def between_ask(self, count: int) -> Figures:
        here, there = workers = [self._begin(), self._begin()]
        try:
            return quantiles(here.answered("ask_other", there.address, count))
        finally:
            self._end(workers)

    def between_tell(self, count: int) -> Figures:
        here, there = workers = [self._begin(), self._begin()]
        try:
            (nanoseconds,) = here.answered("tell_other", there.address, count)
            return {"rate": count * 1e9 / nanoseconds}
        finally:
            self._end(workers)


def contender(base: str) -> Thespian:
    return Thespian(base)
