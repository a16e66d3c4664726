"""The actors of the tests of pools: each says which process handled a message, by which key, in which order."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from actors import Actor, Message, handles
from tests.support.actors import wait_for_file


class Taken(msgspec.Struct, frozen=True):
    """Who handled a message.

    Attributes:
        name: of the member.
        pid: of its process.
        life: which one it is.
        numbers: everything this life has handled for the key, oldest first.
    """

    name: str
    pid: int
    life: int
    numbers: list[int]


class Take(Message[Taken]):
    """One numbered message of a key."""

    key: str = ""
    number: int = 0


class Hold(Message[Taken]):
    """The same, held until a file is there; a file of its own says that it has begun."""

    path: str
    key: str = ""


class Die(Message[None]):
    """Leave at once, without a word."""

    key: str = ""


class Worker(Actor):
    """A member of a pool."""

    def __init__(self) -> None:
        self.seen: dict[str, list[int]] = {}

    @handles
    def take(self, msg: Take) -> Taken:
        numbers = self.seen.setdefault(msg.key, [])
        numbers.append(msg.number)
        return Taken(self.context.path.removeprefix("/root/"), os.getpid(), self.context.incarnation, list(numbers))

    @handles
    def hold(self, msg: Hold) -> Taken:
        Path(f"{msg.path}.begun").touch()
        wait_for_file(msg.path)
        return Taken(self.context.path.removeprefix("/root/"), os.getpid(), self.context.incarnation, [])

    @handles
    def die(self, msg: Die) -> None:
        os._exit(9)


class AsyncWorker(Actor):
    """The same with async handlers, of which one blocks its event loop."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def taken(self) -> Taken:
        path = self.context.path.removeprefix("/root/")
        return Taken(path, os.getpid(), self.context.incarnation, list(self.seen))

    @handles
    async def take(self, msg: Take) -> Taken:
        self.seen.append(msg.number)
        return self.taken()

    @handles
    async def hold(self, msg: Hold) -> Taken:
        self.block(msg.path)
        return self.taken()

    def block(self, path: str) -> None:
        Path(f"{path}.begun").touch()
        wait_for_file(path)


class MeetsInStart(Actor):
    """Says that it is starting, and is ready when another is starting, too."""

    def __init__(self, mine: str, other: str) -> None:
        self.mine = mine
        self.other = other

    def on_start(self) -> None:
        Path(self.mine).touch()
        wait_for_file(self.other)
