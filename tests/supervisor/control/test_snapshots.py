"""Many clients that ask for the tree get one snapshot together, and each gets one that was begun after it asked."""

from __future__ import annotations

import asyncio

import pytest

from supervisor import ChildSpec
from supervisor.control.look import snapshots
from supervisor.control.look.snapshots import Snapshots
from supervisor.testing import ScriptedSupervisor
from supervisor.tree.look import steps_of
from tests.support.actors import Puppet
from tests.support.waiting import DEADLINE

MANY = 100


@pytest.fixture
async def root():
    async with ScriptedSupervisor(ChildSpec(Puppet, name="a"), ChildSpec(Puppet, name="b")) as root:
        yield root


@pytest.fixture
def begun(monkeypatch):
    """The snapshots that were begun."""
    found = []

    def counted(engine):
        found.append(engine)
        return steps_of(engine)

    monkeypatch.setattr(snapshots, "steps_of", counted)
    return found


async def test_those_who_ask_together_share_one(root, begun):
    taker = Snapshots(root._engine)
    taken = await asyncio.gather(*(taker.take() for _ in range(MANY)))
    assert 1 == len(begun)
    assert 1 == len({id(one.frame) for one in taken})
    assert ["a", "b"] == [child.name for child in taken[0].tree.children]


async def test_it_is_begun_after_it_was_asked_for(root, begun):
    """Not the one that is on its way."""
    taker = Snapshots(root._engine)
    first = taker.take()
    async with asyncio.timeout(DEADLINE):
        while not begun:
            await asyncio.sleep(0)
        later = [taker.take() for _ in range(MANY)]
        await root.terminate_child("b")
        await root.delete_child("b")
        last = await taker.take()
        assert len((await first).tree.children) > len(last.tree.children) == 1
        assert 1 == len({id(await one) for one in later})
    assert len(begun) <= 3


async def test_one_that_goes_away_takes_nothing_from_the_others(root):
    taker = Snapshots(root._engine)
    gone, stays = taker.take(), taker.take()
    await asyncio.sleep(0)
    gone.cancel()
    assert 2 == len((await stays).tree.children)


async def test_the_next_one_waits_in_proportion(root, monkeypatch):
    """A tree whose snapshot takes long is not looked at all the time."""
    monkeypatch.setattr(snapshots, "PAUSE", 1e9)
    taker, loop = Snapshots(root._engine), asyncio.get_running_loop()
    await taker.take()
    assert 0 < taker._not_before - loop.time() <= snapshots.LONGEST


async def test_closed(root):
    """Who still waits is cancelled, with its connection."""
    taker = Snapshots(root._engine)
    waits = taker.take()
    await asyncio.sleep(0)
    taker.close()
    with pytest.raises(asyncio.CancelledError):
        await waits


async def test_a_command_gets_its_snapshots_at_once_and_a_crowd_shares_a_few(root, begun):
    """After a burst of them they keep their distance, whatever the number of those who ask one after the other."""
    taker, loop = Snapshots(root._engine), asyncio.get_running_loop()
    at = []
    for _ in range(2 * snapshots.BURST):
        await taker.take()
        at.append(loop.time())
    assert 2 * snapshots.BURST == len(begun)
    assert at[-1] - at[0] >= snapshots.BURST * snapshots.DISTANCE * 0.9


async def test_what_fails_is_told_to_all_who_wait(root, monkeypatch):
    """And those who ask later get the next one."""
    taker = Snapshots(root._engine)
    with monkeypatch.context() as broken:
        broken.setattr(snapshots, "steps_of", lambda engine: 1 / 0)
        waits = [taker.take() for _ in range(MANY)]
        for one in waits:
            with pytest.raises(ZeroDivisionError):
                await one
    assert 2 == len((await taker.take()).tree.children)
