"""One tree for everything a daemon runs: an actor, a pool for jobs, a function, a command and a task, under chaos.

    python examples/all_kinds.py [SECONDS]

A second task kills, stops and cancels its siblings at random. Each of them comes back by its rules, and at the end
nothing is left.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter

from actors import Actor, Jobs, Message, handles, job
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


class Tally(Actor):
    def __init__(self) -> None:
        self.total = 0

    @handles
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        return self.total


@job
def square(number: int) -> int:
    return number * number


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


def strike(victim: ChildSnapshot) -> None:
    """End a child, or let it hang for a moment and then end it."""
    if victim.kind == "task":
        for task in asyncio.all_tasks():
            if task.get_name() == victim.path:
                task.cancel()
    elif victim.pid is not None:
        blow = random.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
        os.kill(victim.pid, blow)
        if blow == signal.SIGSTOP:
            os.kill(victim.pid, signal.SIGKILL)


def children(root: Supervisor) -> list[ChildSnapshot]:
    (everything,) = root.snapshot().children
    below = everything.children if isinstance(everything, SupervisorSnapshot) else ()
    return [child for child in below if isinstance(child, ChildSnapshot)]


async def wreak(root: Supervisor, seconds: float) -> Counter[str]:
    """Strike one after the other, each time when the one before is up again; returns how often each was struck."""
    struck: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        victim = random.choice(children(root))
        strike(victim)
        struck[victim.name] += 1
        while not is_back(root, victim):  # noqa: ASYNC110 - what other processes do is seen by looking again
            await asyncio.sleep(0.01)
    return struck


def is_back(root: Supervisor, victim: ChildSnapshot) -> bool:
    child = next(child for child in children(root) if child.name == victim.name)
    return child.life > victim.life and child.state == "running"


async def main(seconds: float) -> None:
    root = Supervisor(
        SupervisorSpec(
            CommandSpec(SERVER, name="server", ready=Ready.port("127.0.0.1", "{port}"), backoff=AT_ONCE),
            ChildSpec(Tally, name="tally", backoff=AT_ONCE),
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
