"""A killed actor is back at once, whatever its siblings do: hang in `on_start`, or refuse to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest

from actors import ActorStopped
from supervisor import (
    BRUTAL_KILL,
    Backoff,
    ChildSpec,
    ChildStarted,
    Intensity,
    StartFailed,
    Supervisor,
    SupervisorBusy,
    SupervisorSpec,
)
from supervisor.core.rules.states import ChildState
from tests.support.actors import HangsInStop
from tests.support.bank import Bank, Pid
from tests.support.slow_starters import HangsInEveryStart, HangsInSecondStart
from tests.support.waiting import Watch, until

pytestmark = pytest.mark.processes

AT_ONCE = Backoff(initial=0.0, cap=0.0)
KILLS = 3
SOON = 10.0  # seconds, of the quickest recovery; the siblings are in the way for an hour


def third() -> ChildSpec:
    return ChildSpec(Bank, args=(os.devnull,), name="third", backoff=AT_ONCE)


def hanging() -> ChildSpec:
    return ChildSpec(HangsInSecondStart, name="hangs", backoff=AT_ONCE, shutdown=BRUTAL_KILL, start_timeout=3000.0)


def state(root: Supervisor, name: str) -> ChildState:
    return next(child.state for child in root.which_children() if child.name == name)


async def kill(root: Supervisor, name: str) -> None:
    pid = next(child.pid for child in root.which_children() if child.name == name)
    os.kill(pid or 0, signal.SIGKILL)


async def recovery(root: Supervisor) -> float:
    """Kill the third child some times; seconds the quickest recovery took, from the kill to an answer."""
    times = []
    for _ in range(KILLS):
        watch = Watch(root)
        began = time.monotonic()
        await kill(root, "third")
        started = await watch.started("third")
        assert started.pid == await root["third"].ask(Pid(), timeout=20.0)
        times.append(time.monotonic() - began)
        others = [seen for seen in watch.seen if isinstance(seen, ChildStarted) and seen is not started]
        assert not others, "no other child had to become ready first"
    return min(times)


@contextlib.asynccontextmanager
async def stubborn(root: Supervisor, how: str) -> AsyncIterator[None]:
    """A child that was told to terminate and does not: stopped by a signal, or asleep in on_stop; killed at the end."""
    pid = next(child.pid for child in root.which_children() if child.name == "stubborn") or 0
    if how == "SIGSTOP":
        os.kill(pid, signal.SIGSTOP)
    terminating = asyncio.create_task(root.terminate_child("stubborn"))
    await until(lambda: state(root, "stubborn") is ChildState.STOPPING, "its stop")
    try:
        yield
        assert not terminating.done()
        assert state(root, "stubborn") is ChildState.STOPPING
    finally:
        os.kill(pid, signal.SIGKILL)
        await terminating


@contextlib.asynccontextmanager
async def company() -> AsyncIterator[Supervisor]:
    """A tree of three: one hangs in its second start, one will refuse to stop."""
    refuses = ChildSpec(HangsInStop, name="stubborn", shutdown=3000.0)
    async with Supervisor(hanging(), refuses, third(), intensity=Intensity.unlimited(), spares=0) as root:
        await kill(root, "hangs")
        await until(lambda: state(root, "hangs") is ChildState.STARTING, "its second start")
        yield root


@pytest.mark.parametrize("how", ["SIGSTOP", "on_stop"])
async def test_a_killed_child_is_back_at_once(how: str) -> None:
    """One sibling hangs in on_start, one refuses to stop: the third is back as if they were not there."""
    async with company() as root, stubborn(root, how):
        assert await recovery(root) < SOON
        assert state(root, "hangs") is ChildState.STARTING


async def test_calls_on_others_are_answered_meanwhile() -> None:
    """While one child hangs and one refuses to stop, others are started, stopped, restarted, deleted and listed."""
    async with company() as root:
        async with stubborn(root, "SIGSTOP"), asyncio.timeout(30.0):
            await root.start_child(ChildSpec(Bank, args=(os.devnull,), name="fourth"))
            await root["fourth"].ask(Pid(), timeout=20.0)
            await root.terminate_child("fourth")
            with pytest.raises(ActorStopped):
                await root["fourth"].ask(Pid())
            await root.restart_child("fourth")
            await root.terminate_child("fourth")
            await root.delete_child("fourth")
            with pytest.raises(SupervisorBusy) as busy:
                await root.restart_child("hangs")
            assert "restarting" == busy.value.answer
            assert 3 == root.count_children().specs
            await root.terminate_child("hangs")
            assert ChildState.STOPPED is state(root, "hangs")
            await root["third"].ask(Pid())


async def test_a_subtree_that_hangs_holds_up_no_other() -> None:
    """A whole supervisor that cannot finish its start is one child like another."""
    async with Supervisor(third(), intensity=Intensity.unlimited(), spares=0) as root:
        slow = ChildSpec(HangsInEveryStart, name="slow", shutdown=BRUTAL_KILL, start_timeout=3000.0)
        starting = asyncio.create_task(root.start_child(SupervisorSpec(slow, name="below")))
        await until(lambda: "below" in {child.name for child in root.which_children()}, "its start")
        await recovery(root)
        assert not starting.done()
        await root.terminate_child("below")
        with pytest.raises(StartFailed, match="terminated before it was ready"):
            await starting
