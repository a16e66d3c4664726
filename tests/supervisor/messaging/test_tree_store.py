"""root.store: dead letters that are listed, requeued and dropped, and what actors left that are gone from the tree."""

from __future__ import annotations

import asyncio
import time

import pytest

from actors import ActorCrashed, UsageError
from actors.wire.codec import encode
from supervisor import Backoff, ChildSpec, Intensity, Schedule, Supervisor
from supervisor.store import SQLiteStore, StoreError
from supervisor.store.writes import PutSchedule, ScheduleRow
from tests.support.ledgers import Charge, Kill, Ledger, Notebook, Show
from tests.support.scripted import child
from tests.support.scripted import tree as scripted
from tests.support.stored import accept


def tree(path, *specs):
    backoff = Backoff(initial=0.0, cap=0.0, jitter=0.0)
    specs = specs or (ChildSpec(Ledger, durable=True, backoff=backoff, max_deliveries=2),)
    return Supervisor(*specs, store=SQLiteStore(path), intensity=Intensity(100, 5.0), spares=0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


async def poisoned(root, times=2):
    """A message that has ended as many processes as it may; it would spare the next one."""
    with pytest.raises(ActorCrashed):
        await root["ledger"].ask(Kill(times=times))


@pytest.mark.processes
async def test_a_dead_letter_is_listed_requeued_and_dropped(path):
    """Also by the next daemon; requeued, it is handled as the last message."""
    async with tree(path) as root:
        await root["ledger"].ask(Charge(5, "a"))
        await poisoned(root)
        (letter,) = await root.store.dead_letters("ledger")
        assert (letter.actor, letter.message_type, letter.reason, letter.deliveries) == (
            "/root/ledger",
            "Kill",
            "poison",
            2,
        )
        assert letter.message == Kill(times=2)
        assert letter.sent_at <= letter.died_at <= time.time()
        await root.store.requeue(letter.id)
        await until_entries(root, ["a", "killed"])
        assert await root.store.dead_letters() == []
        with pytest.raises(StoreError, match="no dead letter"):
            await root.store.requeue(letter.id)
        assert await root["ledger"].ask(Charge(1)) == 6
    async with tree(path) as root:
        await poisoned(root)
    async with tree(path) as root:
        (letter,) = [letter async for letter in root.store.dead_letters("/root/ledger")]
        await root.store.drop(letter.id)
        assert await root.store.dead_letters() == []
        with pytest.raises(StoreError, match="no dead letter"):
            await root.store.drop(letter.id)
        assert (await root["ledger"].ask(Show())).entries == ["a", "killed"]


async def test_what_names_no_dead_letter_is_refused_and_disturbs_no_sender(path):
    """SQLite would refuse it together with all that is stored at that moment."""
    async with tree(path) as root:
        for wrong in ("1", True, None, 1.0, [1], object()):
            sending = asyncio.ensure_future(root["ledger"].ask(Charge(1)))
            for refused in (root.store.drop(wrong), root.store.requeue(wrong), root.store.dead_letter(wrong)):
                with pytest.raises(UsageError, match="named by its number"):
                    await refused
            await sending
        for missing in (0, -1, 2**63, 7):
            for refused in (root.store.drop(missing), root.store.requeue(missing), root.store.dead_letter(missing)):
                with pytest.raises(StoreError, match="no dead letter"):
                    await refused
        assert root.health().ready


async def until_entries(root, wanted):
    for _ in range(1000):
        if (await root["ledger"].ask(Show())).entries == wanted:
            return
    raise AssertionError(f"{wanted} did not come")


@pytest.mark.processes
async def test_a_dead_letter_of_an_actor_that_is_down_waits_for_it(path):
    """It is the next life that handles it; without the actor in the tree, the next daemon."""
    async with tree(path) as root:
        await poisoned(root)
        (letter,) = await root.store.dead_letters("ledger")
        await root.terminate_child("ledger")
        await root.store.requeue(letter.id)
        await root.restart_child("ledger")
        await until_entries(root, ["killed"])
        await poisoned(root, times=50)
        await poisoned(root, times=50)
    async with tree(path, child("other")) as root:
        letter, second = await root.store.dead_letters()
        assert (letter.message, letter.message_type) == (None, "Kill")
        await asyncio.gather(root.store.requeue(letter.id), root.store.requeue(second.id))
        assert (await root.store.mailboxes())[0].waiting == 2
    async with tree(path) as root:
        with pytest.raises(StoreError):
            await root.store.requeue(letter.id)
        (waiting,) = [one.waiting for one in await root.store.mailboxes()]
        assert waiting <= 2


@pytest.mark.processes
async def test_what_a_renamed_actor_left_is_moved(path, tmp_path):
    """Or deleted; not while it is in the tree."""
    async with tree(path) as root:
        await root["ledger"].ask(Charge(5, "a"))
        with pytest.raises(UsageError, match="/root/ledger is in the tree"):
            await root.store.move("ledger", "books")
        with pytest.raises(UsageError, match="/root/ledger is in the tree"):
            await root.store.discard("ledger")
    store = SQLiteStore(path)
    await store.open()
    await store.commit(accept("ledger", 9, payload=encode(Charge(2, "b"))))
    await store.close()
    async with tree(path, ChildSpec(Notebook, args=(str(tmp_path / "notes"),))) as root:
        for no_path in ("", "/", "shop/", "a b", "/other/books", "/root"):
            with pytest.raises(UsageError, match=r"no actor of /root can have the name .* Name an actor by its path"):
                await root.store.move("ledger", no_path)
        assert await root.store.move("ledger", "/root/books") == 1
        await root.start_child(ChildSpec(Ledger, name="books", durable=True))
        book = await root["books"].ask(Show())
        assert (book.balance, book.entries) == (7, ["a", "b"])
        await root.store.discard("ledger")


async def test_a_tree_without_a_store_says_so():
    """With what to write."""
    async with scripted(child("a")) as root:
        with pytest.raises(UsageError, match=r"no store: Supervisor\(..., store="):
            _ = root.store


@pytest.mark.processes
async def test_a_schedule_of_a_durable_actor(path):
    """What was missed while the daemon was down is made up for once, stored with its message."""
    payload = encode(Charge(1, "night"))
    missed = ScheduleRow("night", "ledger", str(Schedule.every(3600)), "Charge", payload, time.time() - 36_000)
    store = SQLiteStore(path)
    await store.open()
    await store.commit([PutSchedule(missed), PutSchedule(missed._replace(name="odd", payload=b"\xc1"))])
    await store.close()
    async with tree(path) as root:
        letters = root.dead_letters()
        await until_entries(root, ["night"])
        assert (await anext(letters)).reason == "undecodable"
        (kept,) = await root.store.dead_letters("ledger")
        assert (kept.reason, kept.payload, kept.message_type) == ("undecodable", b"\xc1", "?")
        await root.unschedule("odd")
        await root.schedule("soon", "ledger", Charge(1, "soon"), Schedule.every(0.05))
        await until_booked(root, "soon")
        await root.unschedule("soon")
        entries = (await root["ledger"].ask(Show())).entries
        (shown,) = root.schedules()
        assert shown.name == "night"
        assert shown.next_run.timestamp() > time.time()
    async with tree(path) as root:
        assert [shown.name for shown in root.schedules()] == ["night"]
        assert (await root["ledger"].ask(Show())).entries[: len(entries)] == entries
        assert (await root["ledger"].ask(Show())).entries.count("night") == 1


async def until_booked(root, name):
    while name not in (await root["ledger"].ask(Show())).entries:
        pass
