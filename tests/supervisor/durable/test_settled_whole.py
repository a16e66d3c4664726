"""What one frame of a durable actor settles is stored with its state, or nothing of it is."""

from __future__ import annotations

import asyncio

import pytest

from actors import ActorCrashed, AskTimeout
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from supervisor.store import SQLiteStore
from tests.support.packing import Pack, Packed, Packer, Put, Silent, Wait
from tests.support.waiting import until

pytestmark = pytest.mark.processes

ENOUGH = 60.0


def tree(tmp_path, actor=Packer, **options):
    packer = ChildSpec(actor, name="packer", durable=True, backoff=Backoff(initial=0, cap=0, jitter=0), **options)
    return Supervisor(packer, store=SQLiteStore(tmp_path / "kept.db"), intensity=Intensity(100, 5.0), spares=0)


async def test_a_reply_that_the_daemon_cannot_read_was_handled(tmp_path, monkeypatch):
    """It is in the state, as are the tells before it; the life ends, and nothing is handled again."""
    monkeypatch.setenv("PARCELS_FAIL", "1")
    async with tree(tmp_path) as root:
        packer = root["packer"]
        waiting = asyncio.create_task(packer.ask(Wait(str(tmp_path / "gate")), timeout=ENOUGH))
        await until(lambda: root.snapshot().children[0].mailbox, "it is handled")
        for number in range(3):
            await packer.tell(Put(f"put {number}"))
        asked = asyncio.create_task(packer.ask(Pack("pack"), timeout=ENOUGH))
        await until(lambda: root.snapshot().children[0].mailbox == 5, "all are there")
        (tmp_path / "gate").touch()
        await waiting
        with pytest.raises(ActorCrashed, match="a reply does not decode") as told:
            await asked
        assert told.value.finished
        assert ["put 0", "put 1", "put 2", "pack"] == await packer.ask(Packed(), timeout=ENOUGH)
        assert 2 == root.snapshot().children[0].life


async def test_an_ask_with_the_key_of_a_tell_that_is_only_in_the_store(tmp_path):
    """It is told so when that is handled; what the actor has done meanwhile stays done."""
    async with tree(tmp_path, mailbox=1) as root:
        packer = root["packer"]
        waiting = asyncio.create_task(packer.ask(Wait(str(tmp_path / "gate")), timeout=ENOUGH))
        await until(lambda: root.snapshot().children[0].mailbox, "it is handled")
        await packer.tell(Put("before"))
        await packer.tell(Put("keyed"), key="order-1")
        asked = asyncio.create_task(packer.ask(Put("keyed"), key="order-1", timeout=ENOUGH))
        wrong = asyncio.create_task(packer.ask(Packed(), key="order-1", timeout=ENOUGH))
        await packer.tell(Put("after"))
        (tmp_path / "gate").touch()
        await waiting
        assert await asked is None
        with pytest.raises(ActorCrashed, match="the first message with this key was a tell"):
            await wrong
        assert ["before", "keyed", "after"] == await packer.ask(Packed(), timeout=ENOUGH)
        assert 1 == root.snapshot().children[0].life


async def test_an_ask_with_the_key_of_a_delayed_tell(tmp_path):
    """It is told when that is handled, whatever number it gets when it is due; so is the next one with the key."""
    async with tree(tmp_path) as root:
        packer = root["packer"]
        await packer.tell(Put("later"), key="order-1", delay=0.3)
        with pytest.raises(AskTimeout, match="it is not withdrawn: the same key gets its outcome later"):
            await packer.ask(Put("later"), key="order-1", timeout=0.05)
        for _ in range(2):
            assert await packer.ask(Put("later"), key="order-1", timeout=ENOUGH) is None
        assert ["later"] == await packer.ask(Packed(), timeout=ENOUGH)


async def test_an_ask_that_is_not_answered_is_handled_again(tmp_path):
    """Nothing of such a frame is stored: the next life begins with the state before it."""
    async with tree(tmp_path, Silent) as root:
        await root["packer"].ask(Put("once"), key="order-1", timeout=ENOUGH)
        assert 2 == root.snapshot().children[0].life
        assert ["once"] == await root["packer"].ask(Packed(), timeout=ENOUGH)
