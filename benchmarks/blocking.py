"""The workloads for contenders that block their thread: one send, one receive."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Protocol, Self, TypeVar

from benchmarks.contender import IN_FLIGHT, MIB, Contender, Figures, quantiles


class Blocking(Protocol):
    """A worker to which one sends, and from which one receives in the same order."""

    @property
    def pid(self) -> int: ...

    def send_ask(self) -> None: ...
    def send_tell(self) -> None: ...
    def receive(self) -> object: ...

    def take(self, payload: bytes) -> int:
        """Send it there; its length comes back."""

    def echo(self, payload: bytes) -> int:
        """Send it there and back; its length as it came."""


W = TypeVar("W", bound=Blocking)


class BlockingContender(Contender[W]):
    """A contender whose calls return when they are done."""

    def __enter__(self) -> Self:
        self._workers = self._launch(1)
        self._worker = self._workers[0]
        return self

    def __exit__(self, *exc: object) -> None:
        self._end(self._workers)

    @abstractmethod
    def _begin(self) -> W:
        """Start one worker; it need not be ready."""

    def _launch(self, size: int) -> list[W]:
        workers = [self._begin() for _ in range(size)]
        self._ask_each(workers)
        return workers

    def _ask_each(self, workers: list[W]) -> None:
        for worker in workers:
            worker.send_ask()
        for worker in workers:
            worker.receive()

    def _pid(self, worker: W) -> int:
        return worker.pid

    def ask(self, count: int) -> Figures:
        send, receive, took = self._worker.send_ask, self._worker.receive, []
        for _ in range(count):
            begun = time.perf_counter_ns()
            send()
            receive()
            took.append(time.perf_counter_ns() - begun)
        return quantiles(took)

    def flight(self, count: int) -> Figures:
        send, receive = self._worker.send_ask, self._worker.receive
        begun = time.perf_counter()
        for _ in range(IN_FLIGHT):
            send()
        for _ in range(count - IN_FLIGHT):
            receive()
            send()
        for _ in range(IN_FLIGHT):
            receive()
        return {"rate": count / (time.perf_counter() - begun)}

    def tell(self, count: int) -> Figures:
        send = self._worker.send_tell
        begun = time.perf_counter()
        for _ in range(count):
            send()
        self._worker.send_ask()
        self._worker.receive()
        return {"rate": count / (time.perf_counter() - begun)}

    def send(self, count: int, mib: int) -> Figures:
        payload = bytes(mib * MIB)
        begun = time.perf_counter()
        for _ in range(count):
            assert self._worker.take(payload) == len(payload)
        return {"rate": count * mib / (time.perf_counter() - begun)}

    def echo(self, count: int, mib: int) -> Figures:
        payload = bytes(mib * MIB)
        begun = time.perf_counter()
        for _ in range(count):
            assert self._worker.echo(payload) == len(payload)
        return {"rate": count * mib / (time.perf_counter() - begun)}
