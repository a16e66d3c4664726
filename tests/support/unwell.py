"""Actors that say how they are."""

from __future__ import annotations

import time
from pathlib import Path

from actors import Actor, Message, handles
from actors.lazy import LazyModule

asyncio = LazyModule("asyncio")  # the processes of actors with sync handlers do without


class Become(Message[None]):
    """Be unwell, or well again."""

    text: str | None


class Work(Message[int]):
    """Be busy; answers how often it was asked how it is meanwhile."""

    seconds: float


class Serve(Message[None]):
    """Be busy until it was asked how it is."""


class Block(Work):
    """The same, and no other handler runs."""


class Says(Actor):
    def __init__(self) -> None:
        self.text: str | None = None
        self.asked = 0

    def health(self) -> str | None:
        self.asked += 1
        if self.text == "raise":
            raise LookupError("no backlog")
        return self.text


class SyncSays(Says):
    @handles
    def become(self, msg: Become) -> None:
        self.text = msg.text

    @handles
    def work(self, msg: Work) -> int:
        before = self.asked
        time.sleep(msg.seconds)
        return self.asked - before


class AsyncSays(Says):
    @handles
    async def become(self, msg: Become) -> None:
        self.text = msg.text

    @handles
    async def serve(self, msg: Serve) -> None:
        before = self.asked
        while self.asked == before:
            await asyncio.sleep(0.001)

    @handles
    async def block(self, msg: Block) -> int:
        before = self.asked
        time.sleep(msg.seconds)  # noqa: ASYNC251 - it is what the test is about
        return self.asked - before


class Gated(Actor):
    """Its `health` returns when a file exists."""

    def __init__(self, gate: str) -> None:
        self.gate = Path(gate)

    def health(self) -> str | None:
        while not self.gate.exists():
            time.sleep(0.01)
        return None


class SyncGated(Gated):
    @handles
    def work(self, msg: Work) -> int:
        return 1


class AsyncGated(Gated):
    @handles
    async def work(self, msg: Work) -> int:
        await asyncio.Event().wait()
        return 0


class AsyncHealth(Actor):
    async def health(self) -> str | None:
        return None

    @handles
    def work(self, msg: Work) -> int:
        return 0
