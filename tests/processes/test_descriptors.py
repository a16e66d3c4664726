"""An actor that ruins what it shares with its daemon harms itself: only its life ends, with a report."""

from __future__ import annotations

import asyncio
import time

import pytest

from actors import ActorCrashed
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from tests.support.relatives import Beget, Leave, Parent
from tests.support.vandals import Overwrite, Pid, Ruin, SendHalf, Vandal
from tests.support.waiting import Watch, alive, until

pytestmark = pytest.mark.processes

STALL = 10.0  # seconds; a machine that has other things to do takes some of them


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


async def test_a_system_without_memory_takes_half_a_frame():
    """The life ends, and says why; its asker hears of it, siblings answer. Nothing is read as the other half."""
    specs = [ChildSpec(Vandal, name=name, backoff=Backoff(initial=0.0, cap=0.0)) for name in "ab"]
    async with Supervisor(*specs, intensity=Intensity.unlimited()) as root:
        watch = Watch(root)
        first, sibling = await root["a"].ask(Pid()), await root["b"].ask(Pid())
        with pytest.raises(ActorCrashed):
            await root["a"].ask(SendHalf("b"), timeout=20)
        report = await watch.exited("a")
        assert "an exception interrupts while it sends" in report.reason.detail
        assert "Cannot allocate memory" in str(report)
        assert first != await root["a"].ask(Pid(), timeout=20)
        assert sibling == await root["b"].ask(Pid(), timeout=20)


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


@pytest.mark.parametrize("value", [0, 2**64 - 1, 0x7F7F7F7F7F7F7F7F])
async def test_a_black_box_that_is_overwritten(value):
    """One death, with the message that did it: it is not begun again, though its box says that nothing ever began."""
    async with Supervisor(ChildSpec(Vandal, name="a"), spares=1) as root:
        await root["a"].ask(Pid())
        watch = Watch(root)
        asking = asyncio.create_task(root["a"].ask(Overwrite(value), timeout=None))
        report = await watch.exited("a")
        with pytest.raises(ActorCrashed) as crash:
            await asking
        assert crash.value.started is not False
        assert "before it was an actor" not in str(report)
        assert value or "a wild write in its process hit its black box" in str(report)
        assert report.pid != await root["a"].ask(Pid(), timeout=20)
        assert 2 == root.snapshot().children[0].life


@pytest.mark.parametrize("reading", ["thread", "loop"])
async def test_a_fork_that_keeps_every_descriptor(reading):
    """It holds channel, output and events of a dead actor open: the daemon does not wait for it, and it is ended."""
    spec = ChildSpec(Parent, name="a", backoff=Backoff(initial=0.0, cap=0.0))
    async with Supervisor(spec, intensity=Intensity.unlimited(), reading=reading) as root:
        watch = Watch(root)
        for _ in range(2):
            (pid,) = await root["a"].ask(Beget(["fork"]))
            root["a"].tell_nowait(Leave())
            await watch.exited("a")
            await until(lambda pid=pid: not alive(pid), "its end")
            await watch.started("a")
