"""Actors that send many messages to another in one call, and one that answers them."""

from __future__ import annotations

import os
from typing import ClassVar

from actors import Actor, ActorsError, Message, handles


class Square(Message[int]):
    number: int


class Spell(Message[str]):
    number: int


class Refused(Message[int]):
    """Raises."""


class Note(Message[None]):
    number: int


class Noted(Message[list[int]]):
    """What was noted."""


class Large(Message[bytes]):
    """A reply of so many bytes."""

    size: int


class Pid(Message[int]):
    idempotent: ClassVar[bool] = True


class _Answers(Actor):
    on_error = "reply"

    def __init__(self) -> None:
        self.noted: list[int] = []

    def on_start(self) -> None:
        self.senders: set[str] = set()


class Scholar(_Answers):
    """Handles one message after the other, without an event loop."""

    @handles
    def square(self, msg: Square) -> int:
        return msg.number**2

    @handles
    def spell(self, msg: Spell) -> str:
        return f"number {msg.number}"

    @handles
    def refuse(self, msg: Refused) -> int:
        raise ValueError("not this one")

    @handles
    def note(self, msg: Note) -> None:
        self.noted.append(msg.number)

    @handles
    def show(self, msg: Noted) -> list[int]:
        return self.noted

    @handles
    def large(self, msg: Large) -> bytes:
        return bytes(msg.size)

    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()


class AsyncScholar(_Answers):
    """The same, on an event loop, one message at a time."""

    @handles
    async def square(self, msg: Square) -> int:
        return msg.number**2

    @handles
    async def spell(self, msg: Spell) -> str:
        return f"number {msg.number}"

    @handles
    async def refuse(self, msg: Refused) -> int:
        raise ValueError("not this one")

    @handles
    async def note(self, msg: Note) -> None:
        self.noted.append(msg.number)

    @handles
    async def show(self, msg: Noted) -> list[int]:
        return self.noted

    @handles
    async def large(self, msg: Large) -> bytes:
        return bytes(msg.size)


class ConcurrentScholar(AsyncScholar):
    """The same, several at a time."""

    concurrency = 8


class Squares(Message[list[int | str]]):
    """Ask another for so many squares; an error is given by its class name."""

    to: str
    count: int


class Tell(Message[str]):
    """Tell another so many notes; returns `ok`, or the class name of the error and how many were taken."""

    to: str
    count: int


class AsyncSender(Actor):
    @handles
    async def squares(self, msg: Squares) -> list[int | str]:
        asked = [Square(number) for number in range(msg.count)]
        results = await self.context.actor(msg.to).ask_many(asked)
        return [type(one).__name__ if isinstance(one, ActorsError) else one for one in results]

    @handles
    async def tell(self, msg: Tell) -> str:
        try:
            await self.context.actor(msg.to).tell_many([Note(number) for number in range(msg.count)])
        except ActorsError as error:
            return f"{type(error).__name__} {error.taken}"
        return "ok"


class SyncSender(Actor):
    @handles
    def squares(self, msg: Squares) -> list[int | str]:
        results = self.context.actor(msg.to).call_many([Square(number) for number in range(msg.count)])
        return [type(one).__name__ if isinstance(one, ActorsError) else one for one in results]
