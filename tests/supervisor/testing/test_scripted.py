"""The test kit: scripted lives keep the promises of real ones."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import msgspec
import pytest

from actors.errors import UsageError
from actors.exits import ExitKind
from actors.protocol.protocol import protocol_of
from actors.wire.codec import encode
from actors.wire.from_child import Outcome, Outcomes
from actors.wire.kinds import REPLY
from supervisor import ChildSpec, Intensity, RestartPolicy, StartFailed
from supervisor.core.rules.states import ChildState
from supervisor.testing import OnStart, OnStop, ScriptedLauncher, ScriptedSupervisor
from tests.support.actors import Fail, FailsToStart, Note, Notes, Puppet, StopYourself, WaitsInStart
from tests.support.life_conformance import check_life
from tests.support.scripted import begin
from tests.support.waiting import DEADLINE, ROOT, until


def spec(name, **terms):
    return ChildSpec(Puppet, name=name, **terms)


def states(root):
    return {child.name: child.state for child in root.which_children()}


async def test_without_a_script_everything_works():
    """Each life is ready at once and leaves when it is asked to."""
    launcher = ScriptedLauncher()
    async with ScriptedSupervisor(spec("a"), spec("b"), launcher=launcher) as root:
        assert {"a": ChildState.RUNNING, "b": ChildState.RUNNING} == states(root)
        assert ["/root/a", "/root/b"] == [life.path for life in launcher.lives]
        assert all(life.ready and not life.over for life in launcher.lives)
        assert "ordered" == root.spec.start
    assert all(life.over for life in launcher.lives)


@pytest.mark.parametrize("kind", [kind for kind in ExitKind if kind is not ExitKind.UNSTARTED])
async def test_a_life_ends_as_it_is_told(kind):
    """The supervisor hears of the end that the test asked for."""
    async with ScriptedSupervisor(spec("a", restart=RestartPolicy.TRANSIENT)) as root:
        root.launcher.life("/root/a").exit(kind)
        (child,) = root.snapshot().children
        assert kind is child.last_exit.reason.kind
        restarted = kind not in (ExitKind.NORMAL, ExitKind.SHUTDOWN)
        await until(lambda: states(root)["a"] is (ChildState.RUNNING if restarted else ChildState.EXITED))


async def test_the_nth_start_fails():
    """Starts are planned one by one; the last of the plan holds for all that follow."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.READY, OnStart.FAIL, OnStart.READY)
    async with ScriptedSupervisor(spec("a"), launcher=launcher, intensity=Intensity.unlimited()) as root:
        for _ in range(2):
            launcher.life("/root/a").exit(ExitKind.KILLED)
            await until(lambda: states(root)["a"] is ChildState.RUNNING)
        assert [True, False, True, True] == [life.ready for life in launcher.lives]
        assert [1, 2, 3, 4] == [life.number for life in launcher.lives]


async def test_a_start_that_fails_fails_the_tree():
    """A first start that fails is what it is with real processes."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/b", OnStart.FAIL)
    with pytest.raises(StartFailed):
        await ScriptedSupervisor(spec("a"), spec("b"), launcher=launcher).__aenter__()
    assert all(life.over for life in launcher.lives)


async def test_a_start_hangs_until_the_test_goes_on():
    """A hanging start becomes ready when the test says so."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.READY, OnStart.HANG)
    async with ScriptedSupervisor(spec("a"), launcher=launcher) as root:
        launcher.life("/root/a").exit(ExitKind.CRASHED)
        assert ChildState.STARTING is states(root)["a"]
        launcher.life("/root/a").become_ready()
        launcher.life("/root/a").become_ready()
        assert ChildState.RUNNING is states(root)["a"]


async def test_a_deaf_life_has_to_be_killed():
    """A stop that is ignored ends with the kill after the grace; one that breaks is a crash."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", on_stop=OnStop.IGNORE)
    launcher.plan("/root/b", on_stop=OnStop.CRASH)
    async with ScriptedSupervisor(spec("a", shutdown=0.01), spec("b"), launcher=launcher) as root:
        await root.terminate_child("a")
        await root.terminate_child("b")
        kinds = [child.last_exit.reason.kind for child in root.snapshot().children]
        assert [ExitKind.KILLED, ExitKind.CRASHED] == kinds


async def test_messages_reach_the_life():
    """What is sent to the actor reaches the life."""
    async with ScriptedSupervisor(spec("a")) as root:
        await root["a"].tell(Note(1))
        life = root.launcher.life("/root/a")
        await until(lambda: life.received)
        assert 1 == len(life.received)


async def test_what_cannot_be_scripted_is_said():
    """No way out as UNSTARTED, no life where there is none, and an end is reported once."""
    async with ScriptedSupervisor(spec("a", restart=RestartPolicy.TEMPORARY)) as root:
        life = root.launcher.life("/root/a")
        with pytest.raises(UsageError):
            life.exit(ExitKind.UNSTARTED)
        life.exit()
        life.exit()
        with pytest.raises(UsageError):
            root.launcher.life("/root/a")
        assert {} == states(root)


async def test_the_journal_of_a_scripted_tree_replays():
    """A test can take the journal of its run and replay it."""
    async with ScriptedSupervisor(spec("a")) as root:
        root.launcher.life("/root/a").exit(ExitKind.CRASHED)
        await until(lambda: states(root)["a"] is ChildState.RUNNING)
        journal = root._engine.journal
        assert journal.entries() == journal.replay()


def test_a_program_without_a_main_guard_may_run_scripted_actors(tmp_path):
    """A scripted tree starts no process, so no process imports the program."""
    script = tmp_path / "program.py"
    script.write_text("""
import asyncio
from actors import Actor
from supervisor import ChildSpec
from supervisor.testing import ScriptedSupervisor

class Idle(Actor):
    pass

async def main():
    async with ScriptedSupervisor(ChildSpec(Idle, name="a")) as root:
        await root.start_child(ChildSpec(Idle, name="b"))
        print(len(root.which_children()))

asyncio.run(main())
""")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert ("2\n", 0) == (done.stdout, done.returncode), done.stderr


class ScriptedPuppet:
    """Handles what a scripted life is given, as Puppet does."""

    def __init__(self, life):
        self._life = life
        self._notes = []
        self._decode = protocol_of(Puppet).decode
        life.post = self.post

    def post(self, batch):
        for posted in batch:
            asyncio.get_running_loop().call_soon(self._handle, posted)

    def _handle(self, posted):
        if self._life.over:
            return
        begin(self._life, posted.seq)
        message = self._decode(posted.message)
        if isinstance(message, Note):
            self._notes.append(message.number)
            self._life.say(Outcomes(posted.seq, []))
        elif isinstance(message, Fail):
            self._life.exit(ExitKind.CRASHED)
        else:
            value = self._notes if isinstance(message, Notes) else getattr(message, "text", "stopped")
            self._life.say(Outcomes(posted.seq, [Outcome(posted.seq, REPLY, msgspec.Raw(encode(value)))]))
        if isinstance(message, StopYourself):
            self._life.exit()


class Puppets(ScriptedLauncher):
    """Starts scripted lives of Puppet and of those that do not start."""

    def launch(self, part, lanes, listener):
        starts = {FailsToStart.__qualname__: OnStart.FAIL, WaitsInStart.__qualname__: OnStart.HANG}
        self.plan(part.path, starts.get(part.qualname, OnStart.READY))
        self.on_launch = ScriptedPuppet
        return super().launch(part, lanes, listener)


async def test_a_scripted_life_is_a_life():
    """It passes what a life in a process passes."""
    await check_life(Puppets())
