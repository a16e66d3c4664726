"""What holds for a life at home holds for one on another machine, whose clock is an hour ahead."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from actors import ActorCrashed, AskTimeout, Shared
from actors.errors import UndecodableMessage
from actors.wire.framing import MAX_MESSAGE, SharedAttachment
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from tests.support.hangers import Async, Drip, HoldTheLock, Ping, Sleep, Swallow, Sync
from tests.support.hoarders import Fill, Hoarder, Number
from tests.support.machines import LocalCluster, LocalDriver
from tests.support.relatives import KINDS, Beget, Parent
from tests.support.sharers import Echo as EchoShared
from tests.support.sharers import Keep, Make, Relay, Relayer, Summer, Total, Upload
from tests.support.sharers import Numbers as SharedNumbers
from tests.support.travellers import (
    Cancelled,
    Closed,
    Delegate,
    DelegateWait,
    Deputy,
    Diarist,
    Made,
    Say,
    Sink,
    Step,
    Stepper,
    Swallowed,
    Wait,
    Write,
)
from tests.support.waiting import Watch, alive, until

pytestmark = pytest.mark.processes

AT_ONCE = Backoff(initial=0.0, cap=0.0)
AHEAD = 3600  # seconds
UNSEEN = 0.3  # seconds; so long that the agent looks meanwhile, and sees nothing new


def tree(*specs, ahead=AHEAD, **options):
    cluster = LocalCluster(lease=60.0, driver=LocalDriver(["m1"], skews={"m1": ahead}))
    return Supervisor(*specs, cluster=cluster, **{"intensity": Intensity.unlimited(), "spares": 0, **options})


def there(actor, name="a", **options):
    return ChildSpec(actor, name=name, place="any", backoff=AT_ONCE, **options)


async def test_hangs_are_found_and_their_stacks_come_home():
    """In Python code, in C code that holds the interpreter, and stopped by a signal."""
    specs = [there(Sync, name, handler_timeout=0.3) for name in ("sleeps", "holds", "stands")]
    async with tree(*specs) as root:
        pids = {child.name: child.pid for child in root.snapshot().children}

        async def end_of(name, message):
            with pytest.raises(ActorCrashed) as crash:
                await root[name].ask(message, timeout=60)
            return crash.value.report

        asked = [
            asyncio.create_task(end_of(name, message))
            for name, message in (("sleeps", Sleep(3600)), ("holds", HoldTheLock()), ("stands", Sleep(3600)))
        ]
        await until(lambda: root.snapshot().children[2].handling == "Sleep", "it begins")
        os.kill(pids["stands"], signal.SIGSTOP)
        sleeps, holds, stands = await asyncio.gather(*asked)
        assert "hung: Sync.sleep over its limit of 0.3 s" in sleeps.reason.detail
        assert "interpreter blocked in Sync.hold_the_lock" in holds.reason.detail
        assert "process stopped (SIGSTOP) in Sync.sleep" in stands.reason.detail
        assert "in sleep" in sleeps.stacks
        assert "in hold_the_lock" in holds.stacks
        assert {"m1"} == {report.node for report in (sleeps, holds, stands)}
        assert "Sleep" == sleeps.last_message
        assert 2 == await root["sleeps"].ask(Ping(), timeout=30)


async def test_a_handler_that_begins_late_is_seen():
    """Where the process gets no processor for a while after its message has come."""
    async with tree(there(Sync, soft_timeout=0.2, shutdown=0.1)) as root:
        watch = Watch(root)
        (child,) = root.snapshot().children
        assert 1 == await root["a"].ask(Ping(), timeout=30)
        os.kill(child.pid, signal.SIGSTOP)
        asked = asyncio.create_task(root["a"].ask(Sleep(3600), timeout=None))
        await asyncio.sleep(UNSEEN)
        os.kill(child.pid, signal.SIGCONT)
        await until(lambda: "Sleep" == root.snapshot().children[0].handling, "it is seen")
        slow = await watch.find(lambda happening: type(happening).__name__ == "HandlerSlow")
        assert ("Sync.sleep", True) == (slow.handler, "in sleep" in (slow.stacks or ""))
        asked.cancel()


async def test_limits_bring_the_next_life_and_lose_no_message():
    """By memory, also where it is idle again; by messages; and by hand."""
    specs = [
        there(Hoarder, "big", max_rss=150 * 2**20),
        there(Hoarder, "counted", max_messages=5),
        there(Hoarder, "asked"),
    ]
    async with tree(*specs) as root:
        watch = Watch(root)
        assert 1 == await root["big"].ask(Fill(200 * 2**20), timeout=60)
        number, life = 0, 1
        while life == 1:
            assert number < 10_000
            asks = [root["counted"].ask(Number(1, n), timeout=60) for n in range(number, number + 10)]
            answers = await asyncio.gather(*asks)
            assert list(range(number, number + 10)) == [n for n, _ in answers]
            number, life = number + 10, answers[-1][1]
        await root.recycle("asked")
        assert (7, 2) == await root["asked"].ask(Number(1, 7), timeout=60)
        await until(lambda: root.snapshot().children[0].life > 1 and root.snapshot().children[0].uptime, "the next")
        report = await watch.exited("big")
        assert ("recycle", "m1") == (report.decision, report.node)
        assert "max_rss" in report.because
        assert report.peak_memory > 200 * 2**20


async def test_streams_have_credit_and_are_left():
    """A reader that pauses holds the generator up; one that leaves ends it. Items follow a message, too."""
    async with tree(there(Diarist), there(Async, "b")) as root:
        stream = root["a"].stream(Write(1000))
        assert [0, 1, 2] == [await anext(stream) for _ in range(3)]
        made = -1
        while made != (made := await root["a"].ask(Made(), timeout=30)):
            await asyncio.sleep(0.05)
        assert made < 200, "it is ahead by its credit"
        await stream.aclose()
        await until_asked(root["a"], Closed(), 1)
        assert [0, 1, 2, 3] == [item async for item in root["b"].stream(Drip(4))]
        assert 500 == await root["b"].feed(Swallow(), range(500))


async def test_replies_that_were_kept_come_home_after_a_kill():
    """They lie in the black box of the life, behind them the beginning of a frame that never ends."""
    async with tree(there(Stepper)) as root:
        pid = await root["a"].ask(Step())
        said = await asyncio.gather(*(root["a"].ask(Step(n == 3)) for n in range(4)), return_exceptions=True)
        assert [pid, pid, pid] == said[:3]
        assert isinstance(said[3], ActorCrashed)
        assert (True, False) == (said[3].started, said[3].finished)
        assert pid != await root["a"].ask(Step(), timeout=30)


async def test_asks_end_at_their_deadline_and_are_cancelled():
    """Remaining time crosses, whether the clock of the machine is ahead or behind."""
    behind = -int(time.monotonic() / 2)  # no clock of a machine is below zero
    async with tree(there(Diarist), there(Deputy, "c"), ahead=behind) as root:
        assert "x" == await root["a"].ask(Say("x"), timeout=30)
        cancelled = asyncio.create_task(root["a"].ask(Wait(), timeout=60))
        await until(lambda: root.snapshot().children[0].handling == "Wait", "it begins")
        cancelled.cancel()
        await until_asked(root["a"], Cancelled(), 1)
        with pytest.raises(AskTimeout) as late:
            await root["a"].ask(Wait(), timeout=0.2)
        assert late.value.started is not False  # True, or None: what a sample does not show at once is not known
        await until_asked(root["a"], Cancelled(), 2)
        # an actor there asks another one there, one by one and many at once, with time enough and without
        assert ["1", "2", "3"] == await root["c"].ask(Delegate(30.0), timeout=60)
        assert "AskTimeout" == await root["c"].ask(DelegateWait(0.2), timeout=60)


async def test_a_large_frame_is_whole_when_the_life_is_asked_to_stop():
    """What has been asked to stop still reads what was on its way; nothing is put in between."""
    async with tree(there(Sink)) as root:
        big = b"x" * (24 * 2**20)
        asked = [asyncio.create_task(root["a"].ask(Swallowed(big), timeout=60)) for _ in range(3)]
        await until(lambda: root.snapshot().children[0].handling == "Swallowed", "it begins")
        await root.terminate_child("a")
        (report,) = [child.last_exit for child in root.snapshot().children]
        assert ("shutdown", "") == (report.reason.kind, report.traceback or "")
        await asyncio.gather(*asked, return_exceptions=True)


async def test_each_machine_has_spares_and_ends_families():
    """The next life is on a process that was there before; whatever a dead one has begotten ends."""
    cluster = LocalCluster(("m1", "m2"), 60.0)
    spec = ChildSpec(Parent, name="a", size=2, place="any", backoff=AT_ONCE)
    async with Supervisor(spec, cluster=cluster, intensity=Intensity.unlimited(), spares=1) as root:
        watch = Watch(root)
        assert {"m1", "m2"} == {child.node for child in root.snapshot().children}
        lives = {child.node: child.pid for child in root.snapshot().children}
        agents = {name: agent.pid for name, agent in cluster.driver.agents.items()}
        begotten = await root["a"].ask(Beget(list(KINDS)), timeout=60)
        assert all(map(alive, begotten))
        for node in ("m1", "m2"):
            reused = False
            while not reused:  # a spare that is not ready is not taken
                before = spares(agents[node], lives[node])
                os.kill(lives[node], signal.SIGKILL)
                started = await watch.find(lambda happening: type(happening).__name__ == "ChildStarted")
                assert node == started.node
                reused, lives[node] = started.pid in before, started.pid
        await until(lambda: not any(map(alive, begotten)), f"the end of {begotten}")


@pytest.mark.parametrize("one_machine", [True, False])
async def test_shared_values_are_one_memory_on_one_machine_and_bytes_between_two(one_machine):
    """In a message, in a reply, in a stream and a feed, and from one actor there to another and to one at home."""
    cluster = LocalCluster(lease=60.0, driver=LocalDriver(["m1"]))
    if not one_machine:
        cluster.driver.told = {"values": "elsewhere"}
    specs = [there(Summer), there(Relayer, "b"), ChildSpec(Summer, name="home")]
    async with Supervisor(*specs, cluster=cluster, spares=0) as root:
        ones = Shared.of(np.ones(200_000))
        assert 200_000.0 == await root["a"].ask(Total(ones), timeout=60)
        echoed = await root["a"].ask(EchoShared(ones), timeout=60)
        assert 200_000.0 == echoed.array().sum()
        sums = [float(item.array().mean()) async for item in root["a"].stream(SharedNumbers(3))]
        assert [0.0, 1.0, 2.0] == sums
        assert 600_000.0 == await root["a"].feed(Upload("x"), [ones, ones, ones])
        assert 400_000.0 == await root["b"].ask(Relay("/root/a", ones), timeout=60)
        assert 400_000.0 == await root["b"].ask(Relay("/root/home", ones), timeout=60)
        assert 1 == await root["a"].ask(Keep(ones), timeout=60)
        assert one_machine == holds(root.snapshot().children[0].pid, ones)
        made = await root["a"].ask(Make(200_000, 2.0), timeout=60)
        assert isinstance(made.carried(), SharedAttachment)
        large = Shared.allocate(MAX_MESSAGE + 8, dtype="f8")
        if one_machine:
            assert 0.0 == await root["a"].ask(Total(large), timeout=60)
        else:
            with pytest.raises(UndecodableMessage, match="as bytes to another machine a message carries at most"):
                await root["a"].ask(Total(large), timeout=60)


async def test_more_shared_values_than_the_socket_takes_are_passed_in_order():
    """What is sent behind one that waits for room waits, too."""
    async with tree(there(Summer)) as root:
        values = [Shared.of(np.full(10_000, float(number))) for number in range(400)]
        sums = await asyncio.gather(*(root["a"].ask(Total(value), timeout=60) for value in values))
        assert [number * 10_000.0 for number in range(400)] == sums


def holds(pid, value):
    """Whether a process has a descriptor of the very memory of a value."""
    return any(fd.stat().st_ino == value.carried().key for fd in Path(f"/proc/{pid}/fd").iterdir())


def spares(agent, *lives):
    """The processes below an agent that run actors, and are no lives."""
    found = set()
    for task in Path(f"/proc/{agent}/task").iterdir():
        for child in (task / "children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes()
            if b"lease_guard" not in words and b"reaper" not in words and int(child) not in lives:
                found.add(int(child))
    return found


async def until_asked(ref, message, wanted):
    """Ask until the answer is as wanted."""
    deadline = time.monotonic() + 60
    while (answer := await ref.ask(message, timeout=30)) != wanted:
        assert time.monotonic() < deadline, f"{answer} did not become {wanted}"
        await asyncio.sleep(0.01)


# ---- the actors
