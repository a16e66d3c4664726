"""start_child that is cancelled is undone, at whatever moment: the child is stopped, its spec is gone."""

from __future__ import annotations

import asyncio

import pytest

from supervisor import ChildSpec, Strategy, Supervisor
from tests.support.gated import Gated
from tests.support.waiting import DEADLINE, at_rest, until

pytestmark = pytest.mark.processes


async def at_once(root, gate):
    """Before its task has begun."""


async def as_a_task(root, gate):
    """When its task has begun."""
    await asyncio.sleep(0)


async def when_the_machine_knows(root, gate):
    await until(lambda: any(child.name == "late" or child.name.startswith("late/") for child in root.which_children()))


async def in_its_init(root, gate):
    await until(lambda: gate.with_name("gate.begun").exists(), "its __init__")


async def when_it_becomes_ready(root, gate):
    gate.touch()
    await until(
        lambda: any(child.name.startswith("late") and child.state == "running" for child in root.which_children())
    )


MOMENTS = [at_once, as_a_task, when_the_machine_knows, in_its_init, when_it_becomes_ready]


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
async def test_it_is_undone(tmp_path, moment, size):
    """When the CancelledError comes out nothing of it is there, and its name is free."""
    gate = tmp_path / "gate"
    spec = ChildSpec(Gated, args=(str(gate),), name="late", size=size, shutdown=0.05, start_timeout=60)
    async with Supervisor(spares=0) as root:
        starting = asyncio.create_task(root.start_child(spec))
        await moment(root, gate)
        if not starting.cancel():
            return  # it was through before it could be cancelled
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(DEADLINE):
                await starting
        assert () == root.which_children()
        gate.touch()
        assert "/root/late" == await root.start_child(ChildSpec(Gated, args=(str(gate),), name="late"))


async def test_a_wait_that_is_too_short(tmp_path):
    """wait_for around it leaves nothing behind."""
    async with Supervisor(spares=0) as root:
        with pytest.raises(TimeoutError):
            spec = ChildSpec(Gated, args=(str(tmp_path / "gate"),), name="late", shutdown=0.05, start_timeout=60)
            await asyncio.wait_for(root.start_child(spec), 0.2)
        assert () == root.which_children()


async def test_cancelled_twice(tmp_path):
    """The second time it comes out at once, and is undone by itself."""
    gate = tmp_path / "gate"
    spec = ChildSpec(Gated, args=(str(gate),), name="late", shutdown=0.2, start_timeout=60)
    async with Supervisor(spares=0) as root:
        starting = asyncio.create_task(root.start_child(spec))
        await in_its_init(root, gate)
        for _ in range(2):
            starting.cancel()
            await at_rest()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await until(lambda: () == root.which_children(), "the end of the start")


async def test_the_supervisor_ends_meanwhile(tmp_path):
    """The end of the tree takes it along; nothing hangs."""
    gate = tmp_path / "gate"
    spec = ChildSpec(Gated, args=(str(gate),), name="late", shutdown=0.05, start_timeout=60)
    async with asyncio.timeout(DEADLINE):
        async with Supervisor(spares=0, strategy=Strategy.ONE_FOR_ALL) as root:
            starting = asyncio.create_task(root.start_child(spec))
            await in_its_init(root, gate)
            starting.cancel()
            root.request_stop()
        with pytest.raises(asyncio.CancelledError):
            await starting
