"""An actor that was deleted from a running tree and is started again begins with what the store has by then."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from actors import ActorCrashed, NoSuchActor, UsageError
from supervisor import Backoff, ChildSpec, Intensity, Supervisor, SupervisorBusy, SupervisorSpec
from supervisor.store import SQLiteStore, StoreError
from supervisor.store.writes import SaveState
from tests.support.ledgers import Charge, Kill, Ledger, Show
from tests.support.waiting import DEADLINE, Watch, until

pytestmark = pytest.mark.processes


def spec(name):
    return ChildSpec(Ledger, name=name, durable=True, max_deliveries=1, backoff=Backoff(initial=0, cap=0, jitter=0))


def tree(store, *names):
    return Supervisor(*map(spec, names), store=store, spares=0, intensity=Intensity.unlimited())


async def delete(root, name):
    await root.terminate_child(name)
    await root.delete_child(name)


async def test_what_was_discarded_is_gone(tmp_path):
    """State and keys, also where the tree still has a mailbox of that path."""
    async with tree(SQLiteStore(tmp_path / "shop.db"), "a") as root:
        assert await root["a"].ask(Charge(5), key="order") == 5
        await delete(root, "a")
        await root.store.discard("a")
        await root.start_child(spec("a"))
        assert await root["a"].ask(Charge(1), key="order") == 1


async def test_what_was_moved_is_with_the_other_alone(tmp_path):
    """State and messages; numbers of what comes later follow."""
    async with tree(SQLiteStore(tmp_path / "shop.db"), "a", "b") as root:
        await root["a"].ask(Charge(5))
        await root["a"].tell(Charge(1, "later"), delay=3600)
        await delete(root, "a")
        await delete(root, "b")
        await root.store.move("a", "b")
        for name in "ab":
            await root.start_child(spec(name))
        assert await root["a"].ask(Charge(0)) == 0
        assert await root["b"].ask(Charge(0)) == 5
        await root["b"].tell(Charge(1, "later"), delay=3600)


async def test_nothing_is_added_to_a_mailbox_that_is_being_started(tmp_path):
    """A start goes by what it has read: what a move or a requeue adds behind it would have the numbers of others."""
    async with tree(SQLiteStore(tmp_path / "shop.db"), "a", "b") as root:
        with pytest.raises(ActorCrashed):
            await root["b"].ask(Kill())
        (letter,) = await root.store.dead_letters("b")
        await root["a"].ask(Charge(5, "moved"))
        await root["a"].tell(Charge(1, "later"), delay=3600)
    async with tree(SQLiteStore(tmp_path / "shop.db")) as root:
        starting = asyncio.create_task(root.start_child(spec("b")))
        await asyncio.sleep(0)  # it is reading
        for change in (root.store.move("a", "b"), root.store.discard("b")):
            with pytest.raises(UsageError, match=r"/root/b is being started: .*Nothing was changed"):
                await change
        await starting
        await root.store.requeue(letter.id)
        assert await root["b"].ask(Charge(1)) == 1
        assert {"a"} == {one.mailbox for one in await root.store.mailboxes() if one.delayed}


async def test_a_start_that_was_cancelled_leaves_the_mailbox_free(tmp_path):
    """While it read, and when it had read."""
    async with tree(SQLiteStore(tmp_path / "shop.db")) as root:
        starting = asyncio.create_task(root.start_child(SupervisorSpec(spec("a"), spec("b"), name="sub")))
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        for name in ("sub/a", "sub/b"):
            assert await root.store.discard(name) == 0


async def test_what_was_requeued_meanwhile_is_handled(tmp_path):
    """And what is sent afterwards, behind it."""
    async with tree(SQLiteStore(tmp_path / "shop.db"), "a") as root:
        with pytest.raises(ActorCrashed):
            await root["a"].ask(Kill())
        (letter,) = await root.store.dead_letters("a")
        await delete(root, "a")
        await root.store.requeue(letter.id)
        await root.start_child(spec("a"))
        with pytest.raises(SupervisorBusy):
            await root.start_child(spec("a"))
        await root["a"].tell(Charge(1, "behind"))
        assert ["behind"] == (await root["a"].ask(Show())).entries
        (letter,) = await root.store.dead_letters("a")
        assert letter.message == Kill()


class Failing(SQLiteStore):
    """Refuses what has a state while `fails`."""

    fails = False

    def commit(self, group):
        if self.fails and any(isinstance(write, SaveState) for write in group):
            raise StoreError("the disk is full")
        return super().commit(group)


async def test_what_is_not_stored_yet_is_waited_for_or_told(tmp_path):
    """Neither moved nor started on the state before it."""
    store = Failing(tmp_path / "shop.db")
    async with tree(store, "a") as root:
        assert await root["a"].ask(Charge(5)) == 5
        watch = Watch(root)
        store.fails = True
        asking = asyncio.ensure_future(root["a"].ask(Charge(1)))
        await watch.find(lambda event: getattr(event, "detail", "") == "the disk is full")
        await delete(root, "a")
        for refused in (root.store.move("a", "b"), root.store.discard("a"), root.start_child(spec("a"))):
            with pytest.raises(StoreError, match="what a has handled is not stored yet: the disk is full"):
                await refused
        store.fails = False
        await asking
        await root.start_child(spec("a"))
        assert await root["a"].ask(Charge(0)) == 6


@pytest.mark.parametrize("discarded", [False, True])
async def test_what_comes_back_with_the_next_life_of_its_supervisor(tmp_path, discarded):
    """A child of its spec that was deleted has its state and messages again, or what is left of them."""
    below = SupervisorSpec(spec("a"), spec("b"), name="shop", intensity=Intensity(0, 5.0))
    root = Supervisor(below, store=SQLiteStore(tmp_path / "shop.db"), spares=0, intensity=Intensity.unlimited())
    async with root:
        assert await root["shop/b"].ask(Charge(5)) == 5
        await root["shop/b"].tell(Charge(1), delay=0.1)
        await delete(root, "shop/b")
        if discarded:
            await root.store.discard("shop/b")
        os.kill(root.snapshot().children[0].children[0].pid, signal.SIGKILL)
        await until(lambda: has(root, "shop/b"), "its next life")
        if not discarded:
            await until_balance(root["shop/b"], 6)
        assert await root["shop/b"].ask(Charge(1)) == (1 if discarded else 7)


def has(root, name):
    try:
        root[name]
    except NoSuchActor:
        return False
    return True


async def until_balance(ledger, wanted):
    async with asyncio.timeout(DEADLINE):
        while await ledger.ask(Charge(0)) != wanted:
            await asyncio.sleep(0.01)
