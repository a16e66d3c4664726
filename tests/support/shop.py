"""A shop that counts its orders, and dies when it is asked to."""

from __future__ import annotations

import asyncio
import os
import signal

from actors import Actor, Message, Shared, handles


class Order(Message[int]):
    number: int
    deadly: bool = False
    bad: bool = False
    idempotent = True


class Note(Message[None]):
    deadly: bool = False


class Shop(Actor):
    on_error = "reply"

    @handles
    def order(self, message: Order) -> int:
        self.context.count("orders", shop="berlin" if message.number % 2 else "paris")
        if message.deadly and self.context.incarnation % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        self.context.count("turnover_eur", 2.5)
        if message.bad:
            raise ValueError(message.number)
        return message.number

    @handles
    def note(self, message: Note) -> None:
        self.context.count("notes")
        if message.deadly:
            os.kill(os.getpid(), signal.SIGKILL)


class Busy(Shop):
    """Several at once, on an event loop."""

    concurrency = 8

    @handles
    async def order(self, message: Order) -> int:
        await asyncio.sleep(0)
        return Shop.order(self, message)

    @handles
    async def note(self, message: Note) -> None:
        Shop.note(self, message)


class Idle(Actor):
    @handles
    def note(self, message: Note) -> None: ...


class Hold(Message[None]):
    """Ends with the next `Go`."""


class Go(Message[None]): ...


class Keep(Message[None]):
    value: Shared


class Holder(Actor):
    """Messages with shared values are under way until the next `Go`."""

    concurrency = 4

    def __init__(self) -> None:
        self._go = asyncio.Event()

    @handles
    async def hold(self, message: Hold) -> None:
        await self._go.wait()

    @handles
    async def keep(self, message: Keep) -> None:
        await self._go.wait()

    @handles
    async def go(self, message: Go) -> None:
        self._go.set()
