"""Ours: actors under a supervisor, with mailbox, black box and all."""

from __future__ import annotations

import logging
import time
from typing import Any, ClassVar, Literal

import structlog

from actors import ActorRef
from benchmarks.awaiting import AwaitedContender
from benchmarks.contender import MIB, Figures, quantiles
from benchmarks.contenders.ours_worker import Add, Adder, AskOther, Caller, Echo, Take, TellOther
from supervisor import ChildSpec, Supervisor

LONG = 60.0  # seconds; a time-out is no figure


class OurWorker:
    """An actor, the supervisor it is under, and how many spare processes that keeps."""

    def __init__(self, supervisor: Supervisor, ref: ActorRef, spares: int) -> None:
        self.supervisor = supervisor
        self.ref = ref
        self.spares = spares

    async def ask(self) -> int:
        return await self.ref.ask(Add(1))

    async def tell(self) -> None:
        await self.ref.tell(Add(1))

    async def take(self, payload: bytes) -> int:
        return await self.ref.ask(Take(payload), timeout=LONG)

    async def echo(self, payload: bytes) -> int:
        return len(await self.ref.ask(Echo(payload), timeout=LONG))


class Ours(AwaitedContender[OurWorker]):
    PACKAGES: ClassVar[tuple[str, ...]] = ("msgspec",)

    def __init__(self, reading: Literal["thread", "loop"], loop_factory: Any = None) -> None:
        super().__init__(loop_factory)
        self._reading: Literal["thread", "loop"] = reading
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    async def _launching(self, size: int, spares: int = 1) -> list[OurWorker]:
        adder = ChildSpec(Adder)
        names = [adder.name] if size == 1 else [f"{adder.name}-{index}" for index in range(size)]
        supervisor = Supervisor(
            *(adder.named(name) for name in names), reading=self._reading, start="parallel", spares=spares
        )
        await supervisor.__aenter__()
        workers = [OurWorker(supervisor, supervisor[name], spares) for name in names]
        await self._asking_each(workers)
        return workers

    async def _ending(self, workers: list[OurWorker]) -> None:
        await workers[0].supervisor.__aexit__(None, None, None)

    def _pid(self, worker: OurWorker) -> int:
        infos = worker.supervisor.which_children()
        return next(info.pid or 0 for info in infos if worker.ref.path.endswith(f"/{info.name}"))

    def _settle(self, worker: OurWorker) -> None:
        deadline = time.monotonic() + LONG
        while worker.supervisor.snapshot().spares < worker.spares and time.monotonic() < deadline:
            self._rest(0.01)
        super()._settle(worker)

    async def _recovering(self, worker: OurWorker) -> None:
        await worker.ask()

    def kill_cold(self) -> Figures:
        return self._kill(self._run(self._launching(1, spares=0)))

    async def _ask_some(self, count: int) -> None:
        ref = self._worker.ref
        for _ in range(count):
            await ref.ask(Add(1))

    async def _tell(self, count: int) -> Figures:
        ref = self._worker.ref
        begun = time.perf_counter()
        for _ in range(count):
            await ref.tell(Add(1))
        await ref.ask(Add(1), timeout=LONG)
        return {"rate": count / (time.perf_counter() - begun)}

    def array(self, count: int, mib: int) -> Figures:
        return self._run(self._array(count, mib))

    async def _array(self, count: int, mib: int) -> Figures:
        import numpy as np  # noqa: PLC0415 - only arrays need it

        from actors import Shared  # noqa: PLC0415 - the same
        from benchmarks.contenders.ours_array import Sum, Summer  # noqa: PLC0415 - the same

        array, figures = np.ones(mib * MIB // 8), {}
        async with Supervisor(ChildSpec(Summer), reading=self._reading) as tree:
            for name in ("first", "rate", "again"):  # the worker imports numpy with the first
                shared, begun = Shared.of(array), time.perf_counter()
                for _ in range(count):
                    shared = Shared.of(array) if name == "rate" else shared
                    assert await tree["summer"].ask(Sum(shared), timeout=LONG) == array.size
                figures[name] = count * mib / (time.perf_counter() - begun)
        return figures

    def between_ask(self, count: int) -> Figures:
        return self._run(self._between_ask(count))

    def between_tell(self, count: int) -> Figures:
        return self._run(self._between_tell(count))

    async def _between_ask(self, count: int) -> Figures:
        async with Supervisor(ChildSpec(Adder), ChildSpec(Caller), reading=self._reading) as tree:
            return quantiles(await tree["caller"].ask(AskOther(count), timeout=LONG))

    async def _between_tell(self, count: int) -> Figures:
        async with Supervisor(ChildSpec(Adder), ChildSpec(Caller), reading=self._reading) as tree:
            return {"rate": count / await tree["caller"].ask(TellOther(count), timeout=LONG)}


class OursOnUvloop(Ours):
    PACKAGES = ("msgspec", "uvloop")

    def __init__(self) -> None:
        import uvloop  # noqa: PLC0415 - the others do without

        super().__init__("loop", uvloop.new_event_loop)


def contender(how: str) -> Ours:
    """Ours, by how its mailboxes are read: "thread", "loop", or "uvloop", which is "loop" on uvloop."""
    if how == "uvloop":
        return OursOnUvloop()
    return Ours("loop" if how == "loop" else "thread")
