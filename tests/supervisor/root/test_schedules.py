"""root.schedule: messages by the clock, kept by a store, over clocks that are set. Lives are scripted."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import msgspec
import pytest

from actors.errors import NoSuchActor, UsageError
from supervisor import Schedule
from supervisor.store import SQLiteStore, StoreError
from supervisor.store.writes import PutSchedule, ScheduleRow
from tests.support.actors import AsyncPuppet, Note
from tests.support.scripted import child, tree
from tests.support.waiting import until


class Clock:
    """A wall clock that a test sets."""

    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


class Bench:
    """A tree, its clock, and what its actor got."""

    def __init__(self, root, clock):
        self.root = root
        self.clock = clock
        self.scheduler = root._scheduler

    async def at(self, now):
        """Set the clock, look at it, and see what the actor has got in all."""
        self.clock.now = now
        self.scheduler._look()
        await until(lambda: not any(entry.sending for entry in self.scheduler._entries.values()))
        await asyncio.sleep(0)
        (life,) = [life for life in self.root.launcher.lives if life.path == "/root/a"]
        return [msgspec.msgpack.decode(posted.message)[1] for posted in life.received]


@pytest.fixture
async def bench():
    async with tree(child("a")) as root:
        clock = root._scheduler._clock = Clock()
        yield Bench(root, clock)


@pytest.fixture
async def store(tmp_path):
    opened = SQLiteStore(tmp_path / "shop.db")
    await opened.open()
    yield opened
    await opened.close()


def kept(bench, store):
    """The tree keeps its schedules there."""
    bench.root._tree.store = store
    return bench


async def test_a_message_is_sent_when_it_is_due(bench):
    """And again; not before."""
    await bench.root.schedule("tick", "a", Note(7), Schedule.every(60))
    start = bench.clock.now
    assert await bench.at(start + 59) == []
    assert await bench.at(start + 60) == [7]
    assert await bench.at(start + 119) == [7]
    assert await bench.at(start + 121) == [7, 7]
    assert await bench.at(start + 180) == [7, 7, 7]


async def test_the_real_clock_drives_it():
    """Without a look by hand."""
    async with tree(child("a")) as root:
        root.schedule("tick", "/root/a", Note(1), Schedule.every(0.01))
        (life,) = root.launcher.lives
        await until(lambda: len(life.received) >= 3)


async def test_missed_runs_are_made_up_for_once(bench):
    """The machine slept."""
    await bench.root.schedule("tick", "a", Note(1), Schedule.every(60))
    assert await bench.at(bench.clock.now + 3605) == [1]
    (shown,) = bench.root.schedules()
    assert shown.next_run == datetime.fromtimestamp(1_000_000 + 3660, UTC)


async def test_many_that_are_due_at_once_are_worked_out_once_each(bench, monkeypatch):
    """Not once for each of the others that ends."""
    asked, following = [], Schedule.next_after
    monkeypatch.setattr(Schedule, "next_after", lambda self, after: asked.append(self) or following(self, after))
    for number in range(100):
        await bench.root.schedule(f"tick {number}", "a", Note(number), Schedule.every(60))
    assert list(range(100)) == sorted(await bench.at(bench.clock.now + 60))
    assert 200 == len(asked)


async def test_once_is_once(bench):
    """And shown as over."""
    when = datetime.fromtimestamp(bench.clock.now + 5, UTC)
    await bench.root.schedule("once", "a", Note(1), Schedule.at(when))
    assert await bench.at(bench.clock.now + 6) == [1]
    assert await bench.at(bench.clock.now + 600) == [1]
    assert bench.root.schedules()[0].next_run is None


async def test_a_clock_that_is_set_back(bench):
    """By a little or by a year: it does not stand still."""
    start = bench.clock.now
    await bench.root.schedule("tick", "a", Note(1), Schedule.every(60))
    assert await bench.at(start + 60) == [1]
    assert await bench.at(start - 60) == [1]
    assert await bench.at(start - 1) == [1]
    assert await bench.at(start) == [1, 1]
    assert await bench.at(start - 1e6) == [1, 1]
    assert await bench.at(start - 1e6 + 60) == [1, 1, 1]


async def test_the_same_schedule_again_goes_on(bench):
    """As at each start of a daemon; another schedule begins anew, and the message is the new one."""
    await bench.root.schedule("tick", "a", Note(1), Schedule.every(60))
    await bench.at(bench.clock.now + 50)
    await bench.root.schedule("tick", "a", Note(2), Schedule.every(60))
    assert await bench.at(bench.clock.now + 10) == [2]
    await bench.root.schedule("tick", "a", Note(3), Schedule.every(30))
    assert await bench.at(bench.clock.now + 29) == [2]
    assert await bench.at(bench.clock.now + 1) == [2, 3]


async def test_unschedule_ends_it(bench):
    """A name that is none is told with those there are."""
    await bench.root.schedule("tick", "a", Note(1), Schedule.every(60))
    await bench.root.schedule("tock", "a", Note(2), Schedule.every(60))
    await bench.root.unschedule("tick")
    assert [shown.name for shown in bench.root.schedules()] == ["tock"]
    assert await bench.at(bench.clock.now + 60) == [2]
    with pytest.raises(UsageError, match="no schedule 'tick'; it has: tock"):
        bench.root.unschedule("tick")


async def test_the_list_shows_what_is_scheduled(bench):
    """By name."""
    await bench.root.schedule("b", "a", Note(1), Schedule.every(60))
    await bench.root.schedule("a", "a", Note(1), Schedule.cron("0 3 * * *"))
    first, second = bench.root.schedules()
    assert (first.name, first.child, first.message_type, first.schedule) == (
        "a",
        "a",
        "Note",
        Schedule.cron("0 3 * * *"),
    )
    assert second.next_run == datetime.fromtimestamp(1_000_060, UTC)


@pytest.mark.parametrize(
    ("arguments", "error", "why"),
    [
        (("", "a", Note(1), Schedule.every(60)), UsageError, "name of a schedule"),
        ((5, "a", Note(1), Schedule.every(60)), UsageError, "name of a schedule"),
        (("x", 5, Note(1), Schedule.every(60)), UsageError, "by its name"),
        (("x", "b", Note(1), Schedule.every(60)), NoSuchActor, "/root/b"),
        (("x", "a", "message", Schedule.every(60)), UsageError, "message"),
        (("x", "a", Note("one"), Schedule.every(60)), UsageError, "Note"),
        (("x", "a", Note(1), 60), UsageError, r"Schedule\.every"),
    ],
)
async def test_what_cannot_work_is_refused(bench, arguments, error, why):
    """Before anything is kept."""
    with pytest.raises(error, match=why):
        bench.root.schedule(*arguments)
    assert bench.root.schedules() == ()


async def test_a_child_that_is_down_makes_a_dead_letter(bench):
    """And the schedule goes on."""
    letters = bench.root.dead_letters()
    await bench.root.schedule("tick", "a", Note(1), Schedule.every(60))
    await bench.root.terminate_child("a")
    await bench.at(bench.clock.now + 60)
    letter = await anext(letters)
    assert (letter.message_type, letter.reason.value) == ("Note", "actor_stopped")
    assert len(bench.root.schedules()) == 1


async def test_nothing_is_sent_after_the_end():
    """Its timer goes with the tree."""
    async with tree(child("a")) as root:
        await root.schedule("tick", "a", Note(1), Schedule.every(60))
        scheduler = root._scheduler
    assert scheduler.list() == ()
    assert scheduler._timer.cancelled()


# ---- with a store


async def test_a_store_keeps_schedules(bench, store):
    """The next daemon goes on with them, and makes up once for what was missed."""
    kept(bench, store)
    await bench.root.schedule("tick", "a", Note(1), Schedule.every(60))
    await bench.root.schedule("never", "a", Note(2), Schedule.every(60))
    await bench.root.unschedule("never")
    assert await bench.at(bench.clock.now + 60) == [1]
    async with tree(child("a")) as root:
        following = kept(Bench(root, Clock(bench.clock.now + 1000)), store)
        following.scheduler._clock = following.clock
        following.scheduler.recover(await store.schedules())
        assert [shown.name for shown in root.schedules()] == ["tick"]
        assert await following.at(following.clock.now) == [1]
        assert await following.at(following.clock.now + 1) == [1]
        assert [row.after for row in await store.schedules()] == [1_000_000.0 + 1020 + 0.0]


async def test_a_run_that_cannot_be_stored_is_tried_again(bench, store, monkeypatch):
    """The message is not sent before it is stored that it was; a clock that is set back meanwhile delays nothing."""
    time = bench.root._tree.loop.time
    kept(bench, store)
    await bench.root.schedule("tick", "a", Note(1), Schedule.every(60))
    commit, store.commit = store.commit, lambda _: broken()
    assert await bench.at(bench.clock.now + 60) == []
    store.commit = commit
    assert await bench.at(bench.clock.now + 1) == []
    monkeypatch.setattr(bench.root._tree.loop, "time", lambda: time() + 5)
    assert await bench.at(bench.clock.now) == [1]
    store.commit = lambda _: broken()
    assert await bench.at(bench.clock.now + 60) == [1]
    store.commit = commit
    assert await bench.at(bench.clock.now - 5 * 3600) == [1]
    monkeypatch.setattr(bench.root._tree.loop, "time", lambda: time() + 10)
    assert await bench.at(bench.clock.now + 60) == [1, 1]


def broken():
    future = asyncio.get_running_loop().create_future()
    future.set_exception(StoreError("the disk is full"))
    return future


async def test_a_schedule_of_an_actor_that_is_gone_is_told(bench, store, monkeypatch):
    """It stays, and may be removed."""
    told = []
    monkeypatch.setattr(bench.root._tree.reports, "schedule_failed", lambda *what: told.append(what))
    await store.commit([PutSchedule(ScheduleRow("old", "gone", "every 60.0 s", "Note", b"", time.time() - 1e6))])
    kept(bench, store)
    bench.scheduler.recover(await store.schedules())
    await bench.at(time.time())
    await bench.at(time.time() + 10)
    assert told == [("old", "gone", "no actor has the path /root/gone; did you mean /root/a?")], "told once"
    await bench.root.unschedule("old")
    assert await store.schedules() == []


async def test_a_kept_schedule_that_cannot_be_followed_here_is_named(bench, store):
    """As on a machine without its time zone."""
    await store.commit([PutSchedule(ScheduleRow("old", "a", "cron 0 3 * * * Mars/City", "Note", b"", 1.0))])
    kept(bench, store)
    with pytest.raises(UsageError, match=r"schedule 'old' for a, which the store keeps, .* no time zone 'Mars/City'"):
        bench.scheduler.recover(await store.schedules())


async def test_an_actor_with_async_handlers_is_no_different(store):
    """All actors are sent to in the same way."""
    async with tree(child("a", AsyncPuppet)) as root:
        bench = kept(Bench(root, Clock()), store)
        bench.scheduler._clock = bench.clock
        await root.schedule("tick", "a", Note(1), Schedule.every(60))
        assert await bench.at(bench.clock.now + 60) == [1]
