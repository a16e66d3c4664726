"""An actor that ruins what it shares with its daemon harms itself: only its life ends, with a report."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from actors import Actor, ActorCrashed, Message, handles
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from tests.support.inside import box_of
from tests.support.relatives import Beget, Leave, Parent
from tests.support.waiting import Watch, alive, until

pytestmark = pytest.mark.processes

STALL = 1.0  # seconds, on a machine that has other things to do


class Ruin(Message[None]):
    how: str


class Pid(Message[int]):
    pass


class Vandal(Actor):
    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()

    @handles
    def ruin(self, msg: Ruin) -> None:
        fds = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
        fds.remove(resource_tracker.getfd())  # what it does not understand it prints, at length
        for fd in fds:
            with contextlib.suppress(OSError):
                VANDALISM[msg.how](fd)
        if msg.how == "scribble":
            box = box_of(self)
            for at in range(len(box.cells)):
                box.cells[at] = 2**64 - 1
        if msg.how in ("scribble", "truncate"):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(3600)


def write(fd: int) -> None:
    os.set_blocking(fd, False)
    try:
        os.write(fd, b"\xff" * 4096)
    except OSError:
        os.write(fd, b"\1" * 8)  # what a counter takes


VANDALISM = {
    "close": os.close,
    "write": write,
    "truncate": lambda fd: os.ftruncate(fd, 0),
    "scribble": lambda fd: os.lseek(fd, 2**40, os.SEEK_SET),
}


@pytest.fixture
async def stalls():
    """The longest time in which the loop did not turn."""
    longest = [0.0]

    async def tick():
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest[0] = max(longest[0], time.monotonic() - before)

    ticking = asyncio.create_task(tick())
    yield longest
    ticking.cancel()


@pytest.mark.parametrize("reading", ["thread", "loop"])
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("close", "it closed its channel and lived on"),
        ("write", "it broke the protocol"),
        ("truncate", "SIGKILL"),
        ("scribble", "SIGKILL"),
    ],
)
async def test_an_actor_ruins_what_it_shares(stalls, how, words, reading):
    """It closes its descriptors, writes garbage to them or over its black box: that is reported, siblings answer."""
    specs = [ChildSpec(Vandal, name=name, backoff=Backoff(initial=0.0, cap=0.0)) for name in "ab"]
    async with Supervisor(*specs, intensity=Intensity.unlimited(), reading=reading) as root:
        watch = Watch(root)
        first, sibling = await root["a"].ask(Pid()), await root["b"].ask(Pid())
        asking = asyncio.create_task(root["a"].ask(Ruin(how), timeout=None))
        report = await watch.exited("a")
        assert words in str(report)
        with pytest.raises(ActorCrashed):
            await asking
        assert first != await root["a"].ask(Pid(), timeout=20)
        assert sibling == await root["b"].ask(Pid(), timeout=20)
        assert "running" in str(root.snapshot())
        assert not alive(first)
    assert stalls[0] < STALL


@pytest.mark.parametrize("reading", ["thread", "loop"])
async def test_a_fork_that_keeps_every_descriptor(reading):
    """It holds channel, output and events of a dead actor open: the daemon does not wait for it, and it is ended."""
    spec = ChildSpec(Parent, name="a", backoff=Backoff(initial=0.0, cap=0.0))
    async with Supervisor(spec, intensity=Intensity.unlimited(), reading=reading) as root:
        watch = Watch(root)
        for _ in range(2):
            (pid,) = await root["a"].ask(Beget(["fork"]))
            root["a"].tell_nowait(Leave())
            begun = time.monotonic()
            await watch.exited("a")
            await until(lambda pid=pid: not alive(pid), "its end")
            assert time.monotonic() - begun < 1
            await watch.started("a")
