"""The actors of the tests of limits: they grow, and say which life answered."""

from __future__ import annotations

from pathlib import Path

from actors import Actor, Message, handles
from actors.lazy import LazyModule

asyncio = LazyModule("asyncio")  # the processes of actors with sync handlers do without


class Fill(Message[int]):
    """Keep so many bytes; which life it was."""

    bytes: int


class Number(Message[tuple[int, int]]):
    """One of a row of messages of a sender; its number, and which life it was."""

    sender: int
    number: int


class Write(Message[None]):
    """Write a line to a file: which life, which number."""

    path: str
    number: int


class Hoarder(Actor):
    """Keeps everything."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    @handles
    def fill(self, msg: Fill) -> int:
        self.kept.append(b"x" * msg.bytes)
        return self.context.incarnation

    @handles
    def number(self, msg: Number) -> tuple[int, int]:
        return msg.number, self.context.incarnation

    @handles
    def write(self, msg: Write) -> None:
        with Path(msg.path).open("a") as file:
            file.write(f"{self.context.incarnation} {msg.number}\n")


class AsyncHoarder(Actor):
    """Three at a time."""

    concurrency = 3

    @handles
    async def number(self, msg: Number) -> tuple[int, int]:
        await asyncio.sleep(0)
        return msg.number, self.context.incarnation
