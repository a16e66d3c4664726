"""Actors that pass values in shared memory, and a look at which of these are there."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np

from actors import Actor, ActorsError, Fed, Message, Shared, handles, job
from actors.lazy import LazyModule

asyncio = LazyModule("asyncio")  # the processes of actors with sync handlers do without

SIZE = 1024 * 1024


class Pair(msgspec.Struct):
    left: Shared
    right: Shared | None = None


class Total(Message[float]):
    """The sum of an array."""

    array: Shared


class TotalOfAll(Message[float]):
    """The sum of arrays anywhere in a message."""

    arrays: list[dict[str, Shared]]
    pair: Pair


class Echo(Message[Shared]):
    array: Shared


class EchoPair(Message[list[Pair]]):
    pair: Pair


class Make(Message[Shared]):
    """An array that the actor makes."""

    count: int
    value: float


class Numbers(Message[AsyncIterator[Shared]]):
    count: int


class Upload(Fed[float, Shared]):
    name: str


class Photo(Message[bytes]):
    """A Shared beside large bytes."""

    raw: bytes
    array: Shared
    thumb: bytes = b""


class Write(Message[str]):
    """Try to write into an array; the reply says what came of it."""

    array: Shared


class Keep(Message[int]):
    """Keep a value; the reply is the number of values that are kept."""

    array: Shared


class Kept(Message[list[float]]):
    """The sum of each value that is kept."""


class Drop(Message[None]):
    """Let go of what is kept."""


class Hold(Message[None]):
    """Hold the handler until a file is there."""

    array: Shared
    path: str


class TotalOrDie(Message[float]):
    """As Total; the first life that handles it is killed in the middle."""

    idempotent: ClassVar[bool] = True

    array: Shared
    path: str


class Blob(Message[bytes]):
    """Plain bytes; they come back. The first life that handles it is killed in the middle."""

    idempotent: ClassVar[bool] = True

    raw: bytes
    path: str
    thumb: bytes = b""


class RelayBlob(Message[bool]):
    """Have another actor echo bytes, and compare them."""

    to: str
    path: str


class Pid(Message[int]):
    pass


class Relay(Message[float]):
    """Have another actor sum an array, and echo it."""

    to: str
    array: Shared


class RelayMany(Message[list[float]]):
    """Have another actor sum each of these arrays, in one call."""

    to: str
    arrays: list[Shared]


class RelayNumbers(Message[str]):
    """Read a stream of arrays of another actor; the reply says what came of it."""

    to: str
    count: int


class RelayRepeated(Message[list[float]]):
    """Have another actor sum one array so many times."""

    to: str
    count: int


class Fill(Message[int]):
    """Send arrays to another actor as fast as it takes them."""

    to: str
    count: int


class Swell(Message[bytes]):
    """Reply with so many bytes."""

    count: int


class Give(Message[str]):
    """Tell another actor to keep an array; the reply says what came of it."""

    to: str


class AskToSwell(Message[str]):
    """Ask another actor for two MiB; the reply says what came of it."""

    to: str


class Summer(Actor):
    """Sums arrays, and more."""

    on_error = "reply"

    def __init__(self) -> None:
        self.kept: list[Shared] = []

    @handles
    def total(self, msg: Total) -> float:
        return float(msg.array.array().sum())

    @handles
    def total_of_all(self, msg: TotalOfAll) -> float:
        all_of_them = [one for some in msg.arrays for one in some.values()]
        all_of_them += [one for one in (msg.pair.left, msg.pair.right) if one is not None]
        return float(sum(one.array().sum() for one in all_of_them))

    @handles
    def echo(self, msg: Echo) -> Shared:
        return msg.array

    @handles
    def echo_pair(self, msg: EchoPair) -> list[Pair]:
        return [msg.pair, Pair(msg.pair.left)]

    @handles
    def make(self, msg: Make) -> Shared:
        return Shared.of(np.full(msg.count, msg.value))

    @handles
    async def numbers(self, msg: Numbers) -> AsyncIterator[Shared]:
        for number in range(msg.count):
            yield Shared.of(np.full(SIZE // 8, float(number)))

    @handles
    async def upload(self, msg: Upload, items: AsyncIterator[Shared]) -> float:
        return sum([float(item.array().sum()) async for item in items])

    @handles
    def photo(self, msg: Photo) -> bytes:
        return msg.raw[:2] + bytes(msg.array)[:2] + msg.thumb[:2]

    @handles
    def write(self, msg: Write) -> str:
        try:
            msg.array.array()[0] = 7.0
        except ValueError as error:
            return str(error)
        return "written"

    @handles
    def keep(self, msg: Keep) -> int:
        self.kept.append(msg.array)
        return len(self.kept)

    @handles
    def drop(self, msg: Drop) -> None:
        self.kept.clear()

    @handles
    async def hold(self, msg: Hold) -> None:
        Path(msg.path + ".begun").touch()  # noqa: ASYNC240 - its loop has nothing else to do
        while not Path(msg.path).exists():  # noqa: ASYNC240 - its loop has nothing else to do
            await asyncio.sleep(0.005)

    @handles
    def total_or_die(self, msg: TotalOrDie) -> float:
        total = float(msg.array.array().sum())
        if not Path(msg.path).exists():
            Path(msg.path).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return total

    @handles
    def blob(self, msg: Blob) -> bytes:
        if not Path(msg.path).exists():
            Path(msg.path).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return msg.raw + msg.thumb

    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()


class SyncSummer(Actor):
    """Without an event loop."""

    @handles
    def total(self, msg: Total) -> float:
        return float(msg.array.array().sum())

    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()


class Album(Actor):
    """Keeps arrays; none of its replies has one in it, so it may be durable."""

    def __init__(self) -> None:
        self.kept: list[Shared] = []

    @handles
    def keep(self, msg: Keep) -> int:
        self.kept.append(msg.array)
        return len(self.kept)

    @handles
    def sums(self, msg: Kept) -> list[float]:
        return [float(one.array().sum()) for one in self.kept]

    @handles
    def swell(self, msg: Swell) -> bytes:
        return bytes(msg.count)

    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()


class Relayer(Actor):
    """Passes on what it gets, and sends what it makes."""

    def __init__(self, argument: object = None) -> None:
        self.argument = argument

    @handles
    async def relay(self, msg: Relay) -> float:
        other = self.context.actor(msg.to)
        echoed = await other.ask(Echo(msg.array))
        return await other.ask(Total(echoed)) + await other.ask(Total(msg.array))

    @handles
    async def relay_many(self, msg: RelayMany) -> list[float]:
        other = self.context.actor(msg.to)
        await other.tell_many([Keep(array) for array in msg.arrays[:2]])
        sums = await other.ask_many([Total(array) for array in msg.arrays])
        assert all(isinstance(one, float) for one in sums), sums
        return sums

    @handles
    async def relay_repeated(self, msg: RelayRepeated) -> list[float]:
        other, array = self.context.actor(msg.to), Shared.of(np.ones(8192))
        return await asyncio.gather(*[other.ask(Total(array), timeout=60.0) for _ in range(msg.count)])

    @handles
    async def relay_numbers(self, msg: RelayNumbers) -> str:
        items = 0
        try:
            async for _ in self.context.actor(msg.to).stream(Numbers(msg.count)):
                items += 1
        except ActorsError as error:
            return str(error)
        return f"{items} items"

    @handles
    async def relay_blob(self, msg: RelayBlob) -> bool:
        raw, thumb = bytes(range(256)) * (SIZE // 128), b"t" * SIZE
        return raw + thumb == await self.context.actor(msg.to).ask(Blob(raw, msg.path, thumb))

    @handles
    async def give(self, msg: Give) -> str:
        try:
            await self.context.actor(msg.to).tell(Keep(Shared.of(np.ones(SIZE // 8))))
        except ActorsError as error:
            return str(error)
        return "given"

    @handles
    async def ask_to_swell(self, msg: AskToSwell) -> str:
        try:
            return f"{len(await self.context.actor(msg.to).ask(Swell(2 * SIZE)))} bytes"
        except ActorsError as error:
            return str(error)

    @handles
    async def fill(self, msg: Fill) -> int:
        other = self.context.actor(msg.to)
        for number in range(msg.count):
            await other.tell(Total(Shared.of(np.full(SIZE // 8, float(number)))))
        return msg.count


@job
def doubled(array: Shared, factor: float = 2.0) -> Shared:
    return Shared.of(array.array() * factor)


@job
def same(pair: Pair) -> dict[str, Pair]:
    return {"pair": pair}


@job
def total(array: Shared) -> float:
    return float(array.array().sum())


def segments(*pids: int) -> list[str]:
    """Every descriptor and mapping of a shared value in these processes; in this one when none is named."""
    found = []
    for pid in pids or (os.getpid(),):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(fd.readlink())
            except OSError:
                continue
            found += [f"{pid} fd {fd.name}"] if "memfd:actors-shared" in target else []
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        found += [f"{pid} map {line}" for line in maps if "memfd:actors-shared" in line]
    return found


def holders(inode: int) -> list[str]:
    """The processes of this machine that have a file open, or mapped."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            held = any(fd.stat().st_ino == inode for fd in (process / "fd").iterdir() if "memfd" in str(fd.readlink()))
            mapped = any(
                f" {inode} " in line and "memfd" in line for line in (process / "maps").read_text().splitlines()
            )
            if held or mapped:
                found.append(process.name)
    return found
