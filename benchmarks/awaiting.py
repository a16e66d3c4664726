"""The workloads for contenders that are awaited on an event loop."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, Self, TypeVar

from benchmarks.absent import Absent
from benchmarks.contender import IN_FLIGHT, MIB, Contender, Figures, quantiles

T = TypeVar("T")


class Awaited(Protocol):
    """A worker whose answers are awaited."""

    async def ask(self) -> object: ...

    async def tell(self) -> object:
        """Send without waiting for the worker; what is returned, if anything, is awaited behind all tells."""

    async def take(self, payload: bytes) -> int:
        """Send it there; its length comes back."""

    async def echo(self, payload: bytes) -> int:
        """Send it there and back; its length as it came."""


W = TypeVar("W", bound=Awaited)


class AwaitedContender(Contender[W]):
    """A contender on an event loop of its own.

    Args:
        loop_factory: makes the loop; None for asyncio's own.
    """

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
        self._loop_factory = loop_factory

    @abstractmethod
    async def _launching(self, size: int) -> list[W]:
        """So many new workers, each of which has answered."""

    @abstractmethod
    async def _ending(self, workers: list[W]) -> None:
        """Stop workers that `_launching` made, and wait until they are gone."""

    async def _opening(self) -> None:
        """What has to be there before the first worker."""

    async def _closing(self) -> None:
        """The end of what `_opening` made."""

    async def _recovering(self, worker: W) -> None:
        raise Absent(self.NO_RECOVERY)

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner(loop_factory=self._loop_factory)
        self._run(self._opening())
        self._workers = self._launch(1)
        self._worker = self._workers[0]
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self._end(self._workers)
            self._run(self._closing())
        finally:
            self._runner.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    def _launch(self, size: int) -> list[W]:
        return self._run(self._launching(size))

    def _end(self, workers: list[W]) -> None:
        self._run(self._ending(workers))

    def _recover(self, worker: W) -> None:
        self._run(self._recovering(worker))

    def _ask_each(self, workers: list[W]) -> None:
        self._run(self._asking_each(workers))

    async def _asking_each(self, workers: list[W]) -> None:
        await asyncio.gather(*(worker.ask() for worker in workers))

    def _rest(self, seconds: float) -> None:
        self._run(asyncio.sleep(seconds))

    def ask(self, count: int) -> Figures:
        return self._run(self._ask(count))

    def flight(self, count: int) -> Figures:
        return self._run(self._flight(count))

    def tell(self, count: int) -> Figures:
        return self._run(self._tell(count))

    def send(self, count: int, mib: int) -> Figures:
        return self._run(self._pass(self._worker.take, count, mib))

    def echo(self, count: int, mib: int) -> Figures:
        return self._run(self._pass(self._worker.echo, count, mib))

    async def _ask(self, count: int) -> Figures:
        ask, took = self._worker.ask, []
        for _ in range(count):
            begun = time.perf_counter_ns()
            await ask()
            took.append(time.perf_counter_ns() - begun)
        return quantiles(took)

    async def _flight(self, count: int) -> Figures:
        begun = time.perf_counter()
        await asyncio.gather(*(self._ask_some(count // IN_FLIGHT) for _ in range(IN_FLIGHT)))
        return {"rate": count // IN_FLIGHT * IN_FLIGHT / (time.perf_counter() - begun)}

    async def _ask_some(self, count: int) -> None:
        ask = self._worker.ask
        for _ in range(count):
            await ask()

    async def _tell(self, count: int) -> Figures:
        tell, last = self._worker.tell, None
        begun = time.perf_counter()
        for _ in range(count):
            last = await tell()
        if asyncio.isfuture(last):
            await last
        await self._worker.ask()
        return {"rate": count / (time.perf_counter() - begun)}

    async def _pass(self, ack_up_to: Callable[[bytes], Coroutine[Any, Any, int]], count: int, mib: int) -> Figures:
        payload = bytes(mib * MIB)
        begun = time.perf_counter()
        for _ in range(count):
            assert await ack_up_to(payload) == len(payload)
        return {"rate": count * mib / (time.perf_counter() - begun)}
