"""Trees: supervisors below supervisors, how they start, give up, and stop."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import time

import pytest

from actors import ActorStopped, ExitKind, NoSuchActor, UsageError
from supervisor import (
    BRUTAL_KILL,
    AutoShutdown,
    ChildExited,
    ChildSpec,
    Intensity,
    RestartIntensityExceeded,
    RestartPolicy,
    StartFailed,
    Strategy,
    Supervisor,
    SupervisorGaveUp,
    SupervisorSpec,
    SupervisorStarted,
    SupervisorStopped,
)
from supervisor.testing import OnStart, OnStop, ScriptedLauncher
from tests.support.actors import Echo, HangsInStop, Puppet, WhoAreYou
from tests.support.pooled import MeetsInStart
from tests.support.scripted import AT_ONCE, OFTEN, answering, child, die, reached, states, tree
from tests.support.waiting import DEADLINE, Watch, alive, at_rest, until

NEVER_AGAIN = Intensity(0, 5.0)
TRANSIENT = RestartPolicy.TRANSIENT


def under(name, *specs, **options):
    return SupervisorSpec(*specs, name=name, **{"intensity": OFTEN, "backoff": AT_ONCE, **options})


def deep(**options):
    """Three floors of supervisors with an actor on each."""
    third = under("three", child("d"), child("e"), **options)
    return [child("a"), under("one", child("b"), under("two", child("c"), third, **options), **options)]


def endings(launcher):
    """A list that fills with the paths of lives, as they end."""
    ended = []

    def launched(life):
        tell = life._listener.life_exited
        life._listener = type("Told", (), {"life_ready": life._listener.life_ready})()
        life._listener.life_exited = lambda end: (ended.append(life.path), tell(end))

    launcher.on_launch = launched
    return ended


# ---- start and stop


async def test_started_from_the_first_to_the_last_and_stopped_in_reverse():
    """On all floors: a supervisor is ready when all below it are, and stopped when they are."""
    launcher = ScriptedLauncher()
    ended = endings(launcher)
    root = tree(*deep(), launcher=launcher)
    watch = root.events()
    async with root:
        order = ["/root/a", "/root/one/b", "/root/one/two/c", "/root/one/two/three/d", "/root/one/two/three/e"]
        assert order == [life.path for life in launcher.lives]
    assert order[::-1] == ended
    seen = [happening async for happening in watch]
    started = [happening.supervisor for happening in seen if isinstance(happening, SupervisorStarted)]
    stopped = [happening.supervisor for happening in seen if isinstance(happening, SupervisorStopped)]
    assert ["/root/one/two/three", "/root/one/two", "/root/one", "/root"] == started == stopped


async def test_ordered_is_one_after_the_other():
    """No child starts before the one ahead of it is ready."""
    launcher = ScriptedLauncher()
    for name in "ab":
        launcher.plan(f"/root/{name}", OnStart.HANG)
    root = tree(child("a"), child("b"), child("c"), launcher=launcher)
    entering = asyncio.create_task(root.__aenter__())
    await until(lambda: launcher.lives)
    await at_rest()
    assert {"a": "starting", "b": "stopped", "c": "stopped"} == states(root)
    launcher.life("/root/a").become_ready()
    assert {"a": "running", "b": "starting", "c": "stopped"} == states(root)
    launcher.life("/root/b").become_ready()
    await entering
    assert {"a": "running", "b": "running", "c": "running"} == states(root)
    await root.__aexit__(None, None, None)


async def test_parallel_is_all_at_once():
    """Each starts although no other is ready; the stop is one after the other all the same."""
    launcher = ScriptedLauncher()
    for name in "abc":
        launcher.plan(f"/root/{name}", OnStart.HANG)
    ended = endings(launcher)
    root = tree(child("a"), child("b"), child("c"), start="parallel", launcher=launcher)
    entering = asyncio.create_task(root.__aenter__())
    await until(lambda: 3 == len(launcher.lives))
    assert {"a": "starting", "b": "starting", "c": "starting"} == states(root)
    for name in "cab":
        assert not entering.done()
        launcher.life(f"/root/{name}").become_ready()
    await entering
    await root.__aexit__(None, None, None)
    assert ["/root/c", "/root/b", "/root/a"] == ended


@pytest.mark.processes
async def test_parallel_with_real_processes(tmp_path):
    """Two actors that are ready only when the other is starting, too, become ready together."""
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    specs = [ChildSpec(MeetsInStart, args=args, name=name) for name, args in (("a", (one, two)), ("b", (two, one)))]
    async with Supervisor(*specs, start="parallel") as root:
        assert {"a": "running", "b": "running"} == states(root)


@pytest.mark.processes
async def test_ordered_with_real_processes(tmp_path):
    """In order they never meet: the first waits for the second, which is not started."""
    one, two = tmp_path / "one", tmp_path / "two"
    first = ChildSpec(MeetsInStart, args=(str(one), str(two)), name="a", shutdown=BRUTAL_KILL)
    second = ChildSpec(MeetsInStart, args=(str(two), str(one)), name="b")
    root = Supervisor(first, second)
    starting = asyncio.create_task(root.__aenter__())
    await until(one.exists, "the start of the first")
    assert {"a": "starting", "b": "stopped"} == states(root)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not two.exists()


async def test_a_failed_start_rolls_back_in_reverse():
    """However deep it is: what was started is stopped again, from the last to the first, the rest never starts."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/one/two/three/e", OnStart.FAIL)
    ended = endings(launcher)
    root = tree(*deep(), child("z"), launcher=launcher)
    with pytest.raises(StartFailed, match="/root/one did not start") as caught:
        await root.__aenter__()
    order = ["/root/one/two/three/e", "/root/one/two/three/d", "/root/one/two/c", "/root/one/b", "/root/a"]
    assert order == ended
    assert ExitKind.UNSTARTED is caught.value.report.reason.kind
    with pytest.raises(UsageError, match="was entered before"):
        await root.__aenter__()


async def test_entered_once():
    """A Supervisor is one run: neither during it nor after it can it be entered again."""
    root = tree(child())
    async with root:
        with pytest.raises(UsageError, match="make a new Supervisor"):
            await root.__aenter__()
        assert {"a": "running"} == states(root)
    with pytest.raises(UsageError, match="make a new Supervisor"):
        async with root:
            pass
    async with tree(*root.spec.children) as another:
        assert {"a": "running"} == states(another)


@pytest.mark.processes
async def test_stop_timeout_bounds_the_stop_of_a_whole_tree():
    """Actors on several floors that refuse to stop, each with an endless grace: all are gone at the deadline."""
    deaf = [ChildSpec(HangsInStop, name=name, shutdown=math.inf) for name in ("a", "b")]
    sub = under("sub", deaf[1], ChildSpec(Puppet, name="c"), start="parallel", intensity=Intensity())
    root = Supervisor(deaf[0], sub, stop_timeout=0.3, start="parallel")
    watch = root.events()
    async with root:
        pids = [root.snapshot().children[0].pid, *(node.pid for node in root.snapshot().children[1].children)]
        begun = time.monotonic()
    assert 0.3 <= time.monotonic() - begun
    assert [False] * 3 == [alive(pid) for pid in pids]
    reports = [happening.report async for happening in watch if isinstance(happening, ChildExited)]
    signals = {report.actor: report.signal for report in reports}
    assert signals.pop("/root/sub/c") in (None, "SIGKILL")  # it obeys, if it gets a processor before the deadline
    assert {"/root/a": "SIGKILL", "/root/sub/b": "SIGKILL", "/root/sub": None} == signals


async def test_without_a_deadline_each_has_its_own_grace():
    """A deaf child is killed when its own grace is over; then the next one's begins."""
    launcher = ScriptedLauncher()
    for path in ("/root/a", "/root/sub/b"):
        launcher.plan(path, on_stop=OnStop.IGNORE)
    ended = endings(launcher)
    async with tree(child("a", shutdown=0.02), under("sub", child("b", shutdown=0.02)), launcher=launcher):
        pass
    assert ["/root/sub/b", "/root/a"] == ended


async def test_a_second_request_may_be_a_kill():
    """request_stop returns at once and waits for the grace, request_kill ends the waiting."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/sub/a", on_stop=OnStop.IGNORE)
    async with tree(under("sub", child("a", shutdown=math.inf)), launcher=launcher) as root:
        root.request_stop()
        await until(lambda: states(root, "sub") == {"a": "stopping"})
        waiting = asyncio.create_task(root.wait())
        await at_rest()
        assert not waiting.done()
        root.request_kill()
        assert ExitKind.SHUTDOWN is (await waiting).kind


# ---- giving up


async def test_a_failure_stays_on_its_floor():
    """What one supervisor can repair does not reach those above."""
    async with tree(*deep()) as root:
        await die(root, "/root/one/two/three/d", times=5)
        await reached(root, {"d": "running", "e": "running"}, "one/two/three")
        assert [0, 0, 0, 5] == [
            root.snapshot().restarts,
            root.snapshot().children[1].restarts,
            root.snapshot().children[1].children[1].restarts,
            root.snapshot().children[1].children[1].children[1].restarts,
        ]
        assert 1 == root.launcher.life("/root/one/two/three/e").number


async def test_escalation_from_floor_to_floor():
    """Who gives up is restarted by the floor above, with everything below it, and counts there."""
    async with tree(*deep(intensity=NEVER_AGAIN)) as root:
        watch = Watch(root)
        lives = len(root.launcher.lives)
        await die(root, "/root/one/two/three/d")
        gave_up = []
        while len(gave_up) < 3:
            gave_up.append((await watch.find(lambda h: isinstance(h, SupervisorGaveUp))).supervisor)
        assert ["/root/one/two/three", "/root/one/two", "/root/one"] == gave_up
        await reached(root, {"a": "running", "one": "running"})
        await reached(root, {"d": "running", "e": "running"}, "one/two/three")
        assert lives + 4 == len(root.launcher.lives)
        assert (1, 2) == (root.snapshot().restarts, root.snapshot().children[1].life)


async def test_escalation_to_the_root():
    """At the root the body is cancelled, and the error with the last report comes out of it."""
    why = "/root gave up: restart 1 within 5 s, where 0 are allowed; the last to end: /root/one, shutdown"
    with pytest.raises(RestartIntensityExceeded, match=why) as caught:
        async with tree(*deep(intensity=NEVER_AGAIN), intensity=NEVER_AGAIN) as root:
            await die(root, "/root/one/two/three/d")
            await asyncio.Event().wait()
    report = caught.value.report
    assert ("/root/one", ExitKind.SHUTDOWN, "give_up") == (report.actor, report.reason.kind, report.decision)
    assert all(life.over for life in root.launcher.lives)


@pytest.mark.processes
async def test_escalation_with_real_processes():
    """The same with actors that are killed."""
    specs = [under("one", under("two", ChildSpec(Puppet, name="a"), intensity=NEVER_AGAIN), intensity=NEVER_AGAIN)]
    with pytest.raises(RestartIntensityExceeded):
        async with Supervisor(*specs, intensity=NEVER_AGAIN) as root:
            pid = (await root["one/two/a"].ask(WhoAreYou())).pid
            os.kill(pid, signal.SIGKILL)
            await asyncio.Event().wait()
    assert not alive(pid)


@pytest.mark.parametrize("policy", [RestartPolicy.TRANSIENT, RestartPolicy.TEMPORARY])
async def test_a_supervisor_that_gave_up_and_is_not_restarted(policy):
    """It ends with reason shutdown, which for a transient child is a normal end (OTP); its actors say how long."""
    async with tree(child("z"), under("sub", child(), intensity=NEVER_AGAIN, restart=policy)) as root:
        watch, ref = Watch(root), root["sub/a"]
        await die(root, "/root/sub/a")
        report = await watch.exited("sub")
        assert (ExitKind.SHUTDOWN, "leave_down") == (report.reason.kind, report.decision)
        left = {"z": "running", "sub": "exited"} if policy is RestartPolicy.TRANSIENT else {"z": "running"}
        await reached(root, left)
        assert "/root/sub/a" == (await ref.terminated()).path
        how_long = "until it is started, by" if policy is RestartPolicy.TRANSIENT else "for good"
        with pytest.raises(ActorStopped, match=f"/root/sub/a is down {how_long}"):
            ref.tell_nowait(Echo(""))
        assert 0 == root.snapshot().restarts


async def test_a_supervisor_that_gave_up_can_be_restarted_by_hand():
    """Its spec stays when it is transient."""
    launcher = answering(ScriptedLauncher())
    sub = under("sub", child(), intensity=NEVER_AGAIN, restart=TRANSIENT)
    async with tree(sub, launcher=launcher) as root:
        await die(root, "/root/sub/a")
        await reached(root, {"sub": "exited"})
        await root.restart_child("sub")
        assert "/root/sub/a 1" == await root["sub/a"].ask(Echo(""))


@pytest.mark.parametrize(
    ("strategy", "victim", "again"),
    [
        (Strategy.ONE_FOR_ONE, "b", {"a": 1, "sub": 1, "c": 1}),
        (Strategy.REST_FOR_ONE, "a", {"a": 2, "sub": 2, "c": 2}),
        (Strategy.REST_FOR_ONE, "c", {"a": 1, "sub": 1, "c": 2}),
        (Strategy.ONE_FOR_ALL, "c", {"a": 2, "sub": 2, "c": 2}),
    ],
)
async def test_a_subtree_is_a_sibling(strategy, victim, again):
    """A strategy restarts a supervisor with all below it like any other child; a death inside concerns only it."""
    async with tree(child("a"), under("sub", child("b")), child("c"), strategy=strategy) as root:
        await die(root, "/root/sub/b" if victim == "b" else f"/root/{victim}")
        await until(lambda: again == {node.name: node.life for node in root.snapshot().children})
        await reached(root, {"a": "running", "sub": "running", "c": "running"})
        await reached(root, {"b": "running"}, "sub")


# ---- significant children


@pytest.mark.parametrize(
    ("rule", "ends"), [(AutoShutdown.ANY_SIGNIFICANT, ["a"]), (AutoShutdown.ALL_SIGNIFICANT, ["a", "b"])]
)
@pytest.mark.parametrize("how", ["wait", "serve"])
async def test_the_end_of_significant_children_ends_the_tree(rule, ends, how):
    """Any of them or the last: the others are stopped, wait() and serve() return, and nothing is raised."""
    specs = [child(name, significant=True, restart=TRANSIENT) for name in "ab"]
    async with tree(*specs, child("c"), auto_shutdown=rule) as root:
        waiting = asyncio.create_task(getattr(root, how)())
        for name in ends:
            await at_rest()
            assert not waiting.done()
            root.launcher.life(f"/root/{name}").exit(ExitKind.NORMAL)
        reason = await asyncio.wait_for(waiting, DEADLINE)
        assert (ExitKind.SHUTDOWN, f"auto_shutdown: significant child '{ends[-1]}' ended") == (
            reason.kind,
            reason.detail,
        )
        assert all(life.over for life in root.launcher.lives)


async def test_a_significant_child_that_is_restarted_or_stopped_ends_nothing():
    """Only an end by itself after which it stays down counts."""
    spec = child("a", significant=True, restart=TRANSIENT)
    async with tree(spec, child("b"), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT) as root:
        await die(root, "/root/a")
        await reached(root, {"a": "running", "b": "running"})
        await root.terminate_child("a")
        assert {"a": "stopped", "b": "running"} == states(root)
        await root.restart_child("a")
        root.launcher.life("/root/b").exit(ExitKind.NORMAL)
        await reached(root, {"a": "running", "b": "running"})


async def test_a_subtree_that_ends_with_its_significant_child():
    """Its supervisor sees a shutdown: a transient subtree stays down, and is itself significant above."""
    inner = under(
        "inner",
        child("a", significant=True, restart=TRANSIENT),
        child("b"),
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
        significant=True,
        restart=TRANSIENT,
    )
    async with tree(inner, child("c"), auto_shutdown=AutoShutdown.ALL_SIGNIFICANT) as root:
        watch = Watch(root)
        root.launcher.life("/root/inner/a").exit(ExitKind.NORMAL)
        assert "auto_shutdown: significant child 'inner' ended" == (await root.wait()).detail
        ended = [h.report.actor for h in [*watch.seen, *watch._stream._items] if isinstance(h, ChildExited)]
        assert ["/root/inner/a", "/root/inner/b", "/root/inner", "/root/c"] == ended


# ---- names


async def test_names():
    """By name under the root, by path, with or without the root's own; the ref is the same."""
    async with tree(*deep(), child("p", size=2)) as root:
        for name, path in [
            ("a", "/root/a"),
            ("one/b", "/root/one/b"),
            ("one/two/three/e", "/root/one/two/three/e"),
            ("/root/one/two/c", "/root/one/two/c"),
            ("p", "/root/p"),
        ]:
            assert path == root[name].path
            assert root[name] == root.ref(name)
            assert f"<ActorRef {path}>" == repr(root[name])
            assert 1 == len({root[name], root.ref(path)})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("indexr", "did you mean /root/indexer"),
        ("parsers/parsr", "did you mean /root/parsers/parser"),
        ("/root/parser", "did you mean /root/parsers/parser"),
        ("zzzzzzzzzzzzzzzzzzzz", "there are: /root/indexer, /root/parsers/parser"),
        ("parsers", "/root/parsers/parser"),
        ("", "/root/"),
    ],
)
async def test_unknown_names(name, hint):
    """NoSuchActor with those that come near, else with those there are; a supervisor is not an actor."""
    async with tree(child("indexer"), under("parsers", child("parser"))) as root:
        for look in (root.__getitem__, root.ref):
            with pytest.raises(NoSuchActor) as caught:
                look(name)
            assert hint in str(caught.value)


async def test_one_name_on_two_floors():
    """Names are unique under their supervisor, not in the tree."""
    launcher = answering(ScriptedLauncher())
    async with tree(child(), under("sub", child(), under("sub", child())), launcher=launcher) as root:
        answers = [await root[name].ask(Echo("")) for name in ("a", "sub/a", "sub/sub/a")]
        assert ["/root/a 1", "/root/sub/a 1", "/root/sub/sub/a 1"] == answers
        await root.terminate_child("sub/sub/a")
        assert [{"a": "running", "sub": "running"}] * 2 + [{"a": "stopped"}] == [
            states(root, under) for under in ("", "sub", "sub/sub")
        ]


async def test_a_ref_stays_valid_over_everything():
    """Over a restart, over its supervisor's restart, and over terminate and restart of either."""
    launcher = answering(ScriptedLauncher())
    async with tree(under("sub", child(), child("b"), intensity=Intensity(1, 1000.0)), launcher=launcher) as root:
        ref = root["sub/a"]
        await die(root, "/root/sub/a")
        assert "/root/sub/a 2" == await ref.ask(Echo(""))
        await die(root, "/root/sub/b")
        assert "/root/sub/a 1" == await ref.ask(Echo(""))
        await root.terminate_child(ref)
        await root.restart_child(ref)
        assert "/root/sub/a 2" == await ref.ask(Echo(""))
        await root.terminate_child("sub")
        await root.restart_child("sub")
        assert "/root/sub/a 1" == await ref.ask(Echo(""))
