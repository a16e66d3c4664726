"""The health of a tree in one word, and why."""

import asyncio
import os
import signal

import pytest

from actors import Actor, Message, handles
from actors.exits import ExitKind
from supervisor import ChildSpec, HealthStatus, Intensity, Restart, RestartPolicy, Supervisor, SupervisorSpec
from supervisor.testing import OnStart, ScriptedLauncher, ScriptedSupervisor
from tests.support.waiting import until


class Ping(Message[int]):
    pass


class Pinger(Actor):
    @handles
    def ping(self, msg: Ping) -> int:
        return os.getpid()


def spec(name, **options):
    return ChildSpec(Pinger, name=name, **options)


async def test_a_tree_that_runs_is_healthy():
    """And has nothing to say; alive and ready."""
    async with ScriptedSupervisor(spec("a"), SupervisorSpec(spec("b"), name="sub")) as root:
        health = root.health()
        assert (HealthStatus.HEALTHY, (), True, True) == (health.status, health.why, health.alive, health.ready)
        assert "healthy" == str(health)
    assert HealthStatus.STOPPING is root.health().status
    assert not root.health().alive


async def test_a_start_names_what_it_waits_for():
    """A child that starts, and those that have not begun."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.HANG)
    root = ScriptedSupervisor(spec("a"), spec("b"), SupervisorSpec(spec("c"), name="sub"), launcher=launcher)

    async def serve() -> None:
        async with root:
            pass

    served = asyncio.create_task(serve())
    await until(lambda: "starting" in repr(root), "the first start")
    health = root.health()
    assert HealthStatus.STARTING is health.status
    assert ("/root/a is starting", "/root/b is not started yet", "/root/sub is not started yet") == health.why
    launcher.life("/root/a").become_ready()
    await served


async def test_what_is_down_is_named():
    """A child that waits for its restart, and one that stays down after an abnormal end; not one that is done."""
    specs = [spec("a"), spec("b", restart=RestartPolicy.TRANSIENT), spec("c", restart=Restart("permanent", {}))]
    launcher = ScriptedLauncher()
    async with ScriptedSupervisor(*specs, launcher=launcher) as root:
        launcher.life("/root/b").exit(ExitKind.NORMAL)
        await until(lambda: "exited" == root.snapshot().children[1].state)
        assert root.health().ready
        launcher.plan("/root/a", OnStart.HANG)
        launcher.life("/root/a").exit(ExitKind.KILLED)
        await until(lambda: not root.health().ready)
        health = root.health()
        assert HealthStatus.DEGRADED is health.status
        assert ["/root/a starts"] == [line.partition(";")[0] for line in health.why]
        assert health.alive
        launcher.life("/root/a").become_ready()


async def test_a_supervisor_that_gave_up_is_named():
    """Its end counts as a shutdown, after which a transient one stays down."""
    given = SupervisorSpec(spec("a"), name="sub", restart="transient", intensity=Intensity(0))
    launcher = ScriptedLauncher()
    async with ScriptedSupervisor(given, launcher=launcher) as root:
        launcher.life("/root/sub/a").exit(ExitKind.KILLED)
        await until(lambda: not root.health().ready)
        (why,) = root.health().why
        assert why.startswith("/root/sub stays down: shutdown: gave up: ")


class Says(Actor):
    """Says two lines, with half of a surrogate pair, as a file name may have it."""

    def health(self) -> str | None:
        return "no \udcff here\nsecond line"

    @handles
    def ping(self, msg: Ping) -> int:
        return os.getpid()


@pytest.mark.processes
async def test_any_text_can_be_said():
    """It ends no life, and is one line of the tree's."""
    async with Supervisor(ChildSpec(Says, name="a"), spares=0) as root:
        await until(lambda: not root.health().ready)
        assert ("/root/a says: no \\udcff here ...",) == root.health().why
        assert 1 == root.snapshot().children[0].life


@pytest.mark.processes
async def test_a_stopped_process_is_not_healthy():
    """SIGSTOP shows, and goes with SIGCONT."""
    async with Supervisor(spec("a"), spares=0) as root:
        pid = await root["a"].ask(Ping())
        os.kill(pid, signal.SIGSTOP)
        try:
            await until(lambda: not root.health().ready)
            assert ("/root/a is stopped by a signal (SIGSTOP)",) == root.health().why
        finally:
            os.kill(pid, signal.SIGCONT)
        await until(lambda: root.health().ready)
