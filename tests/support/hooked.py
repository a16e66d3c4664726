"""Actors whose hooks and whose last handlers ask others."""

from __future__ import annotations

import os
from pathlib import Path

from actors import Actor, CallCycle, Message, handles
from actors.lazy import LazyModule
from tests.support.deadline import DEADLINE
from tests.support.inside import is_stopping

asyncio = LazyModule("asyncio")  # the processes of actors with sync handlers do without

DAEMON = os.environ.setdefault("TEST_HOOKS_DAEMON", str(os.getpid()))


class Double(Message[int]):
    number: int


class AskOnceStopping(Message[int]):
    begun: str


class Tasks(Message[int]):
    pass


def write(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")


class Said(Message[str]):
    pass


class Store(Actor):
    @handles
    def double(self, msg: Double) -> int:
        return msg.number * 2


class Front(Actor):
    def __init__(self, last: str = "") -> None:
        self.last = last

    async def on_start(self) -> None:
        self.first = await self.context.actor("store").ask(Double(1), timeout=DEADLINE)

    async def on_stop(self, reason: object) -> None:
        if self.last:
            number = await self.context.actor("store").ask(Double(21), timeout=DEADLINE)
            write(self.last, str(number))

    @handles
    async def double(self, msg: Double) -> int:
        return self.first * msg.number

    @handles
    async def ask_once_stopping(self, msg: AskOnceStopping) -> int:
        write(msg.begun, "")
        while not is_stopping(self):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)  # a driver that stops reading has done so by now
        return await self.context.actor("store").ask(Double(4), timeout=DEADLINE)


class Eager(Actor):
    async def on_start(self) -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)

    @handles
    async def double(self, msg: Double) -> int:
        return msg.number * 2

    @handles
    async def tasks(self, msg: Tasks) -> int:
        return len(asyncio.all_tasks())


class Put(Message[int]):
    number: int

    def __post_init__(self) -> None:
        if self.number < 0 and str(os.getpid()) != DAEMON:
            raise RuntimeError("no such segment")


class Holder(Actor):
    @handles
    def put(self, msg: Put) -> int:
        return msg.number


class AsyncHolder(Actor):
    @handles
    async def put(self, msg: Put) -> int:
        return msg.number


class AsksInOnStart(Actor):
    """Asks another, or itself, before it is ready; answers with what came of it."""

    def __init__(self, whom: str) -> None:
        self.whom = whom

    @handles
    def said(self, msg: Said) -> str:
        return self.outcome


class SyncAsker(AsksInOnStart):
    def on_start(self) -> None:
        try:
            self.outcome = str(self.context.actor(self.whom).call(Double(1), timeout=DEADLINE))
        except CallCycle as error:
            self.outcome = str(error)


class AsyncAsker(AsksInOnStart):
    async def on_start(self) -> None:
        try:
            self.outcome = str(await self.context.actor(self.whom).ask(Double(1), timeout=DEADLINE))
        except CallCycle as error:
            self.outcome = str(error)

    @handles
    async def double(self, msg: Double) -> int:
        return msg.number
