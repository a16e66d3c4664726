"""What an actor says of its health: in the snapshot, in the health of the tree, as events; busy is not unwell."""

from __future__ import annotations

import asyncio
import time

import pytest

from actors import Actor, Message, UsageError, handles
from supervisor import ChildSpec, HealthChanged, HealthStatus, Supervisor
from supervisor.monitors import health_check
from tests.support.waiting import DEADLINE, until

pytestmark = pytest.mark.processes


class Become(Message[None]):
    """Be unwell, or well again."""

    text: str | None


class Work(Message[int]):
    """Be busy; answers how often it was asked how it is meanwhile."""

    seconds: float


class Says(Actor):
    def __init__(self) -> None:
        self.text: str | None = None
        self.asked = 0

    def health(self) -> str | None:
        self.asked += 1
        if self.text == "raise":
            raise LookupError("no backlog")
        return self.text


class SyncSays(Says):
    @handles
    def become(self, msg: Become) -> None:
        self.text = msg.text

    @handles
    def work(self, msg: Work) -> int:
        before = self.asked
        time.sleep(msg.seconds)
        return self.asked - before


class AsyncSays(Says):
    @handles
    async def become(self, msg: Become) -> None:
        self.text = msg.text

    @handles
    async def work(self, msg: Work) -> int:
        before = self.asked
        await asyncio.sleep(msg.seconds)
        return self.asked - before


class AsyncHealth(Actor):
    async def health(self) -> str | None:
        return None

    @handles
    def work(self, msg: Work) -> int:
        return 0


@pytest.mark.parametrize(("actor", "while_busy"), [(SyncSays, False), (AsyncSays, True)])
async def test_what_an_actor_says(actor, while_busy, monkeypatch):
    """It shows everywhere and goes again; sync code is asked between two messages, async code at any time."""
    monkeypatch.setattr(health_check, "PACE", 0.02)
    async with Supervisor(ChildSpec(actor, name="a"), spares=0) as root:
        events = root.events()
        assert await root["a"].ask(Work(0.3), timeout=DEADLINE) > 0 if while_busy else True
        if not while_busy:
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
