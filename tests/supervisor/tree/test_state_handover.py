"""State passes to the next life when a process is recycled; after a crash there is none."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from actors import ActorCrashed
from actors.wire.from_child import Saved
from supervisor import ChildSpec, ChildStarted, Intensity, Supervisor
from supervisor.testing import OnStart, ScriptedLauncher
from tests.support.keepers import AsyncKeeper, Die, Keeper, Put, Shown, Total
from tests.support.scripted import answering, child, tree
from tests.support.waiting import Watch, until

pytestmark = pytest.mark.processes

# ---- without processes


async def test_the_daemon_hands_on_what_it_was_told_and_nothing_else():
    """Bytes in, the same bytes out, before the first message; a crash drops them once the life has done something."""
    launcher = answering(ScriptedLauncher(), answer=lambda life, message: None)
    async with tree(child(actor=Keeper), launcher=launcher) as root:
        launcher.plan("/root/a", OnStart.READY)
        (first,) = launcher.lives
        first.say(Saved(msgspec.Raw(b"\x01")))
        await root.recycle("a")
        second = launcher.lives[-1]
        assert (None, b"\x01") == (first.state, second.state)
        second.exit()  # it has begun nothing: what it was given is still what counts
        await until(lambda: len(launcher.lives) == 3 and launcher.lives[-1].ready)
        assert b"\x01" == launcher.lives[-1].state


async def test_a_state_of_a_class_without_one_breaks_the_protocol():
    """Only that life ends."""
    launcher = ScriptedLauncher()
    async with tree(child(), launcher=launcher) as root:
        watch = Watch(root)
        launcher.lives[0].say(Saved(msgspec.Raw(b"\x01")))
        assert "its class has no save" in str((await watch.exited("a")).reason)


# ---- with processes


@pytest.mark.parametrize("actor", [Keeper, AsyncKeeper])
@pytest.mark.parametrize("overlap", [True, False])
async def test_state_outlives_recycling(actor, overlap):
    """By call and by limit, with two processes for a while or one after the other."""
    async with Supervisor(
        ChildSpec(actor, name="a", max_messages=2, overlap=overlap), intensity=Intensity(0, 5)
    ) as root:
        watch = Watch(root)
        assert 1 == await root["a"].ask(Put(1))
        await root.recycle("a")
        assert 3 == await root["a"].ask(Put(2))
        assert [1] == (await root["a"].ask(Shown())).lives
        await watch.find(lambda event: isinstance(event, ChildStarted) and event.life == 3)
        assert [6, 10] == await asyncio.gather(root["a"].ask(Put(3)), root["a"].ask(Put(4)))
        assert [1, 2] == (await root["a"].ask(Shown())).lives[:2]


async def test_a_crash_loses_it():
    async with Supervisor(ChildSpec(Keeper, name="a"), spares=0) as root:
        await root["a"].ask(Put(5))
        await root.recycle("a")
        assert 5 == await root["a"].ask(Put(0))
        with pytest.raises(ActorCrashed):
            await root["a"].ask(Die())
        assert 1 == await root["a"].ask(Put(1))


async def test_the_members_of_a_pool_keep_their_own():
    async with Supervisor(ChildSpec(Keeper, name="a", size=2), spares=0) as root:
        totals = await asyncio.gather(*(root["a"].ask(Put(1)) for _ in range(20)))
        await root.recycle("a")
        assert 20 + max(totals) > 0
        kept = [await root["a"].ask(Shown()) for _ in range(2)]
        assert all(isinstance(one, Total) for one in kept)


async def test_a_state_that_does_not_load_is_a_failed_start_with_that_text():
    async with Supervisor(ChildSpec(Keeper, name="a", overlap=False), intensity=Intensity(3, 60), spares=0) as root:
        watch = Watch(root)
        await root["a"].ask(Put(-1))
        recycling = asyncio.create_task(root.recycle("a"))
        report = await watch.find(lambda event: "a total of -1" in str(getattr(event, "report", "")))
        assert "in Keeper.load" in str(report.report.reason)
        recycling.cancel()


async def test_a_state_of_another_type_is_not_saved():
    async with Supervisor(ChildSpec(Keeper, name="a"), spares=0) as root:
        watch = Watch(root)
        await root["a"].ask(Put(1000))
        recycling = asyncio.create_task(root.recycle("a"))
        report = await watch.exited("a")
        assert "in Keeper.save" in str(report.reason)
        assert "save() returned a str, its annotation is Total" in str(report.reason)
        await asyncio.wait([recycling])
        assert 1 == await root["a"].ask(Put(1))
