"""Our actors: what a spawned process imports for them, and no more."""

from __future__ import annotations

import time

from actors import Actor, Message, handles


class Add(Message[int]):
    number: int


class Take(Message[int]):
    payload: bytes


class Echo(Message[bytes]):
    payload: bytes


class Adder(Actor):
    """Adds numbers up, in sync handlers: it needs no event loop."""

    def __init__(self) -> None:
        self.total = 0

    @handles
    def add(self, msg: Add) -> int:
        self.total += msg.number
        return self.total

    @handles
    def take(self, msg: Take) -> int:
        return len(msg.payload)

    @handles
    def echo(self, msg: Echo) -> bytes:
        return msg.payload


class AskOther(Message[list[int]]):
    count: int


class TellOther(Message[float]):
    count: int


class Caller(Actor):
    """Sends to the adder beside it."""

    @handles
    async def ask(self, msg: AskOther) -> list[int]:
        """How many nanoseconds each ask took."""
        other, took = self.context.actor("adder"), []
        for _ in range(msg.count):
            begun = time.perf_counter_ns()
            await other.ask(Add(1))
            took.append(time.perf_counter_ns() - begun)
        return took

    @handles
    async def tell(self, msg: TellOther) -> float:
        """How many seconds all tells took, until an ask behind them was answered."""
        other = self.context.actor("adder")
        begun = time.perf_counter()
        for _ in range(msg.count):
            await other.tell(Add(1))
        await other.ask(Add(1), timeout=None)
        return time.perf_counter() - begun
