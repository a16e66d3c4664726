"""Three actors that handle everything there is and send to each other; each step is a line in a book on disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import ClassVar

from actors import Actor, ActorsError, Fed, Message, handles
from tests.support.book import Book

NESTED = 0.3  # seconds that an ask of one actor to another may take: waits that go round in a circle end by it


class Job(Message[int]):
    """Never to be begun twice."""

    sender: str
    number: int


class Memo(Message[int]):
    """May be begun again after a crash."""

    idempotent: ClassVar[bool] = True

    sender: str
    number: int


class Pull(Message[AsyncIterator[int]]):
    """So many items."""

    sender: str
    number: int
    count: int


class Push(Fed[int, int]):
    """The sum of the items that follow."""

    sender: str
    number: int


class Errand(Message[str]):
    """Send a message to another actor in that way, and say what came of it."""

    sender: str
    number: int
    to: str
    how: str


class Pid(Message[int]):
    """Which process?"""

    idempotent: ClassVar[bool] = True


class Booked(Actor):
    """Writes what it does into a book."""

    def __init__(self, book: str) -> None:
        self._book = Book(book)
        self._sent = 0

    def write(self, step: str, message: Job | Memo | Pull | Push | Errand, *words: object) -> None:
        self._book.write(self.context.name, step, type(message).__name__, message.sender, message.number, *words)

    def own(self, kind: type[Job | Memo]) -> Job | Memo:
        """A message of this actor's own, numbered within this life."""
        self._sent += 1
        return kind(f"{self.context.name}:{self.context.incarnation}", self._sent)

    def kind_of(self, msg: Errand) -> type[Job | Memo]:
        return Memo if msg.number % 2 else Job


class Clerk(Booked):
    """Sync: one thing at a time."""

    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()

    @handles
    def work(self, msg: Job | Memo) -> int:
        self.write("begin", msg)
        sum(range(msg.number % 7 * 500))  # from nothing to a tenth of a millisecond
        self.write("end", msg)
        return msg.number

    @handles
    def pull(self, msg: Pull) -> Iterator[int]:
        self.write("begin", msg)
        yield from range(msg.count)
        self.write("end", msg)

    @handles
    def push(self, msg: Push, items: Iterator[int]) -> int:
        self.write("begin", msg)
        total = sum(items)
        self.write("end", msg)
        return total

    @handles
    def errand(self, msg: Errand) -> str:
        self.write("begin", msg)
        other, message = self.context.actor(msg.to), self.own(self.kind_of(msg))
        self.write("send", message, msg.to, msg.how)
        try:
            if msg.how == "tell":
                other.tell_nowait(message)
                said = "told"
            else:
                said = f"reply={other.call(message, timeout=NESTED)}"
        except ActorsError as error:
            said = type(error).__name__
        self.write("outcome", message, msg.to, said)
        self.write("end", msg)
        return said


class Agent(Booked):
    """Async, one thing at a time."""

    @handles
    async def pid(self, msg: Pid) -> int:
        return os.getpid()

    @handles
    async def work(self, msg: Job | Memo) -> int:
        self.write("begin", msg)
        await asyncio.sleep(msg.number % 7 * 0.0001)
        self.write("end", msg)
        return msg.number

    @handles
    async def pull(self, msg: Pull) -> AsyncIterator[int]:
        self.write("begin", msg)
        for number in range(msg.count):
            yield number
        self.write("end", msg)

    @handles
    async def push(self, msg: Push, items: AsyncIterator[int]) -> int:
        self.write("begin", msg)
        total = 0
        async for item in items:
            total += item
        self.write("end", msg)
        return total

    @handles
    async def errand(self, msg: Errand) -> str:
        self.write("begin", msg)
        other, message = self.context.actor(msg.to), self.own(self.kind_of(msg))
        self.write("send", message, msg.to, msg.how)
        try:
            if msg.how == "tell":
                await other.tell(message)
                said = "told"
            else:
                said = f"reply={await other.ask(message, timeout=NESTED)}"
        except ActorsError as error:
            said = type(error).__name__
        self.write("outcome", message, msg.to, said)
        self.write("end", msg)
        return said


class Crowd(Agent):
    """Async, three things at a time."""

    concurrency = 3
