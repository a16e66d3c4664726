"""Actors that write into a book once a gate is open. Their processes import no test, and no pytest with it."""

from __future__ import annotations

import time
from pathlib import Path

from actors import Actor, Message, handles


class Write(Message[int]):
    """Write a line once the gate is open."""

    line: int


class Pass(Message[int]):
    """Let the next actor write."""

    line: int


class Writer(Actor):
    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    @handles
    def write(self, msg: Write) -> int:
        while not (self.folder / "gate").exists():
            time.sleep(0.005)
        with (self.folder / "book").open("a") as book:
            book.write(f"{msg.line}\n")
        return msg.line


class Passer(Actor):
    @handles
    async def go(self, msg: Pass) -> int:
        return await self.context.actor("/root/writer").ask(Write(msg.line))
