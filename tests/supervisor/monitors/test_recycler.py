"""Recycling: a life that has reached a limit makes room for the next one, and no sender notices."""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count, islice
from types import SimpleNamespace

import pytest

from actors.exits import ExitKind
from actors.wire.from_child import Outcome, Outcomes
from actors.wire.kinds import NOTHING, REPLY
from supervisor import ChildSpec, RestartPolicy, Supervisor
from supervisor.core.tree.commands import Decision
from supervisor.monitors import recycler as room
from supervisor.system.procfs import resident_bytes
from supervisor.testing import OnStart, OnStop, ScriptedLauncher
from tests.support.actors import Block, Echo, FailsInStop, HangsInStop, Puppet, WhoAreYou
from tests.support.hangers import LeaveSlowly, Sync
from tests.support.hoarders import AsyncHoarder, Fill, Hoarder, Number, Write
from tests.support.messages import Count, Put
from tests.support.messages import Sync as Streamer
from tests.support.pooled import Take, Worker
from tests.support.scripted import answering, begin, child, finish, tree
from tests.support.waiting import DEADLINE, Watch, at_rest, until

# ---- without processes


async def test_a_life_makes_room_when_it_has_handled_enough():
    """What it had not begun goes to the next life in order; the report says which limit it was."""
    async with tree(child(max_messages=2, shutdown=3.0)) as root:
        watch = Watch(root)
        for number in range(4):
            root["a"].tell_nowait(Echo(str(number)))
        await at_rest()
        first = root.launcher.life("/root/a")
        for posted in first.received[:2]:
            begin(first, posted.seq)
            finish(first, posted)
        report = await watch.exited("a")
        assert (Decision.RECYCLE, 0.0) == (report.decision, report.delay)
        assert "max_messages: 2 messages handled, 2 are one life's share" == report.because
        await watch.started("a")
        assert [3, 4] == [posted.seq for posted in root.launcher.life("/root/a").received]
        assert 0 == root.snapshot().restarts


async def test_an_ask_that_would_not_wait_for_a_dead_actor_waits_for_a_recycled_one():
    """Making room is not being down: neither what was asked before fails, nor what is asked meanwhile."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.READY, OnStart.HANG, on_stop=OnStop.IGNORE)
    async with tree(child(max_messages=1, overlap=False), launcher=launcher) as root:
        watch = Watch(root)
        root["a"].tell_nowait(Echo("first"))
        before = asyncio.create_task(root["a"].ask(Echo("before"), when_down="fail"))
        await at_rest()
        first = launcher.life("/root/a")
        begin(first, 1)
        finish(first, first.received[0])
        meanwhile = asyncio.create_task(root["a"].ask(Echo("meanwhile"), when_down="fail"))
        await at_rest()
        first.exit(ExitKind.SHUTDOWN)
        await watch.exited("a")
        late = asyncio.create_task(root["a"].ask(Echo("late"), when_down="fail"))
        await at_rest()
        assert not any(task.done() for task in (before, meanwhile, late))
        second = launcher.life("/root/a")
        second.become_ready()
        await at_rest()
        for posted in second.received:
            begin(second, posted.seq)
            finish(second, posted, "here")
        assert ["here"] * 3 == await asyncio.gather(before, meanwhile, late)
        launcher.plan("/root/a")
        second.exit()


async def test_a_next_life_that_does_not_start_leaves_the_actor_down_without_overlap():
    """From then on it is down like any other: asks that do not wait end."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.READY, OnStart.FAIL, OnStart.READY)
    async with tree(child(max_messages=1, overlap=False), launcher=launcher) as root:
        watch = Watch(root)
        root["a"].tell_nowait(Echo("first"))
        ask = asyncio.create_task(root["a"].ask(Echo("before"), when_down="fail"))
        await at_rest()
        first = launcher.life("/root/a")
        begin(first, 1)
        finish(first, first.received[0])
        assert Decision.RECYCLE == (await watch.exited("a")).decision
        assert Decision.RESTART == (await watch.exited("a")).decision
        with pytest.raises(Exception, match="no running process"):
            await ask
        await watch.started("a")


async def test_a_stream_is_not_broken_off():
    """While a stream is in flight the life goes on; then it makes room."""
    async with tree(child(actor=Streamer, max_messages=1)) as root:
        watch = Watch(root)
        reading = asyncio.create_task(anext(root["a"].stream(Count(1)), None))
        root["a"].tell_nowait(Put(1))
        await at_rest()
        life = root.launcher.life("/root/a")
        put, stream = life.received
        begin(life, put.seq, stream.seq)
        finish(life, put, 0)
        await at_rest()
        assert not life.over
        life.say(Outcomes(0, [Outcome(stream.seq, REPLY, NOTHING)]))
        assert Decision.RECYCLE == (await watch.exited("a")).decision
        await reading


async def test_the_members_of_a_pool_make_room_one_at_a_time():
    """As long as one of them is not back, the others stay, whatever they have handled."""
    launcher = answering(ScriptedLauncher(), lambda life, message: taken(life))
    launcher.plan("/root/p/0", OnStart.READY, OnStart.HANG)
    launcher.plan("/root/p/1", OnStart.READY, OnStart.HANG)
    async with tree(child("p", Worker, size=2, max_messages=3, overlap=False), launcher=launcher) as root:
        watch = Watch(root)
        for _ in range(20):
            await root["p"].ask(Take())
        hung = [life for life in launcher.lives if not life.ready]
        assert 1 == len(hung)
        first = await watch.find(lambda h: getattr(h, "report", None) is not None)
        assert Decision.RECYCLE == first.report.decision
        hung[0].become_ready()
        for _ in range(20):
            await root["p"].ask(Take())
        assert {"/root/p/0", "/root/p/1"} == {life.path for life in launcher.lives if life.number == 2}


def taken(life):
    return {"name": life.path, "pid": 0, "life": life.number, "numbers": []}


async def test_age_is_looked_at_when_it_comes_and_memory_at_a_calm_pace():
    """A limit of age needs one timer; no limit needs none at all."""
    assert room.recycler_of(ChildSpec(Puppet), None, TreeContext()) is None
    timers = TreeContext()
    room.recycler_of(ChildSpec(Puppet, max_age=100.0, max_age_jitter=0.5), None, timers)
    room.recycler_of(ChildSpec(Puppet, max_rss=1), None, timers)
    room.recycler_of(ChildSpec(Puppet, max_messages=1), None, timers)
    assert [125.0, room.PACE] == timers.waits


async def test_an_age_that_is_reached_is_looked_at_calmly():
    """The life may stay for a while, until its next one is ready, or has failed; each look asks again."""
    timers, asked = TreeContext(), []
    life = SimpleNamespace(handled=0, make_room=asked.append)
    recycler = room.recycler_of(ChildSpec(Puppet, max_age=1.0, max_age_jitter=0.0), life, timers)
    timers.time = lambda: 9.0
    for _ in range(2):
        recycler._look()
    assert ([1.0, room.PACE, room.PACE], 2) == (timers.waits, len(asked))


async def test_a_look_that_fails_is_not_the_last():
    """The loop reports what was raised; the next look is due all the same."""
    timers = TreeContext()

    def fail():
        raise OSError(24, "Too many open files")

    life = SimpleNamespace(handled=0, resident_bytes=fail)
    recycler = room.recycler_of(ChildSpec(Puppet, max_rss=1), life, timers)
    with pytest.raises(OSError, match="Too many open files"):
        recycler._look()
    assert [room.PACE, room.PACE] == timers.waits


class TreeContext:
    """A clock that stands, a die that shows a half, and timers that are only noted."""

    def __init__(self):
        self.waits = []
        self.dice = self.loop = self

    def random(self):
        return 0.5

    def time(self):
        return 7.0

    def call_later(self, delay, what):
        self.waits.append(delay)


# ---- with processes


@pytest.mark.processes
@pytest.mark.parametrize("actor", [Hoarder, AsyncHoarder])
@pytest.mark.parametrize("size", [1, 2])
async def test_no_call_fails_while_lives_come_and_go(actor, size):
    """Senders that never pause get every answer, each their own, in order, from many lives; nothing is counted."""
    async with Supervisor(ChildSpec(actor, name="a", size=size, max_messages=50), spares=0) as root:
        answered = []

        def recycled():
            return all(member.life > 2 for member in root.snapshot().children)

        async def sender(mine):
            number = 0
            while not recycled():
                answered.append(await root["a"].ask(Number(mine, number), timeout=DEADLINE))
                assert number == answered[-1][0]
                number += 1

        async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
            for mine in range(4):
                group.create_task(sender(mine))
        snapshot = root.snapshot()
        assert (0, {"handled": len(answered)}) == (snapshot.restarts, snapshot.children[0].fates)
        assert {life for _, life in answered} >= {1, 2}


@pytest.mark.processes
async def test_tells_are_handled_once_and_in_order_over_many_lives(tmp_path):
    """What one life had not begun is the next one's first message."""
    book = tmp_path / "book"
    async with Supervisor(ChildSpec(Hoarder, name="a", max_messages=200, overlap=False), spares=0) as root:
        numbers = count()
        lives = set()
        while len(lives) < 2:  # a quick life handles what it has before it can be asked to stop
            for number in islice(numbers, 1000):
                await root["a"].tell(Write(str(book), number))
            await root["a"].ask(Number(0, 0), timeout=DEADLINE)
            lives = {line.split()[0] for line in book.read_text().splitlines()}
        handled = [int(line.split()[1]) for line in book.read_text().splitlines()]
        assert list(range(next(numbers))) == handled
        assert 0 == root.snapshot().restarts


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
async def test_a_life_that_has_grown_makes_room(monkeypatch):
    """Memory goes back to the system with the process, and the actor is there."""
    monkeypatch.setattr(room, "PACE", 0.05)
    most = (resident_bytes(os.getpid()) or 0) + 100_000_000
    async with Supervisor(ChildSpec(Hoarder, max_rss=most, name="a"), spares=0) as root:
        watch = Watch(root)
        assert 1 == await root["a"].ask(Fill(1))
        assert 1 == await root["a"].ask(Fill(most))
        report = await watch.exited("a")
        assert (Decision.RECYCLE, "shutdown") == (report.decision, report.reason.kind)
        assert report.because.startswith("max_rss: ")
        assert 2 == await root["a"].ask(Fill(1))


@pytest.mark.processes
async def test_a_life_that_is_old_finishes_its_message(tmp_path):
    """The message in hand is answered by the old life, the one behind it by the next."""
    release = tmp_path / "release"
    async with Supervisor(ChildSpec(Puppet, name="a", max_age=0.2), spares=0) as root:
        watch = Watch(root)
        held = asyncio.create_task(root["a"].ask(Block(str(release)), timeout=DEADLINE))
        behind = asyncio.create_task(root["a"].ask(WhoAreYou(), timeout=DEADLINE))
        await until(lambda: "stopping" == root.snapshot().children[0].state)
        release.touch()
        assert await held is None
        report = await watch.exited("a")
        assert (Decision.RECYCLE, True) == (report.decision, report.because.startswith("max_age: "))
        assert (await behind).incarnation > 1


@pytest.mark.processes
async def test_a_life_that_does_not_make_room_is_killed():
    """After its grace the successor follows all the same, and it is not counted."""
    root = Supervisor(ChildSpec(HangsInStop, name="a", max_age=0.1, shutdown=0.1), spares=0)
    watch = Watch(root)
    async with root:
        report = await watch.exited("a")
        assert (Decision.RECYCLE, "killed") == (report.decision, report.reason.kind)
        await watch.started("a")
        assert 0 == root.snapshot().restarts


@pytest.mark.processes
async def test_a_life_that_has_stopped_itself_is_not_brought_back():
    """It takes leave when its time is over: that was its own doing, and it stays down."""
    spec = ChildSpec(Sync, name="a", max_age=0.1, max_age_jitter=0.0, restart=RestartPolicy.TRANSIENT)
    async with Supervisor(spec, spares=0) as root:
        watch = Watch(root)
        root["a"].tell_nowait(LeaveSlowly(1.0))
        while (report := await watch.exited("a")).decision == Decision.RECYCLE:
            """Its time was over before it had begun the message, which the next life gets."""
        assert (Decision.LEAVE_DOWN, "normal") == (report.decision, report.reason.kind)
        await until(lambda: "exited" == root.snapshot().children[0].state)


@pytest.mark.processes
async def test_a_life_that_crashes_while_making_room_has_crashed():
    """Its policy decides, and it counts."""
    root = Supervisor(ChildSpec(FailsInStop, name="a", max_age=0.1), spares=0)
    watch = Watch(root)
    async with root:
        report = await watch.exited("a")
        assert (Decision.RESTART, "crashed") == (report.decision, report.reason.kind)
