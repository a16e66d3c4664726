"""What an actor says of its health: in the snapshot, in the health of the tree, as events; busy is not unwell."""

from __future__ import annotations

import asyncio

import pytest

from actors import UsageError
from supervisor import ChildSpec, HealthChanged, HealthStatus, Supervisor
from supervisor.monitors import health_check
from tests.support.unwell import AsyncGated, AsyncHealth, AsyncSays, Become, Block, Serve, SyncGated, SyncSays, Work
from tests.support.waiting import DEADLINE, until

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(("actor", "while_busy"), [(SyncSays, False), (AsyncSays, True)])
async def test_what_an_actor_says(actor, while_busy, monkeypatch):
    """It shows everywhere and goes again; sync code is asked between two messages, async code at any time."""
    monkeypatch.setattr(health_check, "PACE", 0.02)
    async with Supervisor(ChildSpec(actor, name="a"), spares=0) as root:
        events = root.events()
        if while_busy:
            await root["a"].ask(Serve(), timeout=DEADLINE)
        else:
            assert 0 == await root["a"].ask(Work(0.3), timeout=DEADLINE)
        assert HealthStatus.HEALTHY is root.health().status
        for text, said in (("behind", "behind"), ("raise", "health() raised LookupError: no backlog"), (None, None)):
            await root["a"].ask(Become(text), timeout=DEADLINE)
            await until(lambda said=said: said == root.snapshot().children[0].degraded)
            assert (() if said is None else (f"/root/a says: {said}",)) == root.health().why
            assert said is None or f"degraded: {said}" in str(root)
    told = [event.degraded async for event in events if isinstance(event, HealthChanged)]
    assert ["behind", "health() raised LookupError: no backlog", None] == told


def test_an_async_health_is_refused():
    """When the spec is made."""
    with pytest.raises(UsageError, match="AsyncHealth.health is async; it is called between other steps"):
        ChildSpec(AsyncHealth)


@pytest.mark.parametrize("actor", [SyncGated, AsyncGated])
async def test_a_health_that_hangs(actor, monkeypatch, tmp_path):
    """It is named, whether handlers are under way or not, and well again once it has answered."""
    monkeypatch.setattr(health_check, "ANSWER", 0.1)
    gate = tmp_path / "gate"
    async with Supervisor(ChildSpec(actor, args=(str(gate),), name="a", shutdown=0.0), spares=0) as root:
        asked = asyncio.create_task(root["a"].ask(Work(0)))
        await until(lambda: not root.health().ready)
        assert ("/root/a says: health() did not answer within 0.1 s",) == root.health().why
        gate.touch()
        await until(lambda: root.health().ready)
        assert 1 == root.snapshot().children[0].life
        asked.cancel()


async def test_a_busy_actor_is_not_one_whose_health_hangs(monkeypatch):
    """Also where its handler holds up the event loop on which it would be asked."""
    monkeypatch.setattr(health_check, "ANSWER", 0.3)
    monkeypatch.setattr(health_check, "PACE", 0.05)
    async with Supervisor(ChildSpec(AsyncSays, name="a"), spares=0) as root:
        events = root.events()
        assert 0 == await root["a"].ask(Block(1.0), timeout=DEADLINE)
    assert [] == [event async for event in events if isinstance(event, HealthChanged)]
