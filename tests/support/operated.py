"""A daemon for an operator: actors that hang, crash, leak or are slow on demand, with a control socket."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from pathlib import Path

import msgspec

from actors import Actor, Message, Rejected, handles
from supervisor import (
    ChildSpec,
    CommandSpec,
    FunctionSpec,
    Intensity,
    RestartPolicy,
    Supervisor,
    SupervisorSpec,
    TaskSpec,
)
from supervisor.metrics import Collector
from tests.support.taking_time import sleep_forever, sleep_forever_async

CONFIGURED = Path(os.environ.get("OPERATED_CONFIG", "/nonexistent"))  # while it is there, `configured` starts


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Add(Message[int]):
    amount: int
    note: str = "none"


class Move(Message[Point]):
    by: Point
    tags: tuple[str, ...] = ()


class Refuse(Message[None]):
    pass


class Raise(Message[None]):
    text: str = "a bug"


class Abort(Message[None]):
    pass


class Sleep(Message[None]):
    seconds: float


class SleepInC(Message[tuple[int, int]]):
    """Sleep in C code; the reply is what it returns and errno."""

    milliseconds: int
    locked: bool  # whether it keeps the interpreter meanwhile


class Keep(Message[None]):
    mebibytes: int


class ConfigError(Exception):
    pass


class Worker(Actor):
    on_error = "reply"

    def __init__(self) -> None:
        self.total = 0
        self.kept: list[bytearray] = []

    @handles
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        return self.total

    @handles
    def move(self, msg: Move) -> Point:
        return Point(msg.by.x + 1, msg.by.y)

    @handles
    def refuse(self, msg: Refuse) -> None:
        raise Rejected("not today")

    @handles
    def fail(self, msg: Raise) -> None:
        raise ValueError(msg.text)

    @handles
    def abort(self, msg: Abort) -> None:
        os.abort()

    @handles
    def sleep(self, msg: Sleep) -> None:
        time.sleep(msg.seconds)

    @handles
    def sleep_in_c(self, msg: SleepInC) -> tuple[int, int]:
        library = (ctypes.PyDLL if msg.locked else ctypes.CDLL)(None, use_errno=True)
        ctypes.set_errno(0)
        returned = library.poll(None, 0, msg.milliseconds)
        return returned, ctypes.get_errno()

    @handles
    def keep(self, msg: Keep) -> None:
        self.kept.append(bytearray(b"x" * 2**20) * msg.mebibytes)


class Configured(Actor):
    def on_start(self) -> None:
        if not CONFIGURED.exists():
            raise ConfigError(f"no {CONFIGURED.name}")

    @handles
    def abort(self, msg: Abort) -> None:
        os.abort()


async def tick() -> None:
    while True:
        await sleep_forever_async()


def compute() -> None:
    while True:
        sleep_forever()


def tree() -> Supervisor:
    return Supervisor(
        ChildSpec(Worker, name="worker", mailbox=50),
        ChildSpec(Worker, name="stuck", shutdown=0.1),
        ChildSpec(Worker, name="pool", size=2),
        ChildSpec(Worker, name="once", restart=RestartPolicy.TRANSIENT),
        ChildSpec(Configured, name="configured"),
        SupervisorSpec(ChildSpec(Worker, name="inner"), ChildSpec(Worker, name="once"), name="sub"),
        TaskSpec(tick, name="tick"),
        FunctionSpec(compute, name="compute"),
        CommandSpec(("sleep", "3600"), name="command"),
        intensity=Intensity.unlimited(),
        start="parallel",
        control="auto",
        spares=0,
    )


async def serve(supervised: Supervisor) -> None:
    """Until a signal, after a line that says when it is ready."""
    collector = Collector(supervised)
    async with supervised as root:
        print("ready", flush=True)  # noqa: T201 - the test waits for it
        await root.serve()
    del collector  # until then actorctl shows what it counts


if __name__ == "__main__":
    asyncio.run(serve(tree()))
