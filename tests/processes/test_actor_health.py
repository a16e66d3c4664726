"""What an actor says of its health: in the snapshot, in the health of the tree, as events; busy is not unwell."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

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


class Serve(Message[None]):
    """Be busy until it was asked how it is."""


class Block(Work):
    """The same, and no other handler runs."""


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
    async def serve(self, msg: Serve) -> None:
        before = self.asked
        while self.asked == before:
            await asyncio.sleep(0.001)

    @handles
    async def block(self, msg: Block) -> int:
        before = self.asked
        time.sleep(msg.seconds)  # noqa: ASYNC251 - it is what the test is about
        return self.asked - before


class Gated(Actor):
    """Its `health` returns when a file exists."""

    def __init__(self, gate: str) -> None:
        self.gate = Path(gate)

    def health(self) -> str | None:
        while not self.gate.exists():
            time.sleep(0.01)
        return None


class SyncGated(Gated):
    @handles
    def work(self, msg: Work) -> int:
        return 1


class AsyncGated(Gated):
    @handles
    async def work(self, msg: Work) -> int:
        await asyncio.Event().wait()
        return 0


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
