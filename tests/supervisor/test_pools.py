"""Pools: several processes behind one ref."""

from __future__ import annotations

import asyncio
import os
import signal
from itertools import count

import msgspec
import pytest

from actors import ActorCrashed, ActorStopped, ExitKind
from actors.wire.from_child import Outcome, Outcomes
from actors.wire.kinds import CANCELLED, DONE, NOTHING
from actors.wire.progress import Activity, Progress, Work
from supervisor import (
    Backoff,
    ChildExited,
    ChildSpec,
    ChildStarted,
    Intensity,
    InvalidSpec,
    NoSuchChild,
    RestartIntensityExceeded,
    RestartPolicy,
    Routing,
    StartFailed,
    Strategy,
    Supervisor,
    SupervisorSpec,
)
from supervisor.mailbox import consumers
from supervisor.testing import OnStart, OnStop, ScriptedLauncher
from supervisor.testing.scripted_delivery import ScriptedDelivery
from tests.support.actors import Echo, Note, Puppet
from tests.support.pooled import AsyncWorker, Die, Hold, Take, Worker
from tests.support.scripted import OFTEN, answering, begin, child, die, finish, reached, states, tree
from tests.support.waiting import DEADLINE, Watch, at_rest, until

SOON = Backoff(initial=0.01, cap=0.01, jitter=0.0)
NEVER = Backoff(initial=3600.0, cap=3600.0, jitter=0.0)
MODES = list(Routing)


def pool(size=3, routing=Routing.LEAST_LOADED, **options):
    """A pool of scripted lives."""
    key = "key" if routing is Routing.BY_KEY else ""
    return child("p", Worker, size=size, routing=routing, key=key, **options)


def workers(size=3, routing=Routing.LEAST_LOADED, **options):
    """A pool of real processes in a tree that does not give up soon."""
    key = "key" if routing is Routing.BY_KEY else ""
    spec = ChildSpec(Worker, name="p", size=size, routing=routing, key=key, backoff=SOON, **options)
    return Supervisor(spec, intensity=OFTEN, start="parallel", spares=0)


def handler_of(life, message):
    """What a scripted worker replies."""
    return {"name": life.path.removeprefix("/root/"), "pid": 0, "life": life.number, "numbers": [life.number]}


def quick():
    """A launcher of lives that answer at once."""
    return answering(ScriptedLauncher(), handler_of)


async def taken(ref, count, key=lambda number: ""):
    """Who answers a number of messages sent at once."""
    return await asyncio.gather(*(ref.ask(Take(key(number), number), timeout=DEADLINE) for number in range(count)))


def held(root, member):
    """How many messages a scripted life has."""
    return len(root.launcher.life(f"/root/p/{member}").received)


# ---- routing


async def test_the_least_loaded_gets_the_next():
    """No member has more in flight than it handles, unless it is quick; the rest goes to the first free one."""
    async with tree(pool()) as root:
        ref = root["p"]
        for number in range(3):
            await ref.tell(Take("", number))
        await at_rest()
        assert [1, 1, 1] == [held(root, member) for member in range(3)]
        for number in range(20):
            await ref.tell(Take("", number))
        await at_rest()
        assert [1, 1, 1] == [held(root, member) for member in range(3)]
        quickest = root.launcher.life("/root/p/1")
        for done in range(20):
            finish(quickest, quickest.received[done])
        assert [1, 21, 1] == [held(root, member) for member in range(3)]


async def test_a_pool_outlives_deaths_that_spread_over_its_members():
    """Each member's restarts count for itself; one that dies too often ends the tree, and the error names it."""
    spec = child("p", Worker, size=3)
    why = r"/root gave up: restart 3 of 'p/1' within 5 s, where 2 are allowed; the last to end: /root/p/1, killed"
    with pytest.raises(RestartIntensityExceeded, match=why):
        async with tree(spec, child("a", Puppet), intensity=Intensity(2, 5.0)) as root:
            for _ in range(2):
                for path in ("/root/p/0", "/root/p/1", "/root/p/2", "/root/a"):
                    await die(root, path)
            await until(lambda: {"running"} == set(states(root).values()), "all of them")
            assert 0 == root.snapshot().budget
            root.launcher.life("/root/p/1").exit(ExitKind.KILLED)
            await asyncio.Event().wait()


@pytest.mark.parametrize("concurrency", [1, 10])
async def test_how_much_a_member_has_in_hand(monkeypatch, concurrency):
    """As many as it works on at once; a few more while it takes no time for each, none of those when it was slow."""
    monkeypatch.setattr(Worker, "concurrency", concurrency)
    monkeypatch.setattr(consumers, "QUICK", DEADLINE)
    async with tree(pool(2)) as root:
        for number in range(100):
            root["p"].tell_nowait(Take("", number))
        await at_rest()
        life = root.launcher.life("/root/p/0")
        assert concurrency == held(root, 0) == held(root, 1)
        finish(life, life.received[0])
        assert concurrency + consumers.MOST_AHEAD == held(root, 0) - 1
        monkeypatch.setattr(consumers, "QUICK", 0.0)
        for done in range(consumers.MOST_AHEAD):
            finish(life, life.received[1 + done])
        assert concurrency + consumers.MOST_AHEAD == held(root, 0) - 1
        finish(life, life.received[1 + consumers.MOST_AHEAD])
        assert concurrency + consumers.MOST_AHEAD == held(root, 0) - 2
        assert concurrency == held(root, 1)


async def test_what_a_member_takes_in_one_turn_is_one_frame(monkeypatch):
    """Messages go to the members in turn, so that none waits behind all others; each member gets one frame."""
    monkeypatch.setattr(Worker, "concurrency", 3)
    frames = []
    monkeypatch.setattr(ScriptedDelivery, "post", lambda life, batch: frames.append([one.seq for one in batch]))
    async with tree(pool(2)) as root:
        for number in range(5):
            root["p"].tell_nowait(Take("", number))
        await at_rest()
    assert [[1], [2, 4], [3, 5]] == frames


async def test_in_turn():
    """Round robin: each member gets as many, however slow it is."""
    async with tree(pool(routing=Routing.ROUND_ROBIN)) as root:
        for number in range(9):
            await root["p"].tell(Take("", number))
        await at_rest()
        assert [3, 3, 3] == [held(root, member) for member in range(3)]


async def test_by_key():
    """Each key has one member, each member several keys, and they stay together."""
    async with tree(pool(routing=Routing.BY_KEY), launcher=quick()) as root:
        first = await taken(root["p"], 60, lambda number: f"k{number}")
        again = await taken(root["p"], 60, lambda number: f"k{number}")
        assert [one.name for one in first] == [one.name for one in again]
        assert {"p/0", "p/1", "p/2"} == {one.name for one in first}


async def test_a_key_stays_over_the_restart_of_its_member():
    """While its member is down its messages wait for it; the other keys notice nothing."""
    launcher = quick()
    launcher.plan("/root/p/1", OnStart.READY, OnStart.HANG)
    async with tree(pool(routing=Routing.BY_KEY), launcher=launcher) as root:
        ref = root["p"]
        homes = {f"k{number}": (await ref.ask(Take(f"k{number}"))).name for number in range(12)}
        ours, others = ([key for key in homes if (homes[key] == "p/1") is mine] for mine in (True, False))
        launcher.life("/root/p/1").exit()
        waiting = [asyncio.create_task(ref.ask(Take(key))) for key in ours]
        assert [homes[key] for key in others] == [(await ref.ask(Take(key))).name for key in others]
        assert not any(task.done() for task in waiting)
        launcher.life("/root/p/1").become_ready()
        assert {("p/1", 2)} == {(one.name, one.life) for one in await asyncio.gather(*waiting)}


async def test_the_keys_of_a_member_that_is_gone_go_to_the_others():
    """Only those: who had another member keeps it, and who moved stays where it moved to, for that member lives."""
    async with tree(pool(routing=Routing.BY_KEY), launcher=quick()) as root:
        keys = [f"k{number}" for number in range(30)]

        async def homes():
            return {key: (await root["p"].ask(Take(key))).name for key in keys}

        before = await homes()
        await root.terminate_child("p/1")
        meanwhile = await homes()
        assert {"p/0", "p/2"} == set(meanwhile.values())
        assert all(meanwhile[key] == before[key] for key in keys if before[key] != "p/1")
        await root.restart_child("p/1")
        assert meanwhile == await homes()


@pytest.mark.parametrize("routing", MODES)
async def test_what_waits_for_a_member_that_is_stopped_goes_to_the_others(routing):
    """Nothing of it is lost, and it keeps its order."""
    async with tree(pool(2, routing)) as root:
        for life in root.launcher.lives:
            life.congested = True
        asks = [asyncio.create_task(root["p"].ask(Take(f"k{number}", number))) for number in range(12)]
        await at_rest()
        await root.terminate_child("p/0")
        last = root.launcher.life("/root/p/1")
        last.writable()
        while not all(ask.done() for ask in asks):
            for posted in list(last.received):
                last.received.remove(posted)
                finish(last, posted, handler_of(last, None))
            await at_rest()
        assert {"p/1"} == {ask.result().name for ask in asks}


def test_a_key_that_a_message_does_not_have():
    """Refused before anything starts, with the messages and the field."""
    spec = ChildSpec(Puppet, name="p", size=2, routing=Routing.BY_KEY, key="customer")
    with pytest.raises(
        InvalidSpec, match=r"expected a field that every message has; .*Echo.* have no such field"
    ) as no:
        Supervisor(SupervisorSpec(spec, name="sub"))
    assert ("$.children[0].children[0].key", "customer") == (no.value.path, no.value.value)
    with pytest.raises(InvalidSpec, match="goes by a field of each message"):
        Supervisor(ChildSpec(Worker, routing=Routing.BY_KEY))


# ---- what was given in advance


async def advanced(root):
    """A member that is quick, works on one message and has three in advance; the other works on one."""
    for number in range(2):
        await root["p"].tell(Take("", number))
    await at_rest()
    quick_one, other = (root.launcher.life(f"/root/p/{member}") for member in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(consumers, "QUICK", DEADLINE)  # it is, however long this took
        finish(quick_one, quick_one.received[0])
    for number in range(2, 6):
        await root["p"].tell(Take("", number))
    await at_rest()
    at_work, *advance = [posted.seq for posted in quick_one.received[1:]]
    assert 3 == len(advance)
    quick_one.doing = Progress(at_work, frozenset({at_work}), 0, 0)
    quick_one.goes_on = Activity((Work(0, 1, 0, 0),), 7, 0, leaving=False)
    return quick_one, other, advance


async def test_a_member_that_stays_busy_gives_back_what_it_has_not_begun():
    """It is asked first, then the others get it; what it says of that later is no news."""
    async with tree(pool(2)) as root:
        busy, other, advance = await advanced(root)
        await until(lambda: advance == busy.recalled, "the question")
        await until(lambda: len(advance) == queued(root), "their return")
        while other.received[-1].seq != advance[-1]:
            finish(other, other.received[-1])
        busy.say(Outcomes(0, [Outcome(seq, CANCELLED, NOTHING) for seq in advance]))
        finish(busy, busy.received[1])
        assert not busy.over


async def test_a_member_that_goes_on_tells_what_it_gave_back():
    """What it had begun meanwhile stays with it, the rest goes to the others."""
    async with tree(pool(2)) as root:
        busy, other, advance = await advanced(root)
        steps = count(8)
        busy.activity = lambda: msgspec.structs.replace(busy.goes_on, steps=next(steps) if busy.recalled else 7)
        await until(lambda: advance == busy.recalled, "the question")
        busy.doing = Progress(advance[0], frozenset({advance[0]}), 0, 0)
        busy.say(Outcomes(0, [Outcome(seq, CANCELLED, NOTHING) for seq in advance[1:]]))
        assert 2 == queued(root)
        for seq in advance[1:]:
            finish(other, other.received[-1])
            assert seq == other.received[-1].seq


async def test_what_a_member_gives_back_does_not_make_it_quick(monkeypatch):
    """It was not handled: what came back goes to a free member, not to the busy one again."""
    async with tree(pool(2)) as root:
        busy, _, advance = await advanced(root)
        await until(lambda: advance == busy.recalled, "the question")
        monkeypatch.setattr(consumers, "QUICK", DEADLINE)
        busy.say(Outcomes(0, [Outcome(seq, CANCELLED, NOTHING) for seq in advance]))
        assert len(advance) == queued(root)


async def test_what_is_returned_and_answered_all_the_same_is_a_broken_protocol():
    """A message that others may have handled is not handled by the one that had it: that life ends."""
    async with tree(pool(2)) as root:
        busy, _, advance = await advanced(root)
        await until(lambda: len(advance) == queued(root), "their return")
        busy.say(Outcomes(0, [Outcome(advance[0], DONE, NOTHING)]))
        await until(lambda: busy.over, "the end of the life")
        report = root.snapshot().children[int(busy.path[-1])].last_exit
        assert "which it does not have" in report.reason.detail


def queued(root):
    """How many messages of the pool are in the queue."""
    return root._tree.registry.get("/root/p").consumers.shared_queue.queued


# ---- members that die


@pytest.mark.parametrize("routing", MODES)
async def test_what_a_dead_member_had_goes_on(routing):
    """What it had not begun is handled, by others or its next life; what it was handling is reported."""
    async with tree(pool(3, routing)) as root:
        asks = {number: asyncio.create_task(root["p"].ask(Take(f"k{number}", number))) for number in range(30)}
        await at_rest()
        victim = root.launcher.life("/root/p/0")
        others = [root.launcher.life(f"/root/p/{member}") for member in (1, 2)]
        begin(victim, victim.received[0].seq)
        before = [list(life.received) for life in others]
        answering(root.launcher, handler_of)
        victim.exit()
        assert not any(life.over for life in others)
        assert before == [life.received[: len(had)] for life, had in zip(others, before, strict=True)]

        async def work():
            done = {id(life): 0 for life in others}
            while not all(task.done() for task in asks.values()):
                for life in others:
                    for posted in life.received[done[id(life)] :]:
                        done[id(life)] += 1
                        finish(life, posted, handler_of(life, None))
                await at_rest()

        await asyncio.wait_for(work(), DEADLINE)
        lost = [number for number, task in asks.items() if task.exception() is not None]
        assert 1 == len(lost)
        error = asks[lost[0]].exception()
        assert isinstance(error, ActorCrashed)
        assert (True, False) == (error.started, error.finished)


async def test_a_pool_goes_down_with_its_last_member():
    """As long as one is there, messages are taken; then they are refused, and what waits is told."""
    async with tree(pool(2, restart=RestartPolicy.TRANSIENT)) as root:
        ref = root["p"]
        root.launcher.life("/root/p/0").exit()
        root.launcher.life("/root/p/1").congested = True
        asking = asyncio.create_task(ref.ask(Take()))
        watching = asyncio.create_task(ref.terminated())
        await at_rest()
        assert not watching.done()
        root.launcher.life("/root/p/1").exit()
        with pytest.raises(ActorStopped, match="the message had not begun"):
            await asking
        assert "/root/p" == (await watching).path
        with pytest.raises(ActorStopped):
            await ref.tell(Take())
        assert {"p/0": "exited", "p/1": "exited"} == states(root)


async def test_a_pool_whose_supervisor_is_restarted():
    """It has the size of its spec again, and what waited is handled."""
    strict = Intensity(0, 5.0)
    sub = SupervisorSpec(child("c"), pool(3), name="s", intensity=strict, backoff=child().backoff)
    async with tree(sub) as root:
        await root.resize("s/p", 5)
        for number in (1, 3):
            await root.terminate_child(f"s/p/{number}")
        for life in root.launcher.lives:
            life.congested = True
        asks = [asyncio.create_task(root["s/p"].ask(Take("", number))) for number in range(20)]
        await at_rest()
        answering(root.launcher, handler_of)
        root.launcher.life("/root/s/c").exit()
        await asyncio.gather(*asks)
        await reached(root, {"c": "running", "p/0": "running", "p/1": "running", "p/2": "running"}, "s")
        assert {"s/p/0", "s/p/1", "s/p/2"} == {one.name for one in await taken(root["s/p"], 30)}


# ---- another size


@pytest.mark.parametrize("routing", MODES)
async def test_up_and_down(routing):
    """All of the new ones work, those too many are gone, the others are the same."""
    async with tree(pool(2, routing), launcher=quick()) as root:
        for size in (5, 1, 3, 3, 2):
            await root.resize("p", size)
            assert {f"p/{index}": "running" for index in range(size)} == states(root)
            everybody = await taken(root["p"], 100, lambda number, size=size: f"{size}-{number}")  # keys never seen
            assert {f"p/{index}" for index in range(size)} == {one.name for one in everybody}
        lives = [life for life in root.launcher.lives if life.path == "/root/p/0"]
        assert 1 == len(lives)


async def test_sizes_that_are_asked_for_together():
    """The last one is the size, also while members that an earlier one has asked to go are still there."""
    async with tree(pool(3), launcher=quick()) as root:
        sizes = [root.resize("p", size) for size in (6, 2, 4)]
        assert None is (await asyncio.gather(*sizes, return_exceptions=True))[-1]
        assert ["running"] * 4 == list(states(root).values())


@pytest.mark.parametrize("routing", MODES)
async def test_a_single_actor_becomes_a_pool_and_one_again(routing):
    """Its own name stays that of its first process, and its ref is everybody's."""
    async with tree(pool(1, routing), launcher=quick()) as root:
        ref = root["p"]
        await root.resize("p", 3)
        assert {"p": "running", "p/1": "running", "p/2": "running"} == states(root)
        everybody = await taken(ref, 60, lambda number: f"k{number}")
        assert {"p", "p/1", "p/2"} == {one.name for one in everybody}
        await root.resize(ref, 1)
        assert {"p": "running"} == states(root)
        assert {"p"} == {one.name for one in await taken(ref, 5)}
        assert ["p"] == [info.name for info in root.which_children()]


async def test_a_pool_that_was_terminated_gets_another_size():
    """Those within the new size keep their specs; growing starts what is new."""
    async with tree(pool(3), launcher=quick()) as root:
        await root.terminate_child("p")
        await root.resize("p", 2)
        assert {"p/0": "stopped", "p/1": "stopped"} == states(root)
        await root.resize("p", 3)
        assert {"p/0": "stopped", "p/1": "stopped", "p/2": "running"} == states(root)
        assert {"p/2"} == {one.name for one in await taken(root["p"], 10)}
        await root.terminate_child("p")
        await root.restart_child("p")
        assert {"p/0": "running", "p/1": "running", "p/2": "running"} == states(root)


@pytest.mark.parametrize("routing", MODES)
async def test_one_member_of_a_pool_that_was_terminated_is_restarted(routing):
    """It gets all waiting messages, whichever member ended last."""
    async with tree(pool(3, routing), launcher=quick()) as root:
        for member in range(3):
            await root.terminate_child("p")
            await root.restart_child(f"p/{member}")
            everybody = await taken(root["p"], 10, lambda number: f"k{number}")
            assert {f"p/{member}"} == {one.name for one in everybody}


@pytest.mark.parametrize("routing", MODES)
async def test_the_last_member_of_a_pool_that_was_terminated_is_forgotten(routing):
    """It was added and never ready. No message waits for it when the pool is started again."""
    launcher = quick()
    launcher.plan("/root/p/2", OnStart.HANG, on_stop=OnStop.IGNORE)
    async with tree(pool(2, routing), launcher=launcher) as root:
        growing = asyncio.create_task(root.resize("p", 3))
        await at_rest()
        stopping = asyncio.create_task(root.terminate_child("p"))
        await until(lambda: {"p/0": "stopped", "p/1": "stopped", "p/2": "stopping"} == states(root))
        launcher.life("/root/p/2").exit()
        await stopping
        with pytest.raises(StartFailed, match="p/2"):
            await growing
        await root.restart_child("p")
        assert {"p/0": "running", "p/1": "running"} == states(root)
        everybody = await taken(root["p"], 60, lambda number: f"k{number}")
        assert {"p/0", "p/1"} == {one.name for one in everybody}


@pytest.mark.parametrize("routing", MODES)
async def test_an_ask_that_does_not_wait_is_in_the_hands_of_a_member_that_stops(routing):
    """The other member is gone already, and no life takes messages: it is answered all the same, as it had begun."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/p/0", on_stop=OnStop.IGNORE)
    async with tree(pool(2, routing), launcher=launcher) as root:
        asks = [asyncio.create_task(root["p"].ask(Take(f"k{number}"), when_down="fail")) for number in range(8)]
        await at_rest()
        life = launcher.life("/root/p/0")
        stopping = asyncio.create_task(root.terminate_child("p"))
        await until(lambda: states(root)["p/1"] == "stopped")
        await at_rest()
        assert 0 < len(life.received) == sum(not ask.done() for ask in asks)
        for message in life.received:
            finish(life, message, handler_of(life, None))
        life.exit()
        await stopping
        answers = await asyncio.gather(*asks, return_exceptions=True)
        assert len(life.received) == sum(not isinstance(answer, ActorCrashed) for answer in answers)


async def test_a_pool_with_a_gap_gets_another_size():
    """A member that was deleted leaves a gap, which counts as a place."""
    async with tree(pool(3), launcher=quick()) as root:
        await root.terminate_child("p/1")
        await root.delete_child("p/1")
        await root.resize("p", 1)
        assert {"p/0": "running"} == states(root)
        await root.resize("p", 2)
        assert {"p/0": "running", "p/1": "running"} == states(root)


async def test_a_dead_member_is_replaced_and_a_living_one_stays():
    """Who lives decides, not the index."""
    async with tree(pool(3), launcher=quick()) as root:
        await root.terminate_child("p/0")
        await root.resize("p", 2)
        assert {"p/1": "running", "p/2": "running"} == states(root)
        await root.terminate_child("p/2")
        await root.resize("p", 3)
        assert {"p/0": "running", "p/1": "running", "p/2": "running"} == states(root)
        assert 1 == sum(life.path == "/root/p/1" for life in root.launcher.lives)


async def test_a_member_that_does_not_start():
    """StartFailed; the others are there, and the next try may succeed."""
    launcher = quick()
    launcher.plan("/root/p/2", OnStart.FAIL, OnStart.READY)
    async with tree(pool(2), launcher=launcher) as root:
        with pytest.raises(StartFailed, match="p/2"):
            await root.resize("p", 4)
        assert {"p/0": "running", "p/1": "running", "p/3": "running"} == states(root)
        await root.resize("p", 4)
        assert {f"p/{index}": "running" for index in range(4)} == states(root)
        assert {f"p/{index}" for index in range(4)} == {one.name for one in await taken(root["p"], 100)}


@pytest.mark.parametrize("size", [0, -1, 1.5, "3", None])
async def test_a_size_that_is_none(size):
    """The place, the value, the remedy; nothing has changed."""
    async with tree(pool(2)) as root:
        with pytest.raises(InvalidSpec, match="expected a whole number of at least 1") as no:
            await root.resize("p", size)
        assert ("size", size) == (no.value.path, no.value.value)
        assert {"p/0": "running", "p/1": "running"} == states(root)


async def test_what_has_no_size():
    """A supervisor has no size, nor has an unknown name."""
    async with tree(SupervisorSpec(pool(), name="sub", backoff=SOON)) as root:
        with pytest.raises(NoSuchChild, match="is a supervisor; only an actor or a pool has a size"):
            await root.resize("sub", 2)
        with pytest.raises(NoSuchChild):
            await root.resize("nobody", 2)
        await root.resize("sub/p", 4)
        assert 4 == root.count_children("sub").active


async def test_a_member_that_goes_finishes_its_message():
    """What it was at is answered; what it had not begun goes to the others; no asker notices."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/p/1", on_stop=OnStop.IGNORE)
    async with tree(pool(2), launcher=launcher) as root:
        asks = [asyncio.create_task(root["p"].ask(Take("", number))) for number in range(4)]
        await at_rest()
        going, staying = launcher.life("/root/p/1"), launcher.life("/root/p/0")
        begin(going, going.received[0].seq)
        resizing = asyncio.create_task(root.resize("p", 1))
        await until(lambda: states(root)["p/1"] == "stopping")
        finish(going, going.received[0], handler_of(going, None))
        going.exit()
        await resizing
        for done in range(3):
            await until(lambda done=done: len(staying.received) > done)
            finish(staying, staying.received[done], handler_of(staying, None))
        assert ["p/0"] * 3 + ["p/1"] == sorted(one.name for one in await asyncio.gather(*asks))
        assert {"p/0": "running"} == states(root)


async def test_a_pool_that_stops_gives_out_no_more_work():
    """Its members are asked together; what waits is not given to one that is still there."""
    launcher = ScriptedLauncher()
    for member in range(3):
        launcher.plan(f"/root/p/{member}", on_stop=OnStop.IGNORE)
    async with tree(pool(3), launcher=launcher) as root:
        asks = [asyncio.create_task(root["p"].ask(Take("", number))) for number in range(20)]
        lives = [launcher.life(f"/root/p/{member}") for member in range(3)]
        await until(lambda: all(life.received for life in lives))
        for life in lives:
            begin(life, life.received[0].seq)
        given = sum(len(life.received) for life in lives)
        root.request_stop()
        assert dict.fromkeys(["p/0", "p/1", "p/2"], "stopping") == states(root)
        for life in lives:
            finish(life, life.received[0], handler_of(life, None))
            life.exit()
        ended = await asyncio.gather(*asks, return_exceptions=True)
        assert given == sum(len(life.received) for life in lives)
        assert 3 == sum(not isinstance(end, Exception) for end in ended)
        assert 17 == sum(isinstance(end, ActorStopped) for end in ended)


async def left_waiting(root):
    """Messages for every member of a pool of 3; returns them, the first two lives, and how many each of them got."""
    asks = [asyncio.create_task(root["p"].ask(Take(str(number), number))) for number in range(6)]
    lives = [root.launcher.life(f"/root/p/{member}") for member in range(2)]
    await until(lambda: all(life.received for life in lives))
    await at_rest()
    return asks, lives, got(lives)


def got(lives):
    """How many messages each of these lives was given."""
    return [len(life.received) for life in lives]


@pytest.mark.parametrize("routing", MODES)
@pytest.mark.parametrize("how", ["stop", "terminate"])
async def test_what_waits_for_a_dead_member_is_not_given_to_one_that_is_stopped(routing, how):
    """It moves in the same turn in which the others are asked to stop: they get none of it."""
    async with tree(pool(3, routing, backoff=NEVER), intensity=Intensity.unlimited()) as root:
        while states(root)["p/2"] != "backoff":
            root.launcher.life("/root/p/2").exit(ExitKind.KILLED)
            await at_rest()
        asks, lives, given = await left_waiting(root)
        if how == "terminate":
            await root.terminate_child("p")
    await asyncio.gather(*asks, return_exceptions=True)
    assert given == got(lives)


@pytest.mark.parametrize("routing", MODES)
async def test_what_waits_for_the_member_that_ends_the_tree_is_not_given_to_the_others(routing):
    """Its death is one too many: they are asked to stop in the same turn."""
    with pytest.raises(RestartIntensityExceeded):
        async with tree(pool(3, routing), intensity=Intensity(0, 5.0)) as root:
            asks, lives, given = await left_waiting(root)
            root.launcher.life("/root/p/2").exit(ExitKind.KILLED)
            await asyncio.Event().wait()
    await asyncio.gather(*asks, return_exceptions=True)
    assert given == got(lives)


async def test_what_comes_back_is_not_given_to_a_member_that_is_stopped_for_the_restart():
    """A message of a shared queue that had not begun waits for the lives after the restart."""
    async with tree(pool(3), strategy=Strategy.ONE_FOR_ALL) as root:
        lives = [root.launcher.life(f"/root/p/{member}") for member in range(3)]
        ask = asyncio.create_task(root["p"].ask(Take("", 1)))
        await until(lambda: sum(got(lives)))
        given = got(lives)
        next(life for life in lives if life.received).exit(ExitKind.KILLED)
        await until(lambda: {"running"} == set(states(root).values()), "the restart")
        assert given == got(lives)
    await asyncio.gather(ask, return_exceptions=True)


# ---- one for all


async def test_a_pool_under_one_for_all():
    """A member's death restarts all of them; what waits is handled by the next lives."""
    async with tree(pool(3), child("c"), strategy=Strategy.ONE_FOR_ALL, launcher=quick()) as root:
        ref = root["p"]
        root.launcher.life("/root/p/1").exit()
        assert 30 == len(await taken(ref, 30))
        await reached(root, {"p/0": "running", "p/1": "running", "p/2": "running", "c": "running"})
        assert {("p/0", 2), ("p/1", 2), ("p/2", 2)} == {(one.name, one.life) for one in await taken(ref, 30)}
        assert 1 == root.snapshot().restarts


async def test_a_resized_pool_under_one_for_all():
    """Members that came later are restarted with the others."""
    async with tree(child("c"), pool(1), strategy=Strategy.ONE_FOR_ALL, launcher=quick()) as root:
        await root.resize("p", 3)
        root.launcher.life("/root/c").exit()
        await reached(root, dict.fromkeys(["c", "p", "p/1", "p/2"], "running"))
        assert {2} == {life.number for life in root.launcher.lives if not life.over}


# ---- when down


async def test_fail_when_down_means_the_whole_pool():
    """As long as one member is up an impatient ask is served; when the last dies, those that wait fail at once."""
    launcher = ScriptedLauncher()
    for member in (0, 1):
        launcher.plan(f"/root/p/{member}", OnStart.READY, OnStart.HANG)
    async with tree(pool(2), launcher=launcher) as root:
        ref = root["p"]
        launcher.life("/root/p/0").exit()
        launcher.life("/root/p/1").congested = True
        fail_if_down = asyncio.create_task(ref.ask(Take(), when_down="fail"))
        patient = asyncio.create_task(ref.ask(Take()))
        await at_rest()
        assert not fail_if_down.done()
        launcher.life("/root/p/1").exit()
        with pytest.raises(ActorCrashed, match="has no running process now"):
            await fail_if_down
        with pytest.raises(ActorCrashed):
            await ref.ask(Take(), when_down="fail")
        assert not patient.done()
        last = launcher.life("/root/p/0")
        last.become_ready()
        await at_rest()
        finish(last, last.received[0], handler_of(last, None))
        assert 2 == (await patient).life


# ---- real processes


@pytest.mark.processes
async def test_a_slow_message_holds_up_nobody(tmp_path):
    """One member hangs in a message: everything else is answered by the others."""
    gate = tmp_path / "gate"
    async with workers(2) as root:
        holding = asyncio.create_task(root["p"].ask(Hold(str(gate)), timeout=None))
        await until((tmp_path / "gate.begun").exists)
        quick_ones = await taken(root["p"], 200)
        assert not holding.done()
        gate.touch()
        slow = await holding
        assert {slow.pid}.isdisjoint({one.pid for one in quick_ones})


@pytest.mark.processes
@pytest.mark.parametrize("actor", [Worker, AsyncWorker], ids=["sync", "async that blocks"])
async def test_what_a_busy_member_was_given_in_advance_comes_back(tmp_path, actor):
    """A quick member becomes slow: what waits behind the slow message is handled by the other, and nothing twice."""
    gate, numbers = tmp_path / "gate", count()
    async with Supervisor(ChildSpec(actor, name="p", size=2), start="parallel", spares=0) as root:
        ref = root["p"]

        def ask(many):
            return [asyncio.ensure_future(ref.ask(Take("", next(numbers)), timeout=None)) for _ in range(many)]

        answers = []
        for _ in range(20):  # until both are quick, and get messages in advance
            answers += await asyncio.gather(*ask(50))
        asks = ask(20)
        holding = asyncio.create_task(ref.ask(Hold(str(gate)), timeout=None))
        asks += ask(40)
        async with asyncio.timeout(DEADLINE):
            answers += await asyncio.gather(*asks)
        assert not holding.done()
        gate.touch()
        await holding
        answers += await asyncio.gather(*ask(100))
        assert {"handled": next(numbers) + 1} == root.snapshot().children[0].fates
    longest = {answer.pid: answer.numbers for answer in sorted(answers, key=lambda answer: len(answer.numbers))}
    handled = [number for seen in longest.values() for number in seen]
    assert sorted(handled) == list(range(len(answers)))


@pytest.mark.processes
async def test_a_members_death_disturbs_no_other(tmp_path):
    """Their pids stay, and what they are at goes on."""
    gate = tmp_path / "gate"
    async with workers(3) as root:
        watch = Watch(root)
        before = {info.name: info.pid for info in root.which_children()}
        holding = asyncio.create_task(root["p"].ask(Hold(str(gate)), timeout=None))
        await until((tmp_path / "gate.begun").exists)
        with pytest.raises(ActorCrashed):
            await root["p"].ask(Die())
        died = (await watch.find(lambda h: isinstance(h, ChildExited))).report
        await watch.find(lambda h: isinstance(h, ChildStarted) and h.actor == died.actor)
        after = {info.name: info.pid for info in root.which_children()}
        assert [died.actor] == [f"/root/{name}" for name in before if before[name] != after[name]]
        assert not holding.done()
        gate.touch()
        assert before[(await holding).name] == (await holding).pid


@pytest.mark.processes
async def test_order_per_key_over_a_death():
    """Each key's messages reach one member in the order in which they were sent, also when it dies in between."""
    async with workers(3, Routing.BY_KEY) as root:
        ref = root["p"]
        keys = [f"k{number}" for number in range(6)]
        for number in range(50):
            for key in keys:
                ref.tell_nowait(Take(key, number))
            if number == 25:
                ref.tell_nowait(Die("k0"))
        last = [await ref.ask(Take(key, 50), timeout=DEADLINE) for key in keys]
        home = next(info for info in last if info.life == 2).name
        for one in last:
            assert sorted(one.numbers) == one.numbers
            assert list(range(26 if one.name == home else 0, 51)) == one.numbers
        assert len({one.name for one in last}) > 1


@pytest.mark.processes
@pytest.mark.parametrize("routing", MODES)
async def test_resized_under_load(routing):
    """Hundreds of asks during several resizes: each is answered, once, and nothing is left."""
    async with workers(2, routing) as root:
        ref, answers = root["p"], []
        over = asyncio.Event()

        async def client(number):
            while not over.is_set():
                answers.append(await ref.ask(Take(f"k{number}", number), timeout=DEADLINE))

        clients = [asyncio.create_task(client(number)) for number in range(8)]
        for size in (4, 1, 3, 2):
            await root.resize("p", size)
            so_far = len(answers)
            await until(lambda so_far=so_far: len(answers) > so_far + 50)
        over.set()
        await asyncio.gather(*clients)
        assert len(answers) > 200
        assert 0 == root.snapshot().children[0].mailbox
        assert {"handled": len(answers)} == {k: v for k, v in root.snapshot().children[0].fates.items() if v}
        assert {"p/0": "running", "p/1": "running"} == states(root)


@pytest.mark.processes
async def test_a_member_that_is_killed_from_outside():
    """Kill -9 of one of three under load: nothing that had not begun is lost, and it is back."""
    async with workers(3) as root:
        watch = Watch(root)
        victim = root.which_children()[1].pid
        asks = [asyncio.create_task(root["p"].ask(Take("", number), timeout=DEADLINE)) for number in range(300)]
        await at_rest()
        os.kill(victim, signal.SIGKILL)
        fates = await asyncio.gather(*asks, return_exceptions=True)
        lost = [fate for fate in fates if isinstance(fate, BaseException)]
        assert len(lost) <= 4
        assert all(isinstance(fate, ActorCrashed) and fate.started for fate in lost)
        assert 2 == (await watch.find(lambda h: isinstance(h, ChildStarted) and h.life == 2)).life


async def test_messages_told_to_a_pool_before_anyone_is_ready():
    """A pool in the middle of its restart takes what comes."""
    launcher = answering(ScriptedLauncher())
    for member in range(2):
        launcher.plan(f"/root/q/{member}", OnStart.READY, OnStart.HANG)
    async with tree(child("q", size=2), launcher=launcher) as root:
        for member in range(2):
            launcher.life(f"/root/q/{member}").exit()
        for number in range(10):
            root["q"].tell_nowait(Note(number))
        asking = asyncio.create_task(root["q"].ask(Echo("")))
        assert 11 >= root.snapshot().children[0].mailbox >= 10
        for member in range(2):
            launcher.life(f"/root/q/{member}").become_ready()
        assert (await asking).startswith("/root/q/")
        await until(lambda: root.snapshot().children[0].mailbox == 0)
