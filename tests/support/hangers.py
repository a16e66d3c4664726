"""The actors of the tests of hangs: each way to hang, and the ways to be busy that are none."""

from __future__ import annotations

import io
import os
import pdb  # noqa: T100 - a handler stands in it
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator

from actors import Actor, Fed, Message, handles
from actors.lazy import LazyModule
from tests.support.taking_time import sleep_forever, sleep_forever_async, work

asyncio = LazyModule("asyncio")  # the processes of actors with sync handlers do without

PART = 0.1  # seconds of a handler that goes on


class Sleep(Message[None]):
    seconds: float


class Spin(Message[int]):
    """Compute for so many seconds of processor time."""

    seconds: float


class HoldTheLock(Message[None]):
    """A loop in C that never lets go of the interpreter: a regular expression that goes through 2**40 ways."""


class StopYourProcess(Message[None]):
    pass


class Long(Message[str]):
    """Declare so many parts of a second, each before it begins."""

    parts: int


class Drip(Message[AsyncIterator[int]]):
    """So many items, one every so many seconds; then the generator does not go on."""

    count: int
    pause: float = 0.0
    then_hang: bool = False


class Swallow(Fed[int, int]):
    """How many items followed."""


class HangAlone(Message[None]):
    """Hang in a message that a timer of its own sends."""


class Ping(Message[int]):
    """Which life?"""


class LeaveSlowly(Message[None]):
    """Stop, and take so many seconds to say goodbye."""

    seconds: float


class ExitHeldUp(Message[None]):
    """Exit with code 3, held up by a thread."""


class Debug(Message[str]):
    """Stand in pdb for so many seconds."""

    seconds: float


class Break(Message[None]):
    """Call breakpoint()."""


class Sync(Actor):
    """One thing at a time."""

    def __init__(self) -> None:
        self.goodbye = 0.0

    def on_stop(self, reason: object) -> None:
        time.sleep(self.goodbye)

    @handles
    def sleep(self, msg: Sleep) -> None:
        time.sleep(msg.seconds)

    @handles
    def spin(self, msg: Spin) -> int:
        rounds, until = 0, time.process_time() + msg.seconds
        while time.process_time() < until:
            rounds += 1
        return rounds

    @handles
    def hold_the_lock(self, msg: HoldTheLock) -> None:
        re.match(r"(a+)+$", "a" * 40 + "b")

    @handles
    def stop_your_process(self, msg: StopYourProcess) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    @handles
    def long(self, msg: Long) -> str:
        for _ in range(msg.parts):
            self.context.extend(30.0)
            work(PART)
        return "done"

    @handles
    def drip(self, msg: Drip) -> Iterator[int]:
        for number in range(msg.count):
            time.sleep(msg.pause)
            yield number
        if msg.then_hang:
            sleep_forever()

    @handles
    def swallow(self, msg: Swallow, items: Iterator[int]) -> int:
        return sum(1 for _ in items)

    @handles
    def hang_alone(self, msg: HangAlone) -> None:
        self.context.after(0.0, Sleep(3600))

    @handles
    def ping(self, msg: Ping) -> int:
        return self.context.incarnation

    @handles
    def exit_held_up(self, msg: ExitHeldUp) -> None:
        threading.Thread(target=time.sleep, args=(3600,)).start()
        sys.exit(3)

    @handles
    def debug(self, msg: Debug) -> str:
        read, write = os.pipe()
        threading.Timer(msg.seconds, os.write, (write, b"continue\n")).start()
        with os.fdopen(read) as commands:
            pdb.Pdb(stdin=commands, stdout=io.StringIO(), nosigint=True).set_trace()
        os.close(write)
        return "debugged"

    @handles
    def stop_here(self, msg: Break) -> None:
        breakpoint()  # noqa: T100 - what it is about

    @handles
    def leave_slowly(self, msg: LeaveSlowly) -> None:
        self.goodbye = msg.seconds
        self.context.stop()


class Async(Actor):
    """Three things at a time."""

    concurrency = 3

    @handles
    async def sleep(self, msg: Sleep) -> None:
        await asyncio.sleep(msg.seconds)

    @handles
    async def long(self, msg: Long) -> str:
        for _ in range(msg.parts):
            self.context.extend(30.0)
            await asyncio.sleep(PART)
        return "done"

    @handles
    async def drip(self, msg: Drip) -> AsyncIterator[int]:
        for number in range(msg.count):
            await asyncio.sleep(msg.pause)
            yield number
        if msg.then_hang:
            await sleep_forever_async()

    @handles
    async def swallow(self, msg: Swallow, items: AsyncIterator[int]) -> int:
        return sum([1 async for _ in items])

    @handles
    async def ping(self, msg: Ping) -> int:
        return self.context.incarnation
