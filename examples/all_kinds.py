"""One tree for everything a daemon runs: an actor, a pool for jobs, a function, a command and a task, under chaos.

    python examples/all_kinds.py [SECONDS]

The chaos kills, stops, cancels and hangs its victims at random. Each of them comes back by its rules, and at the end
nothing is left.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter

from actors import Actor, ActorCrashed, Jobs, Message, handles, job
from supervisor import (
    Backoff,
    ChildExited,
    ChildSnapshot,
    ChildSpec,
    CommandSpec,
    FunctionSpec,
    Intensity,
    Ready,
    Strategy,
    Supervisor,
    SupervisorSnapshot,
    SupervisorSpec,
    TaskSpec,
)


class Add(Message[int]):
    amount: int


class Hang(Message[None]):
    """Wait for ever."""


class Tally(Actor):
    def __init__(self) -> None:
        self.total = 0

    @handles
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        return self.total

    @handles
    def hang(self, _: Hang) -> None:
        time.sleep(3600)


@job
def square(number: int) -> int:
    return number * number


@job
def loiter() -> None:
    time.sleep(3600)


def spin() -> None:
    """Plain code in a process of its own."""
    while True:
        time.sleep(0.1)


async def tick() -> None:
    """A task of the daemon."""
    while True:  # noqa: ASYNC110 - it stands for one that has work
        await asyncio.sleep(0.1)


AT_ONCE = Backoff(initial=0.0, cap=0.0)
SERVER = (sys.executable, "-u", "-m", "http.server", "{port}", "--bind", "127.0.0.1")


async def strike(root: Supervisor, victim: ChildSnapshot) -> str:
    """End a child in one of the ways that its kind knows; returns the way."""
    if victim.kind == "task":
        for task in asyncio.all_tasks():
            if task.get_name() == victim.path:
                task.cancel()
        return "cancel"
    blow = random.choice(["kill", "segfault", "stop", "hang"])
    if blow == "hang" and victim.name == "tally":
        with contextlib.suppress(ActorCrashed):  # its handler_timeout ends it
            await root["all/tally"].ask(Hang(), timeout=30.0)
    elif blow == "hang" and victim.name.startswith("jobs"):
        with contextlib.suppress(TimeoutError):  # the job's own limit ends its process
            await root["all/jobs"].run(loiter, timeout=1.0)
    elif victim.pid is not None:
        if blow in ("stop", "hang"):
            os.kill(victim.pid, signal.SIGSTOP)
            await asyncio.sleep(0.2)
        os.kill(victim.pid, signal.SIGSEGV if blow == "segfault" else signal.SIGKILL)
    return blow


def children(root: Supervisor) -> list[ChildSnapshot]:
    (everything,) = root.snapshot().children
    below = everything.children if isinstance(everything, SupervisorSnapshot) else ()
    return [child for child in below if isinstance(child, ChildSnapshot)]


async def wreak(root: Supervisor, seconds: float) -> Counter[str]:
    """Strike one after the other, each time when all are up again; returns how often each was struck in which way."""
    struck: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        victim = random.choice(children(root))
        before = lives(root)
        struck[f"{victim.name} {await strike(root, victim)}"] += 1
        while lives(root) == before or any(child.state != "running" for child in children(root)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # what other processes do is seen by looking again
    return struck


def lives(root: Supervisor) -> int:
    return sum(child.life for child in children(root))


async def main(seconds: float) -> None:
    root = Supervisor(
        SupervisorSpec(
            CommandSpec(SERVER, name="server", ready=Ready.port("127.0.0.1", "{port}"), backoff=AT_ONCE),
            ChildSpec(Tally, name="tally", backoff=AT_ONCE, handler_timeout=0.3),
            ChildSpec(Jobs, name="jobs", size=2, backoff=AT_ONCE),
            FunctionSpec(spin, name="function", backoff=AT_ONCE),
            TaskSpec(tick, name="ticker", backoff=AT_ONCE),
            name="all",
            strategy=Strategy.ONE_FOR_ONE,
            intensity=Intensity.unlimited(),
        ),
    )
    events = root.events()
    async with root:
        struck = await wreak(root, seconds)
        print("a job:", await root["all/jobs"].run(square, 12))
        print(root)
    ended = Counter([event.report.reason.kind.value async for event in events if isinstance(event, ChildExited)])
    print("struck:", dict(struck))
    print("ended: ", {kind: ended[kind] for kind in sorted(ended)})


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
