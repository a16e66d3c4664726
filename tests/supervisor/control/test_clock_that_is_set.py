"""The wall clock is set by hours while an operator looks: ages stay true, and each event is shown once."""

from __future__ import annotations

import time

import pytest

from actors.exits import ExitKind
from supervisor import ChildSpec, Intensity
from supervisor.control import frames as wire
from supervisor.control.framing import HEAD, read_reply
from supervisor.control.operations import Operations
from supervisor.ctl.web.feed import Feed
from supervisor.ctl.web.watch import Watch
from supervisor.testing import ScriptedSupervisor
from tests.support.actors import Puppet
from tests.support.control import short_folder
from tests.support.waiting import until

HOURS = pytest.mark.parametrize("hours", [5, -5])


@pytest.fixture
def step(monkeypatch):
    """Sets the wall clock by so many hours."""
    real = time.time
    return lambda hours: monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)


async def another_life(root):
    """The life of `a` ends, and the next one runs; its number."""
    before = root.launcher.life("/root/a")
    before.exit(ExitKind.KILLED)
    await until(lambda: root.launcher.lives[-1] is not before and root.launcher.lives[-1].ready)
    return before.number + 1


async def replies(operations, request):
    return [read_reply(frame[HEAD:]) async for frame in operations.serve(request)]


@HOURS
async def test_a_death_is_no_older_and_no_younger(step, hours):
    """Five hours back, an old death would be a fresh one; five hours ahead, a fresh one would be forgotten."""
    async with ScriptedSupervisor(ChildSpec(Puppet, name="a")) as root:
        operations = Operations(root._engine)
        await another_life(root)
        step(hours)
        [explained] = await replies(operations, wire.Explain("a"))
        operations.close()
    assert "restarted" == explained.found[0].verdict
    assert "died just now" in explained.found[0].sentence


@HOURS
async def test_the_daemon_runs_as_long_as_it_runs(step, hours):
    """`started` is as the clock is set now, and does not move with each look."""
    async with ScriptedSupervisor(ChildSpec(Puppet, name="a")) as root:
        operations = Operations(root._engine)
        [before], [again] = [await replies(operations, wire.Identify()) for _ in range(2)]
        assert before.started == again.started
        step(hours)
        [after] = await replies(operations, wire.Identify())
        operations.close()
    assert after.started - before.started == pytest.approx(hours * 3600, abs=60)


async def test_each_event_has_a_number():
    """Those of the past, those that follow, and those for which a client was too slow."""
    async with ScriptedSupervisor(ChildSpec(Puppet, name="a"), intensity=Intensity.unlimited()) as root:
        operations = Operations(root._engine)
        for _ in range(3):
            await another_life(root)
        count = operations._history.count
        past = await replies(operations, wire.ShowEvents(last=2, follow=False))
        assert [count - 1, count] == [one.number for one in past if isinstance(one, wire.Occurred)]
        following = operations.serve(wire.ShowEvents(last=1, follow=True))
        read = [read_reply((await anext(following))[HEAD:])]
        await another_life(root)
        read.append(read_reply((await anext(following))[HEAD:]))
        assert [count, count + 1] == [one.number for one in read]
        await following.aclose()
        operations.close()


def started(feed, life):
    """How often a page shows the start of a life."""
    return [event.text for _, event in feed._events].count(f"/root/a life {life} is ready")


async def test_a_page_shows_each_event_once(step):
    """Over a connection that is lost, and a clock that is set back meanwhile."""
    with short_folder() as folder:
        path, feed = folder / "ctl", Feed()
        async with ScriptedSupervisor(
            ChildSpec(Puppet, name="a"), intensity=Intensity.unlimited(), control=path
        ) as root:
            watch = Watch(path, feed)
            try:
                for hours in (-5, -10, 5):
                    number = await another_life(root)
                    await until(lambda number=number: started(feed, number))
                    step(hours)
                    watch._following.interrupt()
                number = await another_life(root)
                await until(lambda: started(feed, number))
            finally:
                watch.close()
    for life in range(2, number + 1):
        assert 1 == started(feed, life), f"life {life}"
