"""Memory stays flat where a sender is a hundred times faster than the receiver.

A short form runs with the suite; the long one, a minute each, with `make chaos` (ACTORS_LONG=1).
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from supervisor import ChildSpec, Supervisor
from tests.support.producers import PAYLOAD, SLOW, Consumer, Load, Pid, Produce, Producer

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of processes in /proc"),
]

LONG = pytest.mark.skipif(os.environ.get("ACTORS_LONG") != "1", reason="takes minutes: make chaos")
SECONDS = pytest.mark.parametrize(
    "seconds", [4.0, pytest.param(60.0, marks=[LONG, pytest.mark.slow, pytest.mark.timeout(240)])]
)
SAMPLE = 0.1  # seconds between two looks
FLAT = 20 * 1024  # KiB
ROOM = 200  # messages


@SECONDS
async def test_a_fast_actor_before_a_slow_one(seconds, record_property):
    """A producer actor that awaits each tell fills the slow consumer's mailbox, and no memory anywhere."""
    specs = ChildSpec(Consumer, name="consumer", mailbox=ROOM), ChildSpec(Producer, name="producer")
    async with Supervisor(*specs, start="parallel") as root:
        producing = asyncio.create_task(root["producer"].ask(Produce("consumer", seconds), timeout=None))
        pids = {"daemon": os.getpid(), "producer": await root["producer"].ask(Pid())}
        pids["consumer"] = root.which_children()[0].pid
        grown = await growth(root, pids, seconds)
        told = await producing
    record_property("KiB grown, told", (grown, told))
    assert told > seconds / SLOW / 4, "the consumer was kept busy"
    assert max(grown.values()) < FLAT, grown


@SECONDS
async def test_ten_tasks_before_a_slow_actor(seconds, record_property):
    """Ten tasks of the daemon that tell one slow actor wait for room in turn; none starves, none fills memory."""
    told = [0] * 10

    async def tell(number: int) -> None:
        while True:
            await root["consumer"].tell(Load(PAYLOAD))
            told[number] += 1

    async with Supervisor(ChildSpec(Consumer, name="consumer", mailbox=ROOM)) as root:
        pids = {"daemon": os.getpid(), "consumer": await root["consumer"].ask(Pid())}
        tasks = [asyncio.create_task(tell(number)) for number in range(10)]
        grown = await growth(root, pids, seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    record_property("KiB grown, told", (grown, told))
    assert sum(told) > seconds / SLOW / 4, "the consumer was kept busy"
    assert min(told[1:]) > max(told[1:]) / 2, "in turn"  # the first one filled the mailbox at the start
    assert max(grown.values()) < FLAT, grown


async def growth(root: Supervisor, pids: dict[str, int], seconds: float) -> dict[str, int]:
    """By how many KiB each process grew at most, after a sixth of the time; the mailbox keeps its bound meanwhile."""
    over = time.monotonic() + seconds
    await asyncio.sleep(seconds / 6)  # the load itself
    before = {name: resident(pid) for name, pid in pids.items()}
    grown = dict.fromkeys(pids, 0)
    while time.monotonic() < over - seconds / 6:
        await asyncio.sleep(SAMPLE)
        (consumer, *_) = root.snapshot().children
        assert consumer.mailbox <= ROOM + 1
        for name, pid in pids.items():
            grown[name] = max(grown[name], resident(pid) - before[name])
    return grown


def resident(pid: int) -> int:
    """KiB of memory that a process has."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])
