"""Actors that run on another machine."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

from actors import Actor, Message, handles
from actors.lazy import LazyModule
from actors.wire.framing import header
from tests.support.inside import channel_of
from tests.support.taking_time import sleep_forever_async, work

asyncio = LazyModule("asyncio")  # the processes of actors with sync handlers do without


class Step(Message[int]):
    """Writes part of a frame and kills its process, where it is the last."""

    last: bool = False


class Stepper(Actor):
    @handles
    def step(self, msg: Step) -> int:
        if msg.last:
            channel = channel_of(self)
            channel._sent[0] += 1  # as before each frame
            channel.duplex.send_all(header(1000) + b"the beginning of a frame")
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()


class Say(Message[str]):
    text: str


class Wait(Message[None]):
    pass


class Cancelled(Message[int]):
    """How many handlers were cancelled."""


class Write(Message[AsyncIterator[int]]):
    count: int


class Made(Message[int]):
    """How many items were made."""


class Closed(Message[int]):
    """How many streams were left early."""


class Diarist(Actor):
    """Knows what became of its handlers."""

    concurrency = 4

    def __init__(self) -> None:
        self.cancellations = self.items = self.left = 0

    @handles
    async def say(self, msg: Say) -> str:
        return msg.text

    @handles
    async def wait(self, msg: Wait) -> None:
        try:
            await sleep_forever_async()
        except asyncio.CancelledError:
            self.cancellations += 1
            raise

    @handles
    async def cancelled(self, msg: Cancelled) -> int:
        return self.cancellations

    @handles
    async def write(self, msg: Write) -> AsyncIterator[int]:
        try:
            for number in range(msg.count):
                self.items += 1
                yield number
        except GeneratorExit:
            self.left += 1
            raise

    @handles
    async def made(self, msg: Made) -> int:
        return self.items

    @handles
    async def closed(self, msg: Closed) -> int:
        return self.left


class Delegate(Message[list[str]]):
    timeout: float


class DelegateWait(Message[str]):
    timeout: float


class Deputy(Actor):
    """Has others do it."""

    @handles
    async def delegate(self, msg: Delegate) -> list[str]:
        other = self.context.actor("a")
        first = await other.ask(Say("1"), timeout=msg.timeout)
        return [first, *await other.ask_many([Say("2"), Say("3")], timeout=msg.timeout)]

    @handles
    async def delegate_wait(self, msg: DelegateWait) -> str:
        (end,) = await self.context.actor("a").ask_many([Wait()], timeout=msg.timeout)
        return type(end).__name__


class Swallowed(Message[int]):
    data: bytes


class Sink(Actor):
    @handles
    def swallowed(self, msg: Swallowed) -> int:
        work(0.2)
        return len(msg.data)
