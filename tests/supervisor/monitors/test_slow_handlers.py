"""Slow handlers are reported with their stacks, at doubled times, and go on."""

from __future__ import annotations

import asyncio
import time

import pytest

from actors.wire.progress import Activity, Work
from supervisor import ChildSpec, HandlerSlow, InvalidSpec, Supervisor
from supervisor.monitors.slow_handlers import SlowHandlers
from supervisor.spec_validation import check_child
from supervisor.specs import SupervisorSpec
from supervisor.testing import ScriptedLauncher
from tests.support.crawlers import AsyncCrawler, Crawl, Crawler, CrawlUntil
from tests.support.scripted import child, tree
from tests.support.waiting import DEADLINE, until

pytestmark = pytest.mark.processes


async def slow(root, count):
    found = []
    async for event in root.events():
        if isinstance(event, HandlerSlow):
            found.append(event)
            if len(found) == count:
                return found
    raise AssertionError


@pytest.mark.parametrize(("actor", "where"), [(Crawler, "in crawl_until"), (AsyncCrawler, "in rest")])
async def test_reported_again_at_doubled_times(actor, where, logs, tmp_path):
    """With handler, time and stacks, those of tasks included; the handler ends as if nothing was."""
    async with Supervisor(ChildSpec(actor, name="a", soft_timeout=0.1), spares=0) as root:
        waiting = asyncio.create_task(slow(root, 3))
        asked = asyncio.create_task(root["a"].ask(CrawlUntil(str(tmp_path / "gate")), timeout=DEADLINE))
        found = await waiting
        (tmp_path / "gate").touch()
        assert "there" == await asked
        assert 1 == root.snapshot().children[0].life
    assert {(f"{actor.__qualname__}.crawl_until", "/root/a", 1)} == {
        (one.handler, one.actor, one.life) for one in found
    }
    assert all(one.seconds >= 0.1 * 2**number for number, one in enumerate(found))
    assert all(where in (one.stacks or "") for one in found)
    assert len([line for line in logs if line["event"] == "handler.slow" and "stacks" in line]) >= 3


async def test_quick_handlers_are_not_reported(logs):
    """Nor those that asked for more time."""
    async with Supervisor(ChildSpec(Crawler, name="a", soft_timeout=0.2), spares=0) as root:
        for _ in range(20):
            await root["a"].ask(Crawl(0.0), timeout=DEADLINE)
        await root["a"].ask(Crawl(-0.5), timeout=DEADLINE)
    assert "handler.slow" not in {line["event"] for line in logs}


@pytest.mark.parametrize(("soft", "hard"), [(0.0, None), (float("nan"), None), (2.0, 2.0), (3.0, 2.0)])
def test_refused(soft, hard):
    """A limit that is no time, or that the hard one forestalls."""
    spec = ChildSpec(Crawler, name="a", soft_timeout=soft, handler_timeout=hard)
    with pytest.raises(InvalidSpec, match="soft_timeout"):
        check_child(spec, SupervisorSpec(spec))


async def test_a_handler_that_has_left():
    """By sys.exit, while a thread of its own keeps the process: it is over, whatever the black box says."""
    launcher, slow = ScriptedLauncher(), []
    async with tree(child("a"), child("b"), launcher=launcher):
        for name in ("a", "b"):
            life = launcher.life(f"/root/{name}")
            life.goes_on = Activity((Work(0, time.monotonic_ns(), 0, 0),), 1, 0, False)
            life.said_farewell = name == "a"
            SlowHandlers(0.001, life, asyncio.get_running_loop(), time, lambda *_, name=name: slow.append(name))
        await until(lambda: len(slow) > 1, "two reports")
        for name in ("a", "b"):
            launcher.life(f"/root/{name}").said_farewell = True
    assert {"b"} == set(slow)
