"""Where the time of one message goes: processor time by process, in our own code and in the kernel.

python -m benchmarks.costs [MESSAGES]

Everything runs on one core, so that no figure depends on where the scheduler puts what. Microseconds a message.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog
import uvloop

from actors import ActorRef
from benchmarks.contenders.ours_worker import Add, Adder
from benchmarks.contenders.pipe import PipeWorker
from supervisor import ChildSpec, Supervisor

TICK = os.sysconf("SC_CLK_TCK")
IN_FLIGHT = 64
AT_ONCE = 1_000  # messages of one call


@dataclass(frozen=True)
class Used:
    """Seconds of processor time."""

    user: float
    system: float

    def since(self, before: Used) -> Used:
        return Used(self.user - before.user, self.system - before.system)


def used(pid: int) -> Used:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return Used(int(fields[11]) / TICK, int(fields[12]) / TICK)


class Costs:
    """What so many messages cost one pair of processes, as a row of a table."""

    def __init__(self, what: str, worker: int, count: int) -> None:
        self._what = what
        self._pids = (os.getpid(), worker)
        self._count = count

    def __enter__(self) -> None:
        self._before = [used(pid) for pid in self._pids]

    def __exit__(self, *exc: object) -> None:
        spent = [used(pid).since(before) for pid, before in zip(self._pids, self._before, strict=True)]
        figures = [figure / self._count * 1e6 for each in spent for figure in (each.user, each.system)]
        print(f"{self._what:<34}" + "".join(f"{figure:>12.2f}" for figure in (*figures, sum(figures))))


def raw_pipe(count: int) -> None:
    worker = PipeWorker()
    with Costs("ask, raw pipe", worker.pid, count):
        for _ in range(count):
            worker.send_ask()
            worker.receive()
    with Costs("tell, raw pipe", worker.pid, count):
        for _ in range(count):
            worker.send_tell()
        worker.send_ask()
        worker.receive()
    worker.pipe.close()
    worker.process.join()


async def ours(name: str, reading: Literal["thread", "loop"], count: int) -> None:
    async with Supervisor(ChildSpec(Adder), reading=reading, spares=0) as root:
        adder, pid = root["adder"], root.which_children()[0].pid or 0
        await asks(adder, min(count, 1_000))
        with Costs(f"ask, {name}", pid, count):
            await asks(adder, count)
        with Costs(f"ask, {IN_FLIGHT} in flight, {name}", pid, count):
            await asyncio.gather(*(asks(adder, count // IN_FLIGHT) for _ in range(IN_FLIGHT)))
        with Costs(f"tell, {name}", pid, 10 * count):
            for _ in range(10 * count):
                await adder.tell(Add(1))
            await adder.ask(Add(1), timeout=None)
        many = [Add(1)] * AT_ONCE
        with Costs(f"tell_many of {AT_ONCE:,}, {name}", pid, 10 * count):
            for _ in range(10 * count // AT_ONCE):
                await adder.tell_many(many)
            await adder.ask(Add(1), timeout=None)
        with Costs(f"ask_many of {AT_ONCE:,}, {name}", pid, count):
            for _ in range(count // AT_ONCE):
                await adder.ask_many(many, timeout=None)


async def asks(adder: ActorRef, count: int) -> None:
    for _ in range(count):
        await adder.ask(Add(1))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    heads = ("daemon", "its kernel", "actor", "its kernel", "together")
    print(f"{'microseconds a message':<34}" + "".join(f"{head:>12}" for head in heads))
    raw_pipe(count)
    loops: dict[str, tuple[Literal["thread", "loop"], Callable[[], Any] | None]] = {
        "thread": ("thread", None),
        "loop": ("loop", None),
        "loop on uvloop": ("loop", uvloop.new_event_loop),
    }
    for name, (reading, factory) in loops.items():
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(ours(name, reading, count))


if __name__ == "__main__":
    main()
