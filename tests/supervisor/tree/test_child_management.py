"""Children: changing a tree at run time, with OTP's answers. No process is needed for any of it."""

from __future__ import annotations

import asyncio
import contextlib
import math

import pytest

from actors import ActorStopped, ExitKind, NoSuchActor, UsageError
from supervisor import (
    AutoShutdown,
    Backoff,
    ChildSpec,
    DeadReason,
    Intensity,
    InvalidSpec,
    NoSuchChild,
    RestartPolicy,
    Routing,
    StartFailed,
    Strategy,
    Supervisor,
    SupervisorBusy,
    SupervisorSpec,
)
from supervisor.testing import OnStart, OnStop, ScriptedLauncher
from tests.support.actors import Echo, Note, Puppet, WhoAreYou
from tests.support.pooled import Take, Worker
from tests.support.scripted import AT_ONCE, OFTEN, answering, child, die, reached, states, tree
from tests.support.waiting import at_rest, dead_letter, until

LATER = Backoff(initial=3600.0, cap=3600.0, jitter=0.0)


def under(*specs, name="sub", **options):
    return SupervisorSpec(*specs, name=name, **{"intensity": OFTEN, "backoff": AT_ONCE, **options})


async def refused(call):
    """OTP's word for why not."""
    with pytest.raises(SupervisorBusy) as caught:
        await call
    return caught.value.answer


def waiting(**options):
    """A tree with a child that waits after its second death."""
    return tree(child(backoff=LATER), child("b"), intensity=Intensity.unlimited(), **options)


# ---- start_child


async def test_a_child_is_added_and_started():
    """Its path comes back when it is ready, it stands last, and it is spoken to like any other."""
    async with tree(child(), launcher=answering(ScriptedLauncher())) as root:
        assert "/root/b" == await root.start_child(child("b"))
        assert ["a", "b"] == list(states(root))
        assert "/root/b 1" == await root["b"].ask(Echo(""))


async def test_a_child_is_added_below():
    """`under` names the supervisor, by its name or by its whole path."""
    async with tree(under(under(name="deep"))) as root:
        assert "/root/sub/a" == await root.start_child(child("a"), under="sub")
        assert "/root/sub/deep/b" == await root.start_child(child("b"), under="sub/deep")
        assert "/root/sub/deep/c" == await root.start_child(child("c"), under="/root/sub/deep")
        assert {"sub": "running"} == states(root)
        assert {"deep": "running", "a": "running"} == states(root, "sub")
        assert {"b": "running", "c": "running"} == states(root, "/root/sub/deep")


async def test_start_answers_when_it_is_ready():
    """And not before."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.HANG)
    async with tree(launcher=launcher) as root:
        starting = asyncio.create_task(root.start_child(child()))
        await reached(root, {"a": "starting"})
        assert not starting.done()
        launcher.life("/root/a").become_ready()
        assert "/root/a" == await starting
        assert {"a": "running"} == states(root)


async def test_a_start_that_is_cancelled_while_siblings_restart():
    """The plan of the supervisor comes first; then the start is undone."""
    launcher = ScriptedLauncher()
    async with tree(child("b"), launcher=launcher, strategy=Strategy.ONE_FOR_ALL) as root:
        launcher.plan("/root/a", OnStart.HANG, OnStart.HANG)
        starting = asyncio.create_task(root.start_child(child()))
        await reached(root, {"b": "running", "a": "starting"})
        launcher.plan("/root/b", OnStart.HANG)
        await die(root, "/root/b")
        starting.cancel()
        await at_rest()
        launcher.life("/root/b").become_ready()
        with contextlib.suppress(UsageError):
            launcher.life("/root/a").become_ready()
        with pytest.raises((asyncio.CancelledError, StartFailed)):
            await starting
        assert {"b": "running"} == states(root)


async def test_already_started():
    """A name that is taken by a child that runs, starts or will be back."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/c", OnStart.HANG)
    async with waiting(launcher=launcher) as root:
        assert "already_started" == await refused(root.start_child(child("b")))
        await die(root, "/root/a", times=2)  # the second one is followed by a wait
        assert "already_started" == await refused(root.start_child(child("a")))
        starting = asyncio.create_task(root.start_child(child("c")))
        await reached(root, {"a": "backoff", "b": "running", "c": "starting"})
        assert "already_started" == await refused(root.start_child(child("c")))
        launcher.life("/root/c").become_ready()
        assert "/root/c" == await starting


@pytest.mark.parametrize("how", ["terminated", "left"])
async def test_already_present(how):
    """A name that is taken by a child that is down; the error says what to do."""
    async with tree(child(restart=RestartPolicy.TRANSIENT)) as root:
        if how == "terminated":
            await root.terminate_child("a")
        else:
            root.launcher.life("/root/a").exit(ExitKind.NORMAL)
        with pytest.raises(SupervisorBusy, match="restart_child starts it, delete_child frees the name") as caught:
            await root.start_child(child())
        assert "already_present" == caught.value.answer
        await root.delete_child("a")
        await root.start_child(child())


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(child("p", size=3), id="a larger pool"),
        pytest.param(child("p", size=2), id="as large a pool"),
        pytest.param(child("p"), id="a single actor"),
        pytest.param(under(name="p"), id="a supervisor"),
    ],
)
async def test_the_name_of_a_pool_is_taken_by_all_of_it(second):
    """Whatever comes under that name is refused, and the pool does not notice."""
    launcher = answering(ScriptedLauncher())
    async with tree(child("p", size=2), launcher=launcher) as root:
        assert "already_started" == await refused(root.start_child(second))
        assert {"p/0": "running", "p/1": "running"} == states(root)
        assert 2 == len(launcher.lives)
        await root.terminate_child("p")
        assert "already_present" == await refused(root.start_child(second))
        await root.restart_child("p")
        assert {await root["p"].ask(Echo("")) for _ in range(4)} <= {"/root/p/0 2", "/root/p/1 2"}


async def test_the_name_of_an_actor_is_no_name_for_a_pool():
    """The same the other way round."""
    async with tree(child("p"), under(name="s")) as root:
        assert "already_started" == await refused(root.start_child(child("p", size=2)))
        assert "already_started" == await refused(root.start_child(child("s", size=2)))
        assert "already_started" == await refused(root.start_child(child("s")))
        assert {"p": "running", "s": "running"} == states(root)


async def test_a_start_that_fails_discards_the_spec():
    """StartFailed carries the report; the name is free, and nothing was counted."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/b", OnStart.FAIL, OnStart.READY)
    async with tree(child(), launcher=launcher) as root:
        with pytest.raises(StartFailed, match="^/root/b did not start: unstarted") as caught:
            await root.start_child(child("b"))
        report = caught.value.report
        assert ("/root/b", ExitKind.UNSTARTED, "leave_down") == (report.actor, report.reason.kind, report.decision)
        assert {"a": "running"} == states(root)
        assert 0 == root.snapshot().restarts
        with pytest.raises(NoSuchActor):
            root["b"]
        await root.start_child(child("b"))


async def test_a_start_that_takes_too_long():
    """It is killed, and the spec is discarded."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/b", OnStart.HANG, on_stop=OnStop.IGNORE)
    async with tree(launcher=launcher) as root:
        with pytest.raises(StartFailed, match="not ready within 0.01 s"):
            await root.start_child(child("b", start_timeout=0.01))
        assert {} == states(root)
        assert launcher.lives[0].over


async def test_a_pool_of_which_one_does_not_start():
    """The spec is discarded as a whole: those that did start are stopped again, and the name is free."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/p/1", OnStart.FAIL, OnStart.READY)
    async with tree(launcher=launcher) as root:
        with pytest.raises(StartFailed, match="^/root/p/1 did not start"):
            await root.start_child(child("p", size=3))
        assert {} == states(root)
        assert all(life.over for life in launcher.lives)
        with pytest.raises(NoSuchActor):
            root["p"]
        await root.start_child(child("p", size=3))
        assert {"p/0": "running", "p/1": "running", "p/2": "running"} == states(root)


async def test_a_subtree_of_which_one_does_not_start():
    """The same for a supervisor and what is below it."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/sub/b", OnStart.FAIL, OnStart.READY)
    async with tree(launcher=launcher) as root:
        with pytest.raises(StartFailed):
            await root.start_child(under(child("a"), child("b")))
        assert {} == states(root)
        assert all(life.over for life in launcher.lives)
        with pytest.raises(NoSuchActor):
            root["sub/a"]
        assert "/root/sub" == await root.start_child(under(child("a"), child("b")))
        assert {"a": "running", "b": "running"} == states(root, "sub")


async def test_max_children():
    """One more is refused until one is deleted; a pool counts with all its processes and comes whole or not at all."""
    async with tree(child(), max_children=2) as root:
        await root.start_child(child("b"))
        with pytest.raises(SupervisorBusy, match="there are 2 children, and max_children is 2") as caught:
            await root.start_child(child("c"))
        assert "max_children" == caught.value.answer
        await root.terminate_child("b")
        assert "max_children" == await refused(root.start_child(child("c")))
        await root.delete_child("b")
        assert "max_children" == await refused(root.start_child(child("p", size=2)))
        assert {"a": "running"} == states(root)
        await root.start_child(child("c"))


async def test_while_the_supervisor_stops():
    """Every call is answered with `stopping`, and so is a start that was under way."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", on_stop=OnStop.IGNORE)
    launcher.plan("/root/slow", OnStart.HANG)
    async with tree(child(shutdown=math.inf), child("b"), launcher=launcher) as root:
        starting = asyncio.create_task(root.start_child(child("slow")))
        await reached(root, {"a": "running", "b": "running", "slow": "starting"})
        root.request_stop()
        assert "stopping" == await refused(starting)
        await until(lambda: states(root)["a"] == "stopping")
        assert "stopping" == await refused(root.start_child(child("c")))
        for call in (root.terminate_child, root.restart_child, root.delete_child):
            assert "stopping" == await refused(call("b"))
        assert "stopping" == await refused(root.resize("b", 2))
        launcher.life("/root/a").exit()
        await root.wait()
        assert "stopping" == await refused(root.start_child(child("c")))
        with pytest.raises(NoSuchActor):
            root["c"]


async def test_while_a_subtree_starts():
    """A supervisor that is starting takes no calls; its own parent does."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/sub/a", OnStart.READY, OnStart.HANG)
    async with tree(under(child(), child("b"), intensity=Intensity(0, 5.0)), launcher=launcher) as root:
        launcher.life("/root/sub/b").exit(ExitKind.KILLED)
        await until(lambda: states(root, "sub") == {"a": "starting", "b": "stopped"})
        with pytest.raises(SupervisorBusy, match="starting; ask again when it runs") as caught:
            await root.start_child(child("c"), under="sub")
        assert "refused" == caught.value.answer
        assert "refused" == await refused(root.restart_child("sub/b"))
        assert "/root/c" == await root.start_child(child("c"))
        with pytest.raises(NoSuchActor):
            root["sub/c"]
        launcher.life("/root/sub/a").become_ready()
        await reached(root, {"a": "running", "b": "running"}, "sub")
        await root.start_child(child("c"), under="sub")


async def test_while_several_are_restarted():
    """Until a restart of several is done, calls are answered with `restarting`."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.READY, OnStart.HANG)
    async with tree(child(), child("b"), strategy=Strategy.ONE_FOR_ALL, launcher=launcher) as root:
        launcher.life("/root/b").exit(ExitKind.KILLED)
        await until(lambda: states(root)["a"] == "starting")
        assert "restarting" == await refused(root.start_child(child("c")))
        assert "restarting" == await refused(root.terminate_child("a"))
        assert "restarting" == await refused(root.restart_child("b"))
        assert "restarting" == await refused(root.delete_child("b"))
        launcher.life("/root/a").become_ready()
        await reached(root, {"a": "running", "b": "running"})
        await root.start_child(child("c"))


async def test_a_supervisor_is_a_child_like_any_other():
    """A whole subtree is added, stopped, started again, and forgotten."""
    launcher = answering(ScriptedLauncher())
    async with tree(launcher=launcher) as root:
        await root.start_child(under(child(), under(child("b"), name="deep")))
        ref = root["sub/deep/b"]
        assert "/root/sub/deep/b 1" == await ref.ask(Echo(""))
        await root.terminate_child("sub")
        assert {"sub": "stopped"} == states(root)
        assert all(life.over for life in launcher.lives)
        with pytest.raises(ActorStopped):
            await ref.ask(Echo(""))
        await root.restart_child("sub")
        assert "/root/sub/deep/b 1" == await ref.ask(Echo(""))
        assert "running" == await refused(root.delete_child("sub"))
        await root.terminate_child("sub")
        await root.delete_child("sub")
        assert {} == states(root)
        with pytest.raises(NoSuchActor):
            root["sub/deep/b"]


# ---- wrong specs


@pytest.mark.parametrize(
    ("spec", "path", "value", "remedy"),
    [
        ("indexer", "$", "indexer", "expected one of ChildSpec, SupervisorSpec, TaskSpec"),
        (child("a/b"), "$.name", "a/b", "expected a name of letters"),
        (child(shutdown=-1), "$.shutdown", -1, "expected seconds from 0.001 to 1e+09, BRUTAL_KILL or INFINITY"),
        (child(start_timeout=0), "$.start_timeout", 0, "expected seconds from 0.001 to 1e+09, or INFINITY"),
        (child(size=0), "$.size", 0, "expected a whole number of at least 1"),
        (child(restart="always"), "$.restart", "always", "expected one of permanent, transient, temporary"),
        (child(significant=True), "$.significant", True, "needs a supervisor with auto_shutdown"),
        (
            child(size=2, routing=Routing.BY_KEY, key="text"),
            "$.key",
            "text",
            "expected a field that every message has; Again",
        ),
        (
            child(backoff=LATER),
            "$.backoff",
            LATER,
            "could never give up. Lower initial or cap, raise the intensity's period",
        ),
        (under(child(), child()), "$.children[1].name", "a", "names are unique: write name="),
        (under(under(child(mailbox=0))), "$.children[0].children[0].mailbox", 0, "at least 1"),
        (under(intensity=Intensity(-1, 5.0)), "$.intensity.max_restarts", -1, "or Intensity.unlimited()"),
    ],
)
async def test_a_spec_that_cannot_work(spec, path, value, remedy):
    """The place, the value and the remedy; nothing was started, nothing has changed."""
    async with tree(child("z")) as root:
        with pytest.raises(InvalidSpec) as caught:
            await root.start_child(spec)
        assert (path, value) == (caught.value.path, caught.value.value)
        assert remedy in caught.value.why
        assert f"{path}: {caught.value.why}, got {value!r}" == str(caught.value)
        assert {"z": "running"} == states(root)
        assert 1 == len(root.launcher.lives)


async def test_significance_is_checked_against_the_supervisor_it_goes_under():
    """What the root does not take, another may."""
    spec = child("s", significant=True, restart=RestartPolicy.TRANSIENT)
    async with tree(under(child(), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)) as root:
        with pytest.raises(InvalidSpec, match="significant"):
            await root.start_child(spec)
        with pytest.raises(InvalidSpec, match="a permanent child never ends for good"):
            await root.start_child(child("s", significant=True), under="sub")
        assert "/root/sub/s" == await root.start_child(spec, under="sub")


@pytest.mark.parametrize("name", ["nobody", "a", "sub/nobody", "sub/a", "/root/nobody"])
async def test_under_a_supervisor_that_is_not_there(name):
    """Neither an unknown name nor an actor has children."""
    async with tree(child(), under(child())) as root:
        for call in (lambda: root.which_children(name), lambda: root.count_children(name)):
            with pytest.raises(NoSuchChild, match="has no supervisor"):
                call()
        with pytest.raises(NoSuchChild, match="has no supervisor"):
            await root.start_child(child("b"), under=name)


# ---- terminate, restart, delete


async def test_the_whole_circle():
    """Stopped, started again, stopped, forgotten; each step refuses what does not fit."""
    launcher = answering(ScriptedLauncher())
    async with tree(child(), child("b"), launcher=launcher) as root:
        ref = root["a"]
        with pytest.raises(SupervisorBusy, match="is running; terminate_child first") as caught:
            await root.delete_child("a")
        assert "running" == caught.value.answer
        assert "running" == await refused(root.restart_child("a"))
        await root.terminate_child("a")
        await root.terminate_child("a")
        assert {"a": "stopped", "b": "running"} == states(root)
        with pytest.raises(ActorStopped, match="terminate_child was called"):
            await ref.tell(Note(1))
        await root.restart_child("a")
        assert "/root/a 2" == await ref.ask(Echo(""))
        await root.terminate_child("a")
        await root.delete_child("a")
        assert {"b": "running"} == states(root)
        with pytest.raises(NoSuchActor):
            root["a"]
        with pytest.raises(ActorStopped):
            await ref.tell(Note(1))


@pytest.mark.parametrize("name", ["nobody", "sub/nobody", "/root/nobody", "sub/a/b", "p/7", "", "/root"])
async def test_nobody_of_that_name(name):
    """NoSuchChild, whatever was asked."""
    async with tree(child(), under(child()), child("p", size=2)) as root:
        for call in (root.terminate_child, root.restart_child, root.delete_child):
            with pytest.raises(NoSuchChild, match=r"has no child.*which_children\(\) lists them"):
                await call(name)
        with pytest.raises(NoSuchChild):
            await root.resize(name, 2)


@pytest.mark.parametrize("name", ["a/", "sub/a/", "//a", "/rootsub/a", "sub//a", "/a"])
async def test_what_is_no_name_and_no_path(name):
    """A child is called by its name or its path, as everywhere; what is only like it is not taken for it."""
    async with tree(child(), under(child())) as root:
        with pytest.raises(NoSuchChild):
            await root.terminate_child(name)
        with pytest.raises(NoSuchActor):
            root[name]
        assert {"running"} == set(states(root).values())


async def test_a_child_of_another_supervisor():
    """Its path is named."""
    async with tree(child(), under(child("b"))) as root:
        with pytest.raises(NoSuchChild, match=r"/root has no child 'b'; did you mean /root/sub/b\?"):
            await root.terminate_child("b")


@pytest.mark.parametrize("name", ["sub/a", "/root/sub/a", "ref"])
async def test_by_name_by_path_and_by_ref(name):
    """However a child below is called, it is the same one."""
    async with tree(child(), under(child())) as root:
        name = root["sub/a"] if name == "ref" else name
        await root.terminate_child(name)
        assert {"a": "stopped"} == states(root, "sub")
        await root.restart_child(name)
        assert {"a": "running"} == states(root, "sub")
        await root.terminate_child(name)
        await root.delete_child(name)
        assert {} == states(root, "sub")
        assert {"a": "running", "sub": "running"} == states(root)


async def test_a_pool_as_a_whole():
    """Its name means all of it, from the last member to the first; a member may be meant, too."""
    launcher = answering(ScriptedLauncher())
    async with tree(child("p", size=3), launcher=launcher) as root:
        ref = root["p"]
        await root.terminate_child("p/1")
        assert {"p/0": "running", "p/1": "stopped", "p/2": "running"} == states(root)
        assert {"/root/p/0 1", "/root/p/2 1"} == set(await asyncio.gather(*(ref.ask(Echo("")) for _ in range(20))))
        await root.restart_child("p/1")
        await root.terminate_child(ref)
        assert {"p/0": "stopped", "p/1": "stopped", "p/2": "stopped"} == states(root)
        with pytest.raises(ActorStopped):
            await ref.ask(Echo(""))
        await root.restart_child(ref)
        assert {"/root/p/0 2", "/root/p/1 3", "/root/p/2 2"} == set(
            await asyncio.gather(*(ref.ask(Echo("")) for _ in range(30)))
        )
        await root.terminate_child("p")
        await root.delete_child("p")
        assert {} == states(root)
        with pytest.raises(NoSuchActor):
            root["p"]


async def test_a_child_that_waits_for_its_restart():
    """It counts as restarting; terminate_child ends the wait, and restart_child starts it then at once."""
    async with waiting() as root:
        await die(root, "/root/a", times=2)  # the second one is followed by a wait
        assert {"a": "backoff", "b": "running"} == states(root)
        assert "restarting" == await refused(root.restart_child("a"))
        assert "restarting" == await refused(root.delete_child("a"))
        await root.terminate_child("a")
        assert {"a": "stopped", "b": "running"} == states(root)
        await root.restart_child("a")
        assert {"a": "running", "b": "running"} == states(root)


async def test_a_child_in_the_middle_of_a_restart():
    """A life that was begun by a restart: restarting, and terminate_child takes it down."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.READY, OnStart.HANG)
    async with tree(child(), launcher=launcher) as root:
        launcher.life("/root/a").exit(ExitKind.CRASHED)
        assert {"a": "starting"} == states(root)
        assert "restarting" == await refused(root.restart_child("a"))
        assert "restarting" == await refused(root.delete_child("a"))
        await root.terminate_child("a")
        assert {"a": "stopped"} == states(root)


async def test_terminated_while_it_starts():
    """The caller that started it gets StartFailed; the one that stopped it returns."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.HANG)
    async with tree(launcher=launcher) as root:
        starting = asyncio.create_task(root.start_child(child()))
        await reached(root, {"a": "starting"})
        await root.terminate_child("a")
        with pytest.raises(StartFailed, match="was terminated before it was ready"):
            await starting
        assert {} == states(root)


async def test_a_pool_is_terminated_while_a_restart_has_stopped_it():
    """The end of one member undoes the start of all: the others are gone, which is what was asked for."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.READY, OnStart.HANG)
    launcher.plan("/root/p/0", OnStart.HANG)
    launcher.plan("/root/p/1", OnStart.HANG)
    async with tree(child(), launcher=launcher, strategy=Strategy.REST_FOR_ONE) as root:
        starting = asyncio.create_task(root.start_child(child("p", size=2)))
        await reached(root, {"a": "running", "p/0": "starting", "p/1": "starting"})
        launcher.life("/root/a").exit(ExitKind.CRASHED)
        await reached(root, {"a": "starting", "p/0": "backoff", "p/1": "backoff"})
        await root.terminate_child("p")
        with pytest.raises(StartFailed, match="was terminated before it was ready"):
            await starting
        assert {"a": "starting"} == states(root)


async def test_a_restart_that_fails():
    """StartFailed with the report; the spec stays, and another try may succeed."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.READY, OnStart.FAIL, OnStart.READY)
    async with tree(child(), launcher=launcher) as root:
        await root.terminate_child("a")
        with pytest.raises(StartFailed, match="^/root/a did not start") as caught:
            await root.restart_child("a")
        assert 2 == caught.value.report.life
        assert {"a": "exited"} == states(root)
        await root.restart_child("a")
        assert {"a": "running"} == states(root)


async def test_a_child_that_left_is_started_again():
    """A transient child that ended normally is down with its spec."""
    launcher = answering(ScriptedLauncher())
    async with tree(child(restart=RestartPolicy.TRANSIENT), launcher=launcher) as root:
        ref = root["a"]
        launcher.life("/root/a").exit(ExitKind.NORMAL)
        assert {"a": "exited"} == states(root)
        await root.restart_child(ref)
        assert "/root/a 2" == await ref.ask(Echo(""))


@pytest.mark.parametrize("how", ["it ends", "it is terminated"])
async def test_a_temporary_child_is_forgotten(how):
    """With its end its spec goes, and its name is free."""
    async with tree(child(restart=RestartPolicy.TEMPORARY)) as root:
        ref = root["a"]
        if how == "it ends":
            root.launcher.life("/root/a").exit(ExitKind.KILLED)
        else:
            await root.terminate_child(ref)
        assert {} == states(root)
        with pytest.raises(NoSuchChild):
            await root.restart_child(ref)
        await root.start_child(child())
        assert {"a": "running"} == states(root)


async def test_what_waits_at_terminate_becomes_dead_letters():
    """Tells are dead letters in order, asks hear ActorStopped, and the next life gets none of it."""
    async with tree(child()) as root:
        letters = root.dead_letters()
        ref, life = root["a"], root.launcher.life("/root/a")
        life.congested = True
        for number in range(3):
            await ref.tell(Note(number))
        asking = asyncio.create_task(ref.ask(Echo("x")))
        await at_rest()
        await root.terminate_child("a")
        buried = [await dead_letter(letters) for _ in range(4)]
        assert [Note(0), Note(1), Note(2), Echo("x")] == [letter.message for letter in buried]
        assert {("/root/a", DeadReason.ACTOR_STOPPED, 0)} == {(x.actor, x.reason, x.deliveries) for x in buried}
        with pytest.raises(ActorStopped, match=r"terminate_child was called.*had not begun"):
            await asking
        await root.restart_child("a")
        await at_rest()
        assert [] == root.launcher.life("/root/a").received


async def test_a_child_that_refuses_to_stop_delays_no_other_call():
    """Its own terminate_child waits for the grace; everything else is answered at once."""
    launcher = answering(ScriptedLauncher())
    launcher.plan("/root/a", on_stop=OnStop.IGNORE)
    async with tree(child(shutdown=math.inf), child("b"), launcher=launcher) as root:
        terminating = asyncio.create_task(root.terminate_child("a"))
        await until(lambda: states(root)["a"] == "stopping")
        await root.start_child(child("c"))
        await root.terminate_child("b")
        await root.restart_child("b")
        launcher.life("/root/c").exit(ExitKind.KILLED)
        assert "/root/c 2" == await root["c"].ask(Echo(""))
        assert "/root/b 2" == await root["b"].ask(Echo(""))
        assert not terminating.done()
        launcher.life("/root/a").exit()
        await terminating


# ---- which and how many


async def test_which_and_how_many():
    """Each process in the order of start, with its kind and its state; counts use OTP's words."""
    launcher = ScriptedLauncher()
    async with tree(child(), under(child("b"), child("c")), child("p", size=2), launcher=launcher) as root:
        rows = [(info.name, info.kind, info.state.value, info.pid) for info in root.which_children()]
        assert [
            ("a", "actor", "running", None),
            ("sub", "supervisor", "running", None),
            ("p/0", "actor", "running", None),
            ("p/1", "actor", "running", None),
        ] == rows
        counts = root.count_children()
        assert (4, 4, 1, 3) == (counts.specs, counts.active, counts.supervisors, counts.workers)
        await root.terminate_child("sub/b")
        await root.terminate_child("a")
        assert (4, 3) == (root.count_children().specs, root.count_children().active)
        below = root.count_children("sub")
        assert (2, 1, 0, 2) == (below.specs, below.active, below.supervisors, below.workers)


@pytest.mark.processes
async def test_a_pid_in_the_list_is_the_processs_own():
    """With real processes the list names them, and a child added at run time works like any other."""
    async with Supervisor(ChildSpec(Puppet, name="a"), spares=0) as root:
        await root.start_child(ChildSpec(Puppet, name="b"))
        for info in root.which_children():
            assert info.pid == (await root[info.name].ask(WhoAreYou())).pid
        await root.terminate_child("b")
        assert [None] == [info.pid for info in root.which_children() if info.name == "b"]


def delayed_on(loop):
    """Timers of delayed tells that are left on a loop."""
    return [handle for handle in loop._scheduled if "DelayedTells" in repr(handle) and not handle.cancelled()]


@pytest.mark.parametrize("how", ["deleted", "temporary", "of a subtree", "kept"])
async def test_delayed_tells_of_a_child_that_is_gone(how):
    """They are dead letters as soon as the child is forgotten, else when the tree ends; no timer is left."""
    temporary = RestartPolicy.TEMPORARY if how == "temporary" else RestartPolicy.PERMANENT
    root = tree(child("base"), under(child("x"), restart=RestartPolicy.TEMPORARY))
    letters = root.dead_letters()
    async with root:
        path = "/root/sub/x" if how == "of a subtree" else await root.start_child(child("x", restart=temporary))
        await root[path].tell(Note(1), delay=3600.0)
        if how == "deleted":
            await root.terminate_child("x")
            await root.delete_child("x")
        elif how == "temporary":
            root.launcher.life(path).exit()
        elif how == "of a subtree":
            await root.terminate_child("sub")
        if how != "kept":
            letter = await dead_letter(letters)
            assert (Note(1), DeadReason.ACTOR_STOPPED) == (letter.message, letter.reason)
    if how == "kept":
        letter = await dead_letter(letters)
        assert (Note(1), DeadReason.SHUTDOWN) == (letter.message, letter.reason)
    assert [] == delayed_on(asyncio.get_running_loop())


# ---- dynamic children and the restart of their supervisor


def escalate(root, victim):
    """A death that is too much for the supervisor of the victim."""
    root.launcher.life(victim).exit(ExitKind.KILLED)


STRICT = Intensity(0, 5.0)


async def test_dynamic_children_are_forgotten_when_their_supervisor_is_restarted():
    """Static ones are back with what waited for them; what waited for the dynamic ones becomes dead letters."""
    async with tree(under(child(), intensity=STRICT)) as root:
        await root.start_child(child("b"), under="sub")
        static, dynamic, letters = root["sub/a"], root["sub/b"], root.dead_letters()
        for name in "ab":
            root.launcher.life(f"/root/sub/{name}").congested = True
        await static.tell(Note(1))
        await dynamic.tell(Note(2))
        asking = asyncio.create_task(dynamic.ask(Echo("x")))
        await at_rest()
        escalate(root, "/root/sub/a")
        await until(lambda: states(root, "sub") == {"a": "running"})
        await at_rest()
        assert 1 == len(root.launcher.life("/root/sub/a").received)
        buried = await dead_letter(letters)
        assert ("/root/sub/b", Note(2), DeadReason.ACTOR_STOPPED) == (buried.actor, buried.message, buried.reason)
        assert Echo("x") == (await dead_letter(letters)).message
        with pytest.raises(ActorStopped):
            await asking
        with pytest.raises(ActorStopped):
            await dynamic.tell(Note(3))
        with pytest.raises(NoSuchActor):
            root["sub/b"]


async def test_dynamic_children_two_floors_below_are_forgotten_too():
    """The restart of a supervisor is the restart of everything below it."""
    async with tree(under(child(), under(child("b"), name="deep"), intensity=STRICT)) as root:
        await root.start_child(child("c"), under="sub/deep")
        await root.start_child(under(child("d"), name="more"), under="sub/deep")
        letters = root.dead_letters()
        static = root["sub/deep/b"]
        dynamic = [root["sub/deep/c"], root["sub/deep/more/d"]]
        for name in ("b", "c", "more/d"):
            root.launcher.life(f"/root/sub/deep/{name}").congested = True
        await static.tell(Note(1))
        for ref in dynamic:
            await ref.tell(Note(2))
        escalate(root, "/root/sub/a")
        await until(lambda: states(root) == {"sub": "running"})
        await until(lambda: states(root, "sub/deep") == {"b": "running"})
        await at_rest()
        assert 1 == len(root.launcher.life("/root/sub/deep/b").received)
        assert {ref.path for ref in dynamic} == {(await dead_letter(letters)).actor for _ in dynamic}
        for ref in dynamic:
            with pytest.raises(ActorStopped):
                await ref.tell(Note(3))
            with pytest.raises(NoSuchActor):
                root[ref.path]


async def test_a_name_that_was_forgotten_may_be_another_actors():
    """The new one is what its own spec says, not what the old one was."""
    launcher = answering(ScriptedLauncher())
    async with tree(under(child(), intensity=STRICT), launcher=launcher) as root:
        await root.start_child(child("b"), under="sub")
        escalate(root, "/root/sub/a")
        await until(lambda: states(root, "sub") == {"a": "running"})
        await root.start_child(child("b", Worker, size=2), under="sub")
        launcher.on_launch(launcher.life("/root/sub/b/0"))
        await root["sub/b"].tell(Take("k"))


async def test_a_static_name_given_to_another_spec_is_the_static_ones_again():
    """After its supervisor's restart a name means what the supervisor's spec says."""
    async with tree(under(child(), child("b"), intensity=STRICT)) as root:
        await root.terminate_child("sub/b")
        await root.delete_child("sub/b")
        await root.start_child(child("b", Worker), under="sub")
        await root["sub/b"].tell(Take("k"))
        escalate(root, "/root/sub/a")
        await until(lambda: states(root, "sub") == {"a": "running", "b": "running"})
        await root["sub/b"].tell(Note(1))


# ---- many of one kind


async def test_many_children_of_one_spec():
    """DynamicSupervisor's job: thirty sessions of one kind, each with arguments of its own, until it is too many."""
    session = child("session", restart=RestartPolicy.TEMPORARY)
    launcher = answering(ScriptedLauncher())
    async with tree(under(name="sessions", max_children=30, start="parallel"), launcher=launcher) as root:
        names = [f"s{number}" for number in range(30)]
        paths = await asyncio.gather(*(root.start_child(session.named(n, n), under="sessions") for n in names))
        assert [f"/root/sessions/{name}" for name in names] == paths
        assert names == [info.name for info in root.which_children("sessions")]
        assert (30, 30, 0, 30) == tuple(
            getattr(root.count_children("sessions"), field) for field in ("specs", "active", "supervisors", "workers")
        )
        answers = await asyncio.gather(*(root[path].ask(Echo("")) for path in paths))
        assert [f"{path} 1" for path in paths] == answers
        assert "max_children" == await refused(root.start_child(session.named("s30"), under="sessions"))
        launcher.life("/root/sessions/s7").exit(ExitKind.NORMAL)
        launcher.life("/root/sessions/s8").exit(ExitKind.KILLED)
        assert 28 == root.count_children("sessions").specs
        for name in ("s30", "s31"):
            await root.start_child(session.named(name), under="sessions")
        assert "max_children" == await refused(root.start_child(session.named("s32"), under="sessions"))


def test_named_changes_the_name_and_the_arguments_only():
    """The new spec keeps everything else, and its arguments are pickled anew."""
    spec = child("s", mailbox=7, restart=RestartPolicy.TRANSIENT)
    one = spec.named("one", "x")
    assert ("one", ("x",), {}, 7, RestartPolicy.TRANSIENT) == (one.name, one.args, one.kwargs, one.mailbox, one.restart)
    assert one.arguments != spec.arguments


# ---- what the callers of an actor that is down get


async def test_callers_wait_by_default():
    """An ask that comes while the actor is down is answered by the next life."""
    launcher = answering(ScriptedLauncher())
    launcher.plan("/root/a", OnStart.READY, OnStart.HANG)
    async with tree(child(), launcher=launcher) as root:
        launcher.life("/root/a").exit(ExitKind.KILLED)
        asking = asyncio.create_task(root["a"].ask(Echo("")))
        await at_rest()
        assert not asking.done()
        launcher.life("/root/a").become_ready()
        assert "/root/a 2" == await asking
