"""Snapshot: the whole tree at one moment, as values and as text; and the happenings that lead from one to the next."""

from __future__ import annotations

import asyncio
import re
import time
import typing

import pytest
from msgspec.structs import replace

import actors
import supervisor
from actors import ActorCrashed, ActorStopped, ExitKind
from actors.wire.progress import Progress
from supervisor import (
    Backoff,
    ChildCounts,
    ChildExited,
    ChildInfo,
    ChildSnapshot,
    ChildSpec,
    ChildStarted,
    DeadReason,
    Intensity,
    Missed,
    RestartIntensityExceeded,
    RestartPolicy,
    Strategy,
    Supervisor,
    SupervisorGaveUp,
    SupervisorSnapshot,
    SupervisorSpec,
    SupervisorStarted,
    SupervisorStopped,
    TreeHealth,
)
from supervisor.observe.broadcast import BACKLOG, Broadcast
from supervisor.testing import OnStart, OnStop, ScriptedLauncher
from tests.support.actors import Block, Echo, Note, Puppet
from tests.support.pooled import Take, Worker
from tests.support.scripted import AT_ONCE, answering, child, die, finish, reached, states, tree
from tests.support.waiting import DEADLINE, at_rest, dead_letter, until

OUTSIDE = "killed: SIGKILL from outside: a kill -9, its own, or the kernel short of memory"
LATER = Backoff(initial=60.0, cap=60.0, jitter=0.0)


def of(root, name="a"):
    """The snapshot of one child of the root."""
    return next(node for node in root.snapshot().children if node.name == name)


def everything(happenings):
    """All that a stream has now, without waiting."""
    return list(happenings._items)


# ---- one actor


@pytest.mark.parametrize(("says", "shown"), [("late\nby a day", "late ..."), ("", "''")])
async def test_what_an_actor_says_of_itself_takes_one_line(says, shown):
    async with tree(child()) as root:
        snapshot = root.snapshot()
    text = str(replace(snapshot, children=(replace(snapshot.children[0], degraded=says),)))
    assert 2 == len(text.splitlines())
    assert f"degraded: {shown}" in text


async def test_starting():
    """A life, no readiness yet, nothing before."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.HANG)
    root = tree(child(restart=RestartPolicy.TRANSIENT), launcher=launcher)
    entering = asyncio.create_task(root.__aenter__())
    await until(lambda: launcher.lives)
    node = of(root)
    assert ("a", "/root/a", "starting", "transient") == (node.name, node.path, node.state, node.restart)
    assert (1, None, None, None) == (node.life, node.uptime, node.next_try, node.last_exit)
    assert (0, {}, None, None) == (node.mailbox, node.fates, node.handling, node.handling_for)
    assert ("running", "starting", None) == (root.snapshot().state, root.snapshot().phase, root.snapshot().uptime)
    launcher.life("/root/a").become_ready()
    await entering
    assert "running" == root.snapshot().phase
    await root.__aexit__(None, None, None)


async def test_running():
    """It has been up since it was ready, and says what became of its messages."""
    async with tree(child(), launcher=answering(ScriptedLauncher())) as root:
        ref = root["a"]
        await ref.ask(Echo(""))
        await ref.tell(Note(1))
        await until(lambda: 0 == of(root).mailbox)
        node = of(root)
        assert ("running", 1, None) == (node.state, node.life, node.last_exit)
        assert {"handled": 2} == node.fates
        before = node.uptime
        await until(lambda: of(root).uptime > before)
        assert 0 <= before < DEADLINE


async def test_handling():
    """The type of the message being handled and since when; the mailbox counts it and what waits."""
    async with tree(child()) as root:
        assert (None, None) == (of(root).handling, of(root).handling_for)
        for number in range(3):
            await root["a"].tell(Note(number))
        await at_rest()
        life = root.launcher.life("/root/a")
        place = [cls.__qualname__ for cls in root._engine.children["a"].mailbox.protocol.handlers].index("Note")
        life.doing = Progress(1, frozenset({1}), time.monotonic_ns() - 3_000_000_000, place)
        node = of(root)
        assert ("Note", 3) == (node.handling, node.mailbox)
        assert 3.0 <= node.handling_for < 3.0 + DEADLINE
        life.doing = Progress(1, frozenset(), life.doing.since, place)
        assert (None, None) == (of(root).handling, of(root).handling_for)


async def test_backoff():
    """When the next life is due, the number of the last one, and how it ended."""
    async with tree(child(backoff=LATER), child("b"), intensity=Intensity.unlimited()) as root:
        root.launcher.life("/root/a").exit(ExitKind.KILLED)
        assert ("starting", 2, None) == (of(root).state, of(root).life, of(root).next_try)
        await die(root, "/root/a")
        node = of(root)
        assert ("backoff", 2, None, None) == (node.state, node.life, node.uptime, node.handling)
        assert 60.0 - DEADLINE < node.next_try <= 60.0
        report = node.last_exit
        assert (2, ExitKind.CRASHED, "restart", 60.0) == (
            report.life,
            report.reason.kind,
            report.decision,
            report.delay,
        )
        assert (None, None) == (of(root, "b").next_try, of(root, "b").last_exit)


async def test_stopped_and_exited():
    """Taken down by a call is stopped, gone by itself is exited; neither has a next try."""
    async with tree(child(), child("b", restart=RestartPolicy.TRANSIENT)) as root:
        await root.terminate_child("a")
        root.launcher.life("/root/b").exit(ExitKind.NORMAL)
        assert [("stopped", "expected"), ("exited", "leave_down")] == [
            (node.state, node.last_exit.decision) for node in root.snapshot().children
        ]
        assert [(1, None, None)] * 2 == [(node.life, node.uptime, node.next_try) for node in root.snapshot().children]


async def test_stopping():
    """Asked to stop and not gone yet."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", on_stop=OnStop.IGNORE)
    async with tree(child(), launcher=launcher) as root:
        terminating = asyncio.create_task(root.terminate_child("a"))
        await reached(root, {"a": "stopping"})
        assert of(root).uptime is not None
        launcher.life("/root/a").exit()
        await terminating


# ---- a supervisor


async def test_restarts_and_budget():
    """How many restarts the window holds and how many are left; None without a bound."""
    sub = SupervisorSpec(child("b"), name="sub", intensity=Intensity.unlimited(), strategy=Strategy.REST_FOR_ONE)
    async with tree(child(), sub, intensity=Intensity(3, 1000.0)) as root:
        for count in range(3):
            snapshot = root.snapshot()
            assert (count, 3 - count) == (snapshot.restarts, snapshot.budget)
            await die(root, "/root/a")
        assert (3, 0) == (root.snapshot().restarts, root.snapshot().budget)
        root.launcher.life("/root/sub/b").exit(ExitKind.CRASHED)
        below = of(root, "sub")
        assert (1, None, "rest_for_one", 1) == (below.restarts, below.budget, below.strategy, below.life)


async def test_the_window_slides():
    """What is older than the period counts no more."""
    async with tree(child(), intensity=Intensity(1, 0.05)) as root:
        root.launcher.life("/root/a").exit(ExitKind.CRASHED)
        await until(lambda: 0 == root.snapshot().restarts)
        await die(root, "/root/a")
        await reached(root, {"a": "running"})


async def test_a_subtree():
    """Life, uptime and last exit of a supervisor are those of its whole subtree; children stand in order."""
    sub = SupervisorSpec(child("b"), child("c"), name="sub", intensity=Intensity(0, 5.0), backoff=AT_ONCE)
    async with tree(child(), sub) as root:
        node = of(root, "sub")
        assert ("running", "running", 1, None) == (node.state, node.phase, node.life, node.last_exit)
        assert "/root/sub" == node.path
        assert ["/root/sub/b", "/root/sub/c"] == [below.path for below in node.children]
        root.launcher.life("/root/sub/b").exit(ExitKind.KILLED)
        await until(lambda: (2, "running", "running") == ((node := of(root, "sub")).life, node.state, node.phase))
        node = of(root, "sub")
        assert ("shutdown", "restart") == (node.last_exit.reason.kind, node.last_exit.decision)
        assert "gave up" in node.last_exit.reason.detail
        assert node.uptime <= root.snapshot().uptime


async def test_while_several_are_restarted():
    """The phase says so, and so does each child's state."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.READY, OnStart.HANG)
    async with tree(child(), child("b"), strategy=Strategy.ONE_FOR_ALL, launcher=launcher) as root:
        launcher.life("/root/b").exit(ExitKind.KILLED)
        await until(lambda: "starting" == of(root).state)
        assert ("restarting", "backoff") == (root.snapshot().phase, of(root, "b").state)
        launcher.life("/root/a").become_ready()
        await until(lambda: "running" == root.snapshot().phase)


async def test_before_and_after():
    """Before it is entered there is none; after the end it says that all is down."""
    root = tree(child())
    assert "<Supervisor /root not started>" == repr(root) == str(root)
    async with root:
        pass
    snapshot = root.snapshot()
    assert ("exited", "stopped", "stopped") == (snapshot.state, snapshot.phase, snapshot.children[0].state)


async def test_looking_changes_nothing():
    """A snapshot is a value of its moment."""
    async with tree(child()) as root:
        before = root.snapshot()
        root.launcher.life("/root/a").exit(ExitKind.CRASHED)
        assert (1, 0) == (before.children[0].life, before.restarts)
        assert (2, 1) == (of(root).life, root.snapshot().restarts)


async def test_a_pool_has_a_line_for_each_member():
    """Their mailbox is the same, and stands at the first, so that it counts once."""
    async with tree(child("p", Worker, size=2)) as root:
        for number in range(5):
            await root["p"].tell(Take("", number))
        assert [("p/0", 5), ("p/1", 0)] == [(node.name, node.mailbox) for node in root.snapshot().children]


async def test_the_messages_of_a_pool_count_once_while_its_first_members_are_gone():
    """They stand at the first that is there."""
    async with tree(child("p", Worker, size=3, restart=RestartPolicy.TEMPORARY)) as root:
        for number in range(5):
            await root["p"].tell(Take("", number))
        await die(root, "/root/p/0")
        left = [(node.name, node.mailbox) for node in root.snapshot().children]
        assert [("p/1", root["p"]._mailbox.depth), ("p/2", 0)] == left


def classes(hint):
    """The classes in an annotation."""
    inner = typing.get_args(hint)
    if inner and typing.get_origin(hint) is not typing.Literal:
        return {one for part in inner for one in classes(part)}
    return {hint} if isinstance(hint, type) else set()


@pytest.mark.parametrize("shown", [SupervisorSnapshot, ChildSnapshot, ChildInfo, ChildCounts, TreeHealth])
def test_every_type_in_a_snapshot_is_public(shown):
    """An annotation of what is shown needs no private module."""
    found = {one for hint in typing.get_type_hints(shown).values() for one in classes(hint)}
    of_ours = {one.__name__ for one in found if one.__module__.partition(".")[0] in {"actors", "supervisor"}}
    assert of_ours <= {*actors.__all__, *supervisor.__all__}


@pytest.mark.processes
async def test_of_a_real_process(tmp_path):
    """The pid, what it is handling, and for how long."""
    gate = tmp_path / "gate"
    async with Supervisor(ChildSpec(Puppet, name="a"), spares=0) as root:
        blocking = asyncio.create_task(root["a"].ask(Block(str(gate)), timeout=None))
        await until(lambda: "Block" == of(root).handling)
        first = of(root)
        assert first.pid == root.which_children()[0].pid
        await until(lambda: of(root).handling_for > first.handling_for)
        assert (1, "running") == (first.mailbox, first.state)
        gate.touch()
        await blocking
        await until(lambda: of(root).handling is None)  # of another machine it is a sample, see `--engine`
        assert (0, {"handled": 1}) == (of(root).mailbox, of(root).fates)


# ---- as text


async def test_a_readable_tree():
    """One line for each, indented by floor: state, life, what waits, what was last."""
    sub = SupervisorSpec(
        child("b", backoff=LATER),
        child("c", restart=RestartPolicy.TEMPORARY),
        name="sub",
        strategy=Strategy.REST_FOR_ONE,
        intensity=Intensity.unlimited(),
    )
    async with tree(child(), sub, name="shop", intensity=Intensity(3, 1000.0)) as root:
        root.launcher.life("/shop/a").exit(ExitKind.KILLED)
        await die(root, "/shop/sub/b", times=2)
        root["sub/b"].tell_nowait(Note(1))
        lines = str(root).splitlines()
        assert str(root.snapshot()).splitlines()[0] == lines[0]
        assert "shop (one_for_one) running, restarts in 1000 s: 1 used, 2 left" == lines[0]
        assert re.match(r"  a running, life 2, up \d+\.\d", lines[1])
        assert lines[1].endswith(f", mailbox 0, last exit: {OUTSIDE}")
        assert "  sub (rest_for_one) restarting, restarts in 5 s: 2 used, without a bound" == lines[2]
        assert lines[3].startswith("    b backoff, life 2, starts in ")
        assert " s, mailbox 1, last exit: crashed: exit code 1: an uncaught error" in lines[3]
        assert 4 == len(lines), lines


async def test_handling_as_text():
    """The message being handled, and since when."""
    async with tree(child()) as root:
        place = [cls.__qualname__ for cls in root._engine.children["a"].mailbox.protocol.handlers].index("Echo")
        root.launcher.life("/root/a").doing = Progress(1, frozenset({1}), time.monotonic_ns() - 2_000_000_000, place)
        line = str(root).splitlines()[1]
        assert float(re.search(r"handling Echo for ([\d.]+\d)", line)[1]) >= 2
        assert line.startswith("  a running, life 1, up ")


async def test_repr():
    """One line: name, phase, strategy, how many are in which state, how many restarts."""
    specs = [child("a", backoff=LATER), child("b"), child("c")]
    async with tree(*specs, name="shop", intensity=Intensity.unlimited()) as root:
        assert "<Supervisor /shop running one_for_one [3 running] restarts unlimited>" == repr(root)
        await die(root, "/shop/a", times=2)
        assert "<Supervisor /shop running one_for_one [1 backoff, 2 running] restarts unlimited>" == repr(root)
    async with tree(child(), strategy=Strategy.ONE_FOR_ALL, intensity=Intensity(3, 2.5)) as root:
        assert "<Supervisor /root running one_for_all [1 running] restarts 0/3 in 2.5s>" == repr(root)


# ---- what happens


async def test_the_happenings_of_one_death():
    """The report of the end, then the next life; each once."""
    root = tree(child())
    happenings = root.events()
    async with root:
        assert [ChildStarted("/root/a", 1, None), SupervisorStarted("/root")] == everything(happenings)
        root.launcher.life("/root/a").exit(ExitKind.KILLED)
        await at_rest()
        ended, started = everything(happenings)[2:]
        report = ended.report
        assert ("/root/a", 1, OUTSIDE, "SIGKILL", None) == (
            report.actor,
            report.life,
            str(report.reason),
            report.signal,
            report.exit_code,
        )
        assert ("restart", "permanent children are restarted", 0.0) == (report.decision, report.because, report.delay)
        assert ChildStarted("/root/a", 2, None) == started
    assert [ChildExited, SupervisorStopped] == [type(item) for item in everything(happenings)[4:]]
    assert "expected" == everything(happenings)[4].report.decision
    assert [item async for item in happenings][-1] == SupervisorStopped("/root", (await root.wait()))


async def test_the_happenings_of_a_give_up():
    """The death that was too much, the give-up, the others in reverse, the end; then the floor above goes on."""
    sub = SupervisorSpec(child("a"), child("b"), child("c"), name="sub", intensity=Intensity(0, 5.0), backoff=AT_ONCE)
    async with tree(sub) as root:
        happenings = root.events()
        root.launcher.life("/root/sub/b").exit(ExitKind.CRASHED)
        await until(lambda: SupervisorStarted("/root/sub") in everything(happenings))
        told = everything(happenings)
        names = [
            (type(item).__name__, item.report.actor, item.report.decision)
            if isinstance(item, ChildExited)
            else (type(item).__name__, item.actor if isinstance(item, ChildStarted) else item.supervisor)
            for item in told
        ]
        assert [
            ("ChildExited", "/root/sub/b", "give_up"),
            ("SupervisorGaveUp", "/root/sub"),
            ("ChildExited", "/root/sub/c", "expected"),
            ("ChildExited", "/root/sub/a", "expected"),
            ("SupervisorStopped", "/root/sub"),
            ("ChildExited", "/root/sub", "restart"),
            ("ChildStarted", "/root/sub/a"),
            ("ChildStarted", "/root/sub/b"),
            ("ChildStarted", "/root/sub/c"),
            ("SupervisorStarted", "/root/sub"),
        ] == names
        assert SupervisorGaveUp("/root/sub", "b", 1) == told[1]
        assert "restart 1 within 5 s, where 0 are allowed" == told[0].report.because


async def test_the_happenings_of_the_roots_end():
    """Every reader ends after the last of them, however many there are."""
    root = tree(child(), intensity=Intensity(0, 5.0))
    readers = [root.events() for _ in range(2)]
    with pytest.raises(RestartIntensityExceeded):
        async with root:
            root.launcher.life("/root/a").exit(ExitKind.CRASHED)
            await asyncio.Event().wait()
    first, second = [[item async for item in reader] for reader in readers]
    assert first == second
    assert [ChildStarted, SupervisorStarted, ChildExited, SupervisorGaveUp, SupervisorStopped] == [
        type(item) for item in first
    ]
    assert [] == [item async for item in root.events()]


async def test_a_slow_reader_is_told_what_it_missed(monkeypatch):
    """The oldest are lost, the tree does not wait, and a quick reader loses nothing."""
    few = 50
    monkeypatch.setattr(Broadcast.read, "__defaults__", (few,))
    async with tree(child(), intensity=Intensity.unlimited()) as root:
        slow, quick, seen = root.events(), root.events(), []
        for _ in range(few):
            root.launcher.life("/root/a").exit(ExitKind.CRASHED)
            seen += [await anext(quick)]
            await until(lambda: "running" == of(root).state)
            seen += [await anext(quick)]
        assert 2 * few == len(seen)
        assert Missed(few) == await anext(slow)
        assert seen[few:] == [await anext(slow) for _ in range(few)]


async def test_dead_letters():
    """Each dead letter, once, with its reason; a slow reader gets Missed here, too."""
    async with tree(child(mailbox=5000)) as root:
        slow, letters = root.dead_letters(), root.dead_letters()
        ref, life = root["a"], root.launcher.life("/root/a")
        await ref.tell(Note(0))
        await at_rest()
        life.doing = Progress(life.received[0].seq, frozenset({life.received[0].seq}), 0, 0)
        life.exit(ExitKind.KILLED)
        letter = await dead_letter(letters)
        assert ("/root/a", Note(0), "Note", None, DeadReason.CRASHED, OUTSIDE, 1) == (
            letter.actor,
            letter.message,
            letter.message_type,
            letter.sender,
            letter.reason,
            letter.detail,
            letter.deliveries,
        )
        root.launcher.life("/root/a").congested = True
        for number in range(BACKLOG + 10):
            await ref.tell(Note(number))
        await root.terminate_child("a")
        assert Missed(11) == await anext(slow)
        assert Note(10) == (await anext(slow)).message


# ---- callers while the actor is down


def down(**options):
    """A tree whose only actor waits a minute for its third life."""
    return tree(child(backoff=LATER, **options), intensity=Intensity.unlimited())


async def test_fail_at_once_when_it_is_down():
    """With the last report and without a trace in the mailbox; the next caller may wait."""
    async with down() as root:
        await die(root, "/root/a", ExitKind.KILLED, times=2)
        with pytest.raises(ActorCrashed, match="has no running process now.*last: killed: SIGKILL") as caught:
            await root["a"].ask(Echo(""), when_down="fail")
        assert (False, False, 2) == (caught.value.started, caught.value.finished, caught.value.report.life)
        assert 0 == of(root).mailbox
        with pytest.raises(ActorStopped):
            await root.terminate_child("a")
            await root["a"].ask(Echo(""), when_down="fail")


async def test_fail_at_once_when_it_goes_down():
    """Asks that wait in its mailbox or are in flight and not begun, if they are impatient; the others stay."""
    async with down() as root:
        await die(root, "/root/a", ExitKind.KILLED)
        life = root.launcher.life("/root/a")
        await until(lambda: life.ready)
        asks = [asyncio.create_task(root["a"].ask(Echo(str(n)), when_down="fail", timeout=None)) for n in range(2)]
        patient = asyncio.create_task(root["a"].ask(Echo("patient"), timeout=None))
        await at_rest()
        life.congested = True
        asks.append(asyncio.create_task(root["a"].ask(Echo("queued"), when_down="fail", timeout=None)))
        await at_rest()
        assert [3, 4] == [len(life.received), of(root).mailbox]
        life.exit(ExitKind.KILLED)
        errors = await asyncio.gather(*asks, return_exceptions=True)
        assert [(ActorCrashed, False, False)] * 3 == [(type(e), e.started, e.finished) for e in errors]
        assert (1, {"failed_when_down": 3}) == (of(root).mailbox, of(root).fates)
        assert not patient.done()
        await root.terminate_child("a")
        with pytest.raises(ActorStopped):
            await patient


async def test_an_impatient_ask_of_one_that_runs():
    """It is answered like any other."""
    async with tree(child(), launcher=answering(ScriptedLauncher())) as root:
        assert "/root/a 1" == await root["a"].ask(Echo(""), when_down="fail")
        root.launcher.life("/root/a").exit(ExitKind.CRASHED)
        await reached(root, {"a": "running"})
        assert "/root/a 2" == await root["a"].ask(Echo(""), when_down="fail")


async def test_who_waits_gets_the_next_life():
    """Default: an ask made while it is down, and one that its last life had not begun, in the order sent."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.READY, OnStart.HANG)
    async with tree(child(), launcher=launcher) as root:
        early = asyncio.create_task(root["a"].ask(Echo("early")))
        await at_rest()
        launcher.life("/root/a").exit(ExitKind.KILLED)
        late = asyncio.create_task(root["a"].ask(Echo("late")))
        await at_rest()
        life = launcher.life("/root/a")
        assert {"a": "starting"} == states(root)
        life.become_ready()
        await at_rest()
        for posted, answer in zip(life.received, ("first", "second"), strict=True):
            finish(life, posted, answer)
        assert ["first", "second"] == await asyncio.gather(early, late)


async def test_who_waits_waits_no_longer_than_the_timeout():
    """Then the message is taken back: the next life never sees it."""
    async with down() as root:
        await die(root, "/root/a", ExitKind.KILLED, times=2)
        with pytest.raises(TimeoutError):
            await root["a"].ask(Echo(""), timeout=0.01)
        assert (0, {"expired": 1}) == (of(root).mailbox, of(root).fates)
