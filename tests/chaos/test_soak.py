"""Minutes of constant kills: threads, descriptors and memory of the daemon stay where they are.

A short form runs with the suite; ten minutes with `make soak`, or as many seconds as ACTORS_SOAK says.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from supervisor import Backoff, ChildExited, ChildSpec, Intensity, Supervisor
from supervisor.core.rules.states import ChildState
from tests.support.doomed import Doomed, Life
from tests.support.figures import SOAKS
from tests.support.load import Sender, Ticker
from tests.support.waiting import until

SECONDS = float(os.environ.get("ACTORS_SOAK") or (600 if os.environ.get("ACTORS_LONG") == "1" else 6))
NAMES = ("a", "b", "c", "d")
PAUSES = (0.0, 0.01, 0.05, 0.1)  # seconds between kills
SAMPLES = 60
GROWTH = 20 * 1024 * 1024  # bytes of memory that chance may add
STALL = 5.0  # seconds, of which others may have the most
COMPUTED = 0.5  # seconds of the loop's own work in one stall

pytestmark = [
    pytest.mark.processes,
    pytest.mark.chaos,
    pytest.mark.timeout(SECONDS * 2 + 120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


class Sample(msgspec.Struct, frozen=True):
    """The daemon at one moment at which every actor is up."""

    threads: int
    descriptors: int
    memory: int
    kills: int


def sample(kills: int) -> Sample:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    descriptors = sum(1 for _ in os.scandir("/proc/self/fd"))
    return Sample(threading.active_count(), descriptors, pages * os.sysconf("SC_PAGE_SIZE"), kills)


async def test_soak():
    """Every actor under load and killed again and again: nothing grows, the loop runs on, everyone answers."""
    dice = random.Random(600)
    specs = [ChildSpec(Doomed, args=(os.devnull,), name=name, backoff=Backoff(initial=0.0, cap=0.0)) for name in NAMES]
    samples: list[Sample] = []
    killed: set[int] = set()
    async with Supervisor(*specs, intensity=Intensity.unlimited(), start="parallel") as root:
        deaths = asyncio.create_task(count_deaths(root))
        senders = [Sender(root, name) for name in NAMES]
        ticker = Ticker()
        began = time.monotonic()
        while (passed := time.monotonic() - began) < SECONDS:
            pids = [child.pid for child in root.snapshot().children if child.state == ChildState.RUNNING]
            if pids:
                killed.add(pid := dice.choice(pids))  # it may be one that died a moment ago: that is one kill
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(dice.choice(PAUSES))  # the storm itself: at a random instant
            if passed * SAMPLES > len(samples) * SECONDS:
                await until(lambda: all_up(root), "everyone up")
                samples.append(sample(len(killed)))
        stall, computed = ticker.end(), ticker.computed
        for sender in senders:
            await sender.end()
        lives = [await root[name].ask(Life(), timeout=20.0) for name in NAMES]
        await until(lambda: all_up(root), "everyone up")
        samples.append(sample(len(killed)))
    assert await deaths >= len(killed)
    assert sum(lives) > len(killed)
    first, *later = samples[len(samples) // 3 :]  # caches and arenas are filled by now
    sent = sum(sender.sent for sender in senders)
    SOAKS.append(
        (SECONDS, len(killed), sent, first, max(later, key=lambda one: one.memory), later[-1], stall, computed)
    )
    assert not any(sender.wrong for sender in senders)
    assert {first.threads} == {one.threads for one in later}, "threads"
    assert max(one.descriptors for one in later) <= first.descriptors + 2, "descriptors"
    assert later[-1].memory - first.memory < GROWTH, f"memory: {samples}"
    assert stall < STALL
    assert computed < COMPUTED


def all_up(root: Supervisor) -> bool:
    """Every actor runs, and its spare waits."""
    seen = root.snapshot()
    return seen.spares == 1 and all(child.state == ChildState.RUNNING for child in seen.children)


async def count_deaths(root: Supervisor) -> int:
    deaths = 0
    async for happening in root.events():
        deaths += isinstance(happening, ChildExited)
    return deaths
