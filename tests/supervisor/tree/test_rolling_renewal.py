"""Rolling renewal: the next life starts beside the current one, takes over when it is ready, and no call fails."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from actors import ActorStopped
from actors.wire.from_child import Outcome, Outcomes
from actors.wire.kinds import NOTHING, REPLY
from supervisor import (
    Backoff,
    ChildSpec,
    ChildStarted,
    Intensity,
    NoSuchChild,
    Routing,
    StartFailed,
    SuccessorBegun,
    Supervisor,
    SupervisorBusy,
    SupervisorSpec,
)
from supervisor.core.tree.commands import Decision
from supervisor.testing import OnStart, OnStop, ScriptedLauncher
from tests.support.actors import Echo
from tests.support.messages import Count
from tests.support.messages import Sync as Streamer
from tests.support.pooled import Worker
from tests.support.scripted import answering, begin, child, finish, tree
from tests.support.successors import Flow, Note, Renewed, SlowToLeave
from tests.support.waiting import DEADLINE, Watch, at_rest, until

# ---- without processes


def scripted(*starts, on_stop=OnStop.OBEY, path="/root/a"):
    launcher = ScriptedLauncher()
    launcher.plan(path, *starts, on_stop=on_stop)
    return launcher


async def test_the_old_life_serves_until_the_next_one_is_ready():
    """Then it gets nothing more, and the next one everything that it had not begun."""
    launcher = scripted(OnStart.READY, OnStart.HANG, on_stop=OnStop.IGNORE)
    async with tree(child(), launcher=launcher) as root:
        watch = Watch(root)
        recycling = asyncio.create_task(root.recycle("a"))
        await watch.find(lambda h: h == SuccessorBegun("/root/a", 2))
        first, second = launcher.lives
        root["a"].tell_nowait(Echo("1"))
        root["a"].tell_nowait(Echo("2"))
        await at_rest()
        assert [1, 2] == [posted.seq for posted in first.received]
        shown = root.snapshot().children[0]
        assert ("running", 1, 2) == (shown.state, shown.life, shown.successor)
        assert "life 2 starts beside it" in str(root)
        begin(first, 1)
        second.become_ready()
        root["a"].tell_nowait(Echo("3"))
        await at_rest()
        assert ([1, 2], []) == ([posted.seq for posted in first.received], second.received)
        finish(first, first.received[0])
        first.exit()
        await recycling
        assert [2, 3] == [posted.seq for posted in second.received]
        launcher.plan("/root/a")
        assert {"handled": 1} == root.snapshot().children[0].fates


async def test_an_open_stream_delays_the_change():
    """The old life serves on; when the stream is over the next one takes over."""
    launcher = scripted(OnStart.READY, OnStart.HANG)
    async with tree(child(actor=Streamer), launcher=launcher) as root:
        reading = asyncio.create_task(anext(root["a"].stream(Count(1)), None))
        await at_rest()
        recycling = asyncio.create_task(root.recycle("a"))
        await until(lambda: len(launcher.lives) == 2)
        first, second = launcher.lives
        begin(first, first.received[0].seq)
        second.become_ready()
        await at_rest()
        assert (False, False) == (first.over, recycling.done())
        first.say(Outcomes(0, [Outcome(first.received[0].seq, REPLY, NOTHING)]))
        await recycling
        assert first.over
        await reading


async def test_a_next_life_that_does_not_start_changes_nothing():
    """The caller hears why, the old life serves on, and nothing is counted."""
    launcher = answering(scripted(OnStart.READY, OnStart.FAIL, OnStart.RAISE, OnStart.READY))
    async with tree(child(), launcher=launcher) as root:
        for _ in range(2):
            with pytest.raises(StartFailed, match="life 1 goes on") as failed:
                await root.recycle("a")
            assert ("/root/a", "unstarted") == (failed.value.report.actor, failed.value.report.reason.kind)
            assert "/root/a 1" == await root["a"].ask(Echo("x"))
        await root.recycle("a")
        assert "/root/a 4" == await root["a"].ask(Echo("x"))
        assert 0 == root.snapshot().restarts


async def test_a_limit_tries_again_and_the_old_life_serves():
    """Each failure is reported and counted as a failed start; asks that do not wait are served meanwhile."""
    launcher = answering(scripted(OnStart.READY, OnStart.FAIL, OnStart.FAIL, OnStart.READY))
    async with tree(child(max_messages=1), launcher=launcher) as root:
        watch = Watch(root)
        assert "/root/a 1" == await root["a"].ask(Echo("x"), when_down="fail")
        for life in (2, 3):
            report = await watch.exited("a")
            assert (life, Decision.RESTART) == (report.life, report.decision)
            assert "/root/a 1" == await root["a"].ask(Echo("x"), when_down="fail")
        assert Decision.RECYCLE == (await watch.exited("a")).decision
        await watch.started("a")
        assert 2 == root.snapshot().restarts


async def test_without_overlap_the_old_life_stops_first():
    """There are never two processes."""
    launcher = answering(ScriptedLauncher())
    async with tree(child(overlap=False), launcher=launcher) as root:
        seen = []
        launcher.on_launch = lambda life: seen.append([other.number for other in launcher.lives if not other.over])
        await root.recycle("a")
        assert [[2]] == seen


async def test_members_of_a_pool_one_after_the_other_past_a_dead_one():
    """Each waits for the one before; a member that starts comes last, and is replaced when it is ready."""
    launcher = scripted(OnStart.READY, OnStart.HANG, path="/root/p/0")
    launcher.plan("/root/p/2", OnStart.READY, OnStart.HANG)
    async with tree(child("p", Worker, size=3), launcher=launcher) as root:
        launcher.plan("/root/p/1", OnStart.HANG)
        launcher.lives[1].exit()
        await until(lambda: (launcher.lives[-1].path, launcher.lives[-1].number) == ("/root/p/1", 2))
        recycling = asyncio.create_task(root.recycle("p"))
        await until(lambda: launcher.lives[-1].path == "/root/p/0")
        assert not [life for life in launcher.lives if (life.path, life.number) == ("/root/p/2", 2)]
        launcher.lives[-1].become_ready()
        await until(lambda: launcher.lives[-1].path == "/root/p/2")
        launcher.lives[-1].become_ready()
        await until(lambda: "/root/p/2" in [life.path for life in launcher.lives if life.over])
        next(life for life in launcher.lives if (life.path, life.number) == ("/root/p/1", 2)).become_ready()
        await until(lambda: (launcher.lives[-1].path, launcher.lives[-1].number) == ("/root/p/1", 3))
        launcher.lives[-1].become_ready()
        await recycling


async def test_a_member_of_a_pool_that_is_down_is_passed_over():
    """Its next life is new anyway."""
    launcher = ScriptedLauncher()
    pool = child("p", Worker, size=2, backoff=Backoff(initial=60.0, cap=60.0))
    async with tree(pool, intensity=Intensity.unlimited(), launcher=launcher) as root:
        launcher.lives[-1].exit()
        await until(lambda: ("/root/p/1", 2, False) in at(launcher))
        launcher.lives[-1].exit()  # the second time it waits
        await until(lambda: root.snapshot().children[1].state == "backoff")
        await root.recycle("p")
        assert [("/root/p/0", 2, False)] == [life for life in at(launcher) if not life[2]]


def at(launcher):
    return [(life.path, life.number, life.over) for life in launcher.lives]


async def test_what_cannot_be_recycled_is_refused():
    """Unknown names, supervisors, children that are down, trees that stop."""
    async with tree(child(), SupervisorSpec(child("b"), name="sub")) as root:
        with pytest.raises(NoSuchChild):
            await root.recycle("nobody")
        with pytest.raises(NoSuchChild, match="only an actor"):
            await root.recycle("sub")
        await root.recycle("sub/b")
        await root.terminate_child("a")
        with pytest.raises(SupervisorBusy, match="restart_child starts it"):
            await root.recycle("a")
        root.request_stop()
        with pytest.raises(SupervisorBusy):
            await root.recycle("sub/b")


# ---- with processes


def gate(folder, word="go"):
    (folder / "gate").write_text(word)


def lines(folder):
    return [line.split() for line in (folder / "book").read_text().splitlines()]


def renewed(folder, actor=Renewed, **options):
    return ChildSpec(actor, args=(str(folder),), name="a", **options)


async def pid_of(folder, life):
    path = folder / f"pid{life}"
    await until(lambda: path.exists() and path.read_text())
    return int(path.read_text())


async def send_until(root, over, count, *, key="k"):
    """Ask in a row until it is over. The next life is ready only when the gate is open: no ask may wait for it."""
    while not over():
        await root["a"].ask(Note(key, count[key]), timeout=20.0)
        count[key] += 1


@pytest.mark.processes
@pytest.mark.parametrize("limits", [{}, {"max_messages": 20}])
async def test_no_ask_waits_for_a_slow_start(tmp_path, limits):
    """Asks time out sooner than the next life starts, and none does; every message is handled once, in order."""
    async with Supervisor(renewed(tmp_path, **limits)) as root:
        watch, count = Watch(root), {"k": 0}
        recycling = None if limits else asyncio.create_task(root.recycle("a"))
        await send_until(root, (tmp_path / "pid2").exists, count)
        before = count["k"]
        await send_until(root, lambda: count["k"] > before + 50, count)
        gate(tmp_path)
        took_over = asyncio.create_task(watch.find(lambda h: isinstance(h, ChildStarted) and h.life == 2))
        await send_until(root, took_over.done, count)
        if recycling is not None:
            await recycling
        assert 2 <= await root["a"].ask(Note("k", count["k"]))
        assert list(range(count["k"] + 1)) == [int(number) for _, number, _ in lines(tmp_path)]
        lives = [int(life) for *_, life in lines(tmp_path)]
        assert sorted(lives) == lives
        assert (0, {"handled": len(lives)}) == (root.snapshot().restarts, root.snapshot().children[0].fates)


@pytest.mark.processes
async def test_kill_9_of_the_successor(tmp_path):
    """The old life serves on, and the caller hears of it."""
    async with Supervisor(renewed(tmp_path)) as root:
        recycling = asyncio.create_task(root.recycle("a"))
        os.kill(await pid_of(tmp_path, 2), signal.SIGKILL)
        with pytest.raises(StartFailed):
            await recycling
        assert 1 == await root["a"].ask(Note("k", 0))


@pytest.mark.processes
async def test_a_call_is_served_by_a_life_that_began_after_it(tmp_path):
    """The one that a limit had begun may have read what the caller has changed since: it serves, and is replaced."""
    async with Supervisor(renewed(tmp_path, max_messages=1)) as root:
        assert 1 == await root["a"].ask(Note("k", 0))
        await pid_of(tmp_path, 2)
        recycling = asyncio.create_task(root.recycle("a"))
        gate(tmp_path)
        await recycling
        assert 3 == await root["a"].ask(Note("k", 1))


@pytest.mark.processes
async def test_kill_9_of_the_old_life(tmp_path):
    """The successor is the current life, and there is no third one."""
    async with Supervisor(renewed(tmp_path)) as root:
        recycling = asyncio.create_task(root.recycle("a"))
        await pid_of(tmp_path, 2)
        os.kill(await pid_of(tmp_path, 1), signal.SIGKILL)
        ask = asyncio.create_task(root["a"].ask(Note("k", 0), timeout=DEADLINE))
        await until(lambda: root.snapshot().children[0].life == 2)
        gate(tmp_path)
        await recycling
        assert 2 == await ask
        assert (1, 2) == (root.snapshot().restarts, root.snapshot().children[0].life)


@pytest.mark.processes
@pytest.mark.parametrize("phase", ["starting", "leaving"])
@pytest.mark.parametrize("how", ["terminate", "stop"])
async def test_a_stop_ends_both_lives(tmp_path, phase, how):
    """Whatever they are about."""
    async with Supervisor(renewed(tmp_path, actor=SlowToLeave, shutdown=DEADLINE)) as root:
        recycling = asyncio.create_task(root.recycle("a"))
        await pid_of(tmp_path, 2)
        if phase == "leaving":
            gate(tmp_path)
            await until(lambda: "stopping" == root.snapshot().children[0].state)
        stopping = asyncio.create_task(root.terminate_child("a") if how == "terminate" else stopped(root))
        await until(lambda: "stopping" == root.snapshot().children[0].state)
        gate(tmp_path)
        (tmp_path / "leave").touch()
        await stopping
        with pytest.raises((StartFailed, SupervisorBusy)):
            await recycling
        with pytest.raises(ActorStopped):
            await root["a"].ask(Note("k", 0))


@pytest.mark.processes
async def test_a_stream_is_finished_by_the_life_that_began_it(tmp_path):
    """The change waits for its end."""
    async with Supervisor(renewed(tmp_path)) as root:
        stream = root["a"].stream(Flow())
        assert 1 == await anext(stream)
        gate(tmp_path)
        recycling = asyncio.create_task(root.recycle("a"))
        await pid_of(tmp_path, 2)
        (tmp_path / "flow").touch()
        assert [1] == [item async for item in stream]
        await recycling
        assert 2 == await root["a"].ask(Note("k", 0))


@pytest.mark.processes
async def test_keys_keep_their_order_while_a_pool_is_renewed(tmp_path):
    """Tells of each key are handled once and in order, over three rounds."""
    gate(tmp_path)
    spec = renewed(tmp_path, size=2, routing=Routing.BY_KEY, key="key")
    async with Supervisor(spec, intensity=Intensity(0)) as root:
        count = dict.fromkeys("abcd", 0)
        rounds = asyncio.create_task(three_rounds(root))
        while not rounds.done():
            for key in count:
                await root["a"].tell(Note(key, count[key]))
                count[key] += 1
            await asyncio.sleep(0.001)  # the load itself: its pace
        await rounds
        for key in count:
            await root["a"].ask(Note(key, count[key]), timeout=DEADLINE)
        for key, last in count.items():
            assert list(range(last + 1)) == [int(number) for of, number, _ in lines(tmp_path) if of == key]
        assert {4} == {member.life for member in root.snapshot().children}


async def stopped(root):
    root.request_stop()
    await root.wait()


async def three_rounds(root):
    for _ in range(3):
        await root.recycle("a")
