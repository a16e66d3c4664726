"""The daemon is stopped (SIGSTOP) beyond the times that its children have: they get them once more."""

from __future__ import annotations

import asyncio

import pytest

from actors.exits import ExitKind
from supervisor import StartFailed
from supervisor.testing import OnStart, OnStop
from tests.support.scripted import child, states, tree
from tests.support.waiting import until


@pytest.fixture
def stop(monkeypatch):
    """Lets a hundred seconds pass in which the loop does not run; returns when it has seen to what was due."""

    async def stopped():
        loop, due = asyncio.get_running_loop(), asyncio.Event()
        time = loop.time
        loop.call_at(loop.time() + 50, due.set)
        monkeypatch.setattr(loop, "time", lambda: time() + 100)
        await due.wait()
        await asyncio.sleep(0)

    return stopped


async def begin_start(root):
    """The start of a second child, which has five seconds and hangs."""
    root.launcher.plan("/root/b", OnStart.HANG)
    starting = asyncio.create_task(root.start_child(child("b", start_timeout=5.0)))
    await until(lambda: len(root.launcher.lives) == 2)
    return starting


async def test_a_start(stop):
    async with tree(child("a")) as root:
        starting = await begin_start(root)
        await stop()
        assert {"a": "running", "b": "starting"} == states(root)
        root.launcher.life("/root/b").become_ready()
        await starting


async def test_a_stop(stop):
    async with tree(child("a")) as root:
        root.launcher.plan("/root/b", on_stop=OnStop.IGNORE)
        await root.start_child(child("b", shutdown=5.0))
        life = root.launcher.life("/root/b")
        stopping = asyncio.create_task(root.terminate_child("b"))
        await until(lambda: states(root)["b"] == "stopping")
        await stop()
        assert not life.over
        life.exit(ExitKind.SHUTDOWN)
        await stopping


async def test_once_more_is_not_for_ever(stop):
    async with tree(child("a")) as root:
        starting = await begin_start(root)
        await stop()
        await stop()
        with pytest.raises(StartFailed):
            await starting
