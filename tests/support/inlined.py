"""Actors for the tests of the test kit."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from actors import Actor, ActorRef, ExitReason, Message, Rejected, Shared, Terminated, Topic, handles, job
from actors.puppet import die, hang


class Add(Message[int]):
    amount: int


class Fail(Message[None]):
    """Raise, exit or refuse."""

    how: str = "raise"


class Later(Message[None]):
    """Set a timer: once, or again and again."""

    seconds: float
    again: bool = False


class Tick(Message[None]):
    pass


class Ticks(Message[list[float]]):
    """When the ticks came, in seconds since the start of the life."""


class Nap(Message[float]):
    """Sleep on the loop; how long that was by the loop's clock."""

    seconds: float


class Work(Message[int]):
    """Add two numbers in a thread."""

    seconds: float


class Run(Message[int]):
    """Run a program for so long; its exit code."""

    seconds: float


class Poll(Message[int]):
    """Poll in a tight loop until a tick comes; how many there are."""


class Forever(Message[None]):
    """Do not return."""


class Block(Message[None]):
    """Do not return, and hold the thread."""


class Hold(Message[None]):
    """Do not return, and keep the value."""

    value: Shared


class Perish(Message[None]):
    """Die by SIGKILL."""

    idempotent: ClassVar[bool] = True


class SlowEnd(Message[None]):
    """Raise, in an actor whose threads take a moment to end."""


class SlowPool(ThreadPoolExecutor):
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        time.sleep(0.05)
        super().shutdown(wait, cancel_futures=cancel_futures)


class Through(Message[int]):
    """Add by another actor."""

    to: ActorRef
    amount: int


class Watch(Message[None]):
    to: ActorRef


class Said(Message[list[str]]):
    pass


class Price(Message[None]):
    number: int


SECOND = 1.0  # of the virtual clock
PRICES = Topic("inlined-prices", Price)


class Counter(Actor):
    """Sync."""

    def __init__(self, total: int = 0, *, name: str = "counter") -> None:
        self.total = total
        self.name = name
        self.ticks: list[float] = []
        self.said: list[str] = []

    def on_start(self) -> None:
        self.context.log.info("counter.started", name=self.name)
        self.context.subscribe(PRICES)

    def on_stop(self, reason: ExitReason) -> None:
        self.context.log.info("counter.stopped", reason=reason.kind.value)

    def health(self) -> str | None:
        return "too much" if self.total > 1000 else None

    @handles
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        return self.total

    @handles
    def fail(self, msg: Fail) -> None:
        if msg.how == "exit":
            sys.exit(3)
        if msg.how == "refuse":
            raise Rejected("no")
        raise ValueError("as asked")

    @handles
    def tick(self, msg: Tick) -> None:
        self.total += 1

    @handles
    def later(self, msg: Later) -> None:
        (self.context.every if msg.again else self.context.after)(msg.seconds, Tick())

    @handles
    def through(self, msg: Through) -> int:
        return msg.to.call(Add(msg.amount), timeout=20.0)

    @handles
    def watch(self, msg: Watch) -> None:
        self.context.watch(msg.to)

    @handles
    def terminated(self, msg: Terminated) -> None:
        self.said.append(msg.path)

    @handles
    def price(self, msg: Price) -> None:
        self.said.append(f"{msg.number}")

    @handles
    def tell_said(self, msg: Said) -> list[str]:
        return self.said

    @handles
    def forever(self, msg: Forever) -> None:
        hang()


class Sleeper(Actor):
    """Async, two at a time."""

    concurrency = 2

    def __init__(self) -> None:
        self.ticks: list[float] = []

    async def on_start(self) -> None:
        self.began = asyncio.get_running_loop().time()

    async def on_stop(self, reason: ExitReason) -> None:
        await asyncio.sleep(SECOND)

    @handles
    async def nap(self, msg: Nap) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(msg.seconds)
        return loop.time() - began

    @handles
    async def work(self, msg: Work) -> int:
        return await asyncio.to_thread(lambda: time.sleep(msg.seconds) or 42)

    @handles
    async def poll(self, msg: Poll) -> int:
        while not self.ticks:
            await asyncio.sleep(0)
        return len(self.ticks)

    @handles
    async def run(self, msg: Run) -> int:
        program = await asyncio.create_subprocess_exec(sys.executable, "-c", f"import time; time.sleep({msg.seconds})")
        return await program.wait()

    @handles
    async def later(self, msg: Later) -> None:
        (self.context.every if msg.again else self.context.after)(msg.seconds, Tick())

    @handles
    async def tick(self, msg: Tick) -> None:
        self.ticks.append(round(asyncio.get_running_loop().time() - self.began, 6))

    @handles
    async def tell_ticks(self, msg: Ticks) -> list[float]:
        return self.ticks

    @handles
    async def forever(self, msg: Forever) -> None:
        await asyncio.Event().wait()

    @handles
    async def perish(self, msg: Perish) -> None:
        die()

    @handles
    async def slow_end(self, msg: SlowEnd) -> None:
        asyncio.get_running_loop().set_default_executor(SlowPool(1))
        raise ValueError("as asked")

    @handles
    async def hold(self, msg: Hold) -> None:
        await asyncio.Event().wait()

    @handles
    async def block(self, msg: Block) -> None:
        hang()


class Numbers(Message[AsyncIterator[int]]):
    count: int


class Copy(Message[Shared]):
    value: Shared


class Copier(Actor):
    @handles
    def copy(self, msg: Copy) -> Shared:
        return Shared.of(bytes(msg.value) * 2)


class Slow(Actor):
    """Streams a number each second."""

    @handles
    async def numbers(self, msg: Numbers) -> AsyncIterator[int]:
        for number in range(msg.count):
            await asyncio.sleep(SECOND)
            yield number


@job
def stay() -> None:
    """Do not return."""
    hang()


@job
def double(number: float) -> float:
    """Twice the number."""
    return number * 2
