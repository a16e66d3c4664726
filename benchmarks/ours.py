"""Ours: an actor under a supervisor, its mailbox, black box and all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal, Self

from actors import Actor, Message, handles
from supervisor import ChildSpec, Supervisor


class Add(Message[int]):
    number: int


class Adder(Actor):
    def __init__(self) -> None:
        self.total = 0

    @handles
    def add(self, msg: Add) -> int:
        self.total += msg.number
        return self.total


class Ours:
    """Our actor.

    Args:
        name: how it is called in the table.
        reading: as in Supervisor.
        loop_factory: makes the event loop; None for asyncio's own.
    """

    def __init__(
        self,
        name: str,
        reading: Literal["thread", "loop"],
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self.name = name
        self._reading: Literal["thread", "loop"] = reading
        self._loop_factory = loop_factory

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner(loop_factory=self._loop_factory)
        self._supervisor = Supervisor(ChildSpec(Adder), reading=self._reading)
        self._runner.run(self._supervisor.__aenter__())
        self._adder = self._supervisor["adder"]
        return self

    def __exit__(self, *exc: object) -> None:
        self._runner.run(self._supervisor.__aexit__(None, None, None))
        self._runner.close()

    def ask_alone(self, count: int) -> list[int]:
        return self._runner.run(self._ask_alone(count))

    def ask_many(self, count: int, in_flight: int) -> float:
        return self._runner.run(self._ask_many(count, in_flight))

    def tell(self, count: int) -> float:
        return self._runner.run(self._tell(count))

    async def _ask_alone(self, count: int) -> list[int]:
        took = []
        for _ in range(count):
            begun = time.perf_counter_ns()
            await self._adder.ask(Add(1))
            took.append(time.perf_counter_ns() - begun)
        return took

    async def _ask_many(self, count: int, in_flight: int) -> float:
        begun = time.perf_counter()
        await asyncio.gather(*(self._ask_some(count // in_flight) for _ in range(in_flight)))
        return time.perf_counter() - begun

    async def _ask_some(self, count: int) -> None:
        for _ in range(count):
            await self._adder.ask(Add(1))

    async def _tell(self, count: int) -> float:
        begun = time.perf_counter()
        for _ in range(count):
            await self._adder.tell(Add(1))
        await self._adder.ask(Add(1), timeout=None)
        return time.perf_counter() - begun
