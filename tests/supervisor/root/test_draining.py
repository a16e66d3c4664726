"""Draining: what was sent is finished, nothing new is taken, then the ordinary stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from actors import ActorStopped, UsageError
from supervisor import (
    ChildExited,
    ChildSpec,
    ChildState,
    DeadLetter,
    FunctionSpec,
    HealthStatus,
    Intensity,
    NoSuchChild,
    StartFailed,
    Supervisor,
    SupervisorSpec,
    TaskSpec,
)
from tests.support.taking_time import sleep_forever
from tests.support.waiting import DEADLINE, until
from tests.support.writers import Pass, Passer, Write, Writer

pytestmark = pytest.mark.processes


def never_ready(*, ready: Callable[[], None]) -> None:
    del ready
    sleep_forever()


@pytest.fixture
def folder(tmp_path):
    """An empty book, and a gate that is closed: there is no file of that name."""
    (tmp_path / "book").touch()
    return tmp_path


def tree(folder, *others, **options):
    writer = ChildSpec(Writer, (str(folder),), name="writer")
    return Supervisor(writer, ChildSpec(Passer, name="passer"), *others, spares=0, **options)


async def test_what_was_sent_is_finished(folder):
    """Tells and an ask in the mailbox end well; what comes later is refused; then everything is down."""
    async with tree(folder) as root:
        for line in range(4):
            await root["writer"].tell(Write(line))
        asked = asyncio.create_task(root["writer"].ask(Write(4), timeout=DEADLINE))
        await asyncio.sleep(0)  # it is in the mailbox
        drained = asyncio.create_task(root.drain(timeout=DEADLINE))
        await until(lambda: HealthStatus.STOPPING is root.health().status)
        with pytest.raises(ActorStopped, match="drains: it finishes what it has, then it stops; Write was not sent"):
            await root["writer"].ask(Write(9))
        with pytest.raises(ActorStopped):
            root["writer"].tell_nowait(Write(9))
        (folder / "gate").touch()
        health = root.health()
        assert (("/root drains",), True, False) == (health.why, health.alive, health.ready)
        assert 4 == await asked
        assert await drained
        assert ("/root is stopped",) == root.health().why
    assert [str(line) for line in range(5)] == (folder / "book").read_text().split()
    assert "shutdown" == (await root.wait()).kind


async def test_actors_that_drain_together_may_send_to_each_other(folder):
    """What one has to finish needs the other."""
    async with tree(folder) as root:
        asked = [asyncio.create_task(root["passer"].ask(Pass(line), timeout=DEADLINE)) for line in range(3)]
        await asyncio.sleep(0)
        (folder / "gate").touch()
        assert await root.drain(timeout=DEADLINE)
        assert [0, 1, 2] == await asyncio.gather(*asked)


async def test_what_is_not_finished_in_time_becomes_dead_letters(folder):
    """The stop follows all the same."""
    async with Supervisor(ChildSpec(Writer, (str(folder),), name="writer", shutdown=0.05), spares=0) as root:
        letters = root.dead_letters()
        for line in range(3):
            await root["writer"].tell(Write(line))
        assert not await root.drain(timeout=0.05)
    told = [letter async for letter in letters if isinstance(letter, DeadLetter)]
    assert 3 == len(told)


async def test_one_child(folder):
    """It alone finishes and stops; others refuse nothing; started again, it takes messages."""
    async with tree(folder) as root:
        await root["writer"].tell(Write(0))
        drained = asyncio.create_task(root.drain("writer", timeout=DEADLINE))
        (folder / "gate").touch()
        assert await drained
        assert ChildState.STOPPED is root.snapshot().children[0].state
        assert root["passer"].path == "/root/passer"
        with pytest.raises(ActorStopped):
            await root["writer"].ask(Write(1))
        await root.restart_child("writer")
        assert 2 == await root["writer"].ask(Write(2), timeout=DEADLINE)


async def test_an_actor_outside_of_what_drains_is_refused(folder):
    """It gets the error that the daemon gets."""
    async with tree(folder) as root:
        await root["writer"].tell(Write(0))
        drained = asyncio.create_task(root.drain("writer", timeout=DEADLINE))
        with pytest.raises(Exception, match="drains"):
            await root["passer"].ask(Pass(1), timeout=DEADLINE)
        (folder / "gate").touch()
        assert await drained


async def test_a_supervisor_with_all_below(folder):
    """Drained by its name."""
    sub = SupervisorSpec(ChildSpec(Writer, (str(folder),), name="inner"), name="sub")
    async with tree(folder, sub) as root:
        await root["sub/inner"].tell(Write(7))
        (folder / "gate").touch()
        assert await root.drain("sub", timeout=DEADLINE)
        assert ["7"] == (folder / "book").read_text().split()
        with pytest.raises(NoSuchChild):
            await root.drain("none")
        with pytest.raises(UsageError, match="timeout of drain"):
            await root.drain(timeout=float("nan"))


async def test_a_cancelled_drain_takes_messages_again(folder):
    """Nothing was stopped."""
    async with tree(folder) as root:
        await root["writer"].tell(Write(0))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await root.drain()
        assert HealthStatus.HEALTHY is root.health().status
        await root["writer"].tell(Write(1))
        (folder / "gate").touch()
        await until(lambda: ["0", "1"] == (folder / "book").read_text().split())


async def test_a_part_that_two_drain_refuses_until_both_are_cancelled(folder):
    async with tree(folder) as root:
        await root["writer"].tell(Write(0))
        drains = [asyncio.create_task(root.drain(part, timeout=DEADLINE)) for part in (None, "writer")]
        await asyncio.sleep(0)
        for drain in drains:
            with pytest.raises(ActorStopped, match="drains"):
                await root["writer"].tell(Write(1))
            drain.cancel()
            await asyncio.gather(drain, return_exceptions=True)
        await root["writer"].tell(Write(2))
        (folder / "gate").touch()
        await until(lambda: ["0", "2"] == (folder / "book").read_text().split())


async def test_what_is_added_to_a_part_that_drains_refuses_too(folder):
    async with tree(folder) as root:
        await root["writer"].tell(Write(0))
        drained = asyncio.create_task(root.drain(timeout=DEADLINE))
        await asyncio.sleep(0)
        await root.start_child(ChildSpec(Writer, (str(folder),), name="late"))
        with pytest.raises(ActorStopped, match="late drains"):
            await root["late"].tell(Write(1))
        (folder / "gate").touch()
        assert await drained


async def test_a_tree_that_is_drained_while_it_starts(folder):
    """Who enters it hears that it was asked to stop."""
    slow = FunctionSpec(never_ready, name="slow")
    root = tree(folder, slow)
    entering = asyncio.create_task(root.__aenter__())
    await until(lambda: HealthStatus.STARTING is root.health().status if root._engine else None)
    assert await root.drain(timeout=DEADLINE)
    with pytest.raises(StartFailed, match="^/root did not start: shutdown: asked to stop"):
        await entering


async def test_a_crash_while_it_drains(folder):
    """The next life goes on with what waits, and the door stays shut."""
    async with tree(folder) as root:
        for line in range(2):
            await root["writer"].tell(Write(line))
        await until(lambda: root.snapshot().children[0].handling)
        drained = asyncio.create_task(root.drain(timeout=DEADLINE))
        os.kill(root.snapshot().children[0].pid, signal.SIGKILL)
        await until(lambda: 2 == root.snapshot().children[0].life)
        with pytest.raises(ActorStopped):
            await root["writer"].tell(Write(9))
        (folder / "gate").touch()
        assert await drained
    assert ["1"] == (folder / "book").read_text().split()


async def test_a_signal_can_mean_it(folder):
    """`serve(drain=...)` finishes what was sent after SIGTERM."""
    async with tree(folder) as root:
        await root["writer"].tell(Write(0))
        serving = asyncio.create_task(root.serve(drain=DEADLINE))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: HealthStatus.STOPPING is root.health().status)
        (folder / "gate").touch()
        await serving
    assert ["0"] == (folder / "book").read_text().split()


async def test_a_drain_that_another_stop_cuts_short(folder):
    """What waited became dead letters, so that not everything was finished."""
    async with Supervisor(ChildSpec(Writer, (str(folder),), name="writer", shutdown=0.0), spares=0) as root:
        for line in range(2):
            await root["writer"].tell(Write(line))
        await until(lambda: "Write" == root.snapshot().children[0].handling)
        drained = asyncio.create_task(root.drain("writer", timeout=DEADLINE))
        await asyncio.sleep(0)  # it drains
        await root.terminate_child("writer")
        assert not await drained


async def in_a_group(step):
    async with asyncio.TaskGroup() as group:
        group.create_task(step)


async def alone(step):
    await step


@pytest.mark.parametrize("send", [alone, in_a_group])
async def test_a_task_of_the_tree_that_goes_on_sending_does_not_end_it(folder, send):
    """What it is refused is no death of it: it has ended with the stop, and what was sent before is finished."""
    await _drained_beside(folder, send, returns=False)


async def test_a_task_of_the_tree_that_returns_when_it_is_refused_is_not_restarted(folder):
    """Its next life would be refused as well."""
    await _drained_beside(folder, alone, returns=True)


async def _drained_beside(folder, send, *, returns):
    started: list[int] = []
    refused = asyncio.Event()

    async def poller() -> None:
        started.append(len(started))
        try:
            while True:
                await send(root["writer"].tell(Write(0)))
                await asyncio.sleep(0.01)
        except Exception:
            refused.set()
            if not returns:
                raise

    root = tree(folder, TaskSpec(poller), intensity=Intensity(0, 60.0))
    events = root.events()
    async with root:
        await until(lambda: root.snapshot().children[0].mailbox >= 2)
        drained = asyncio.create_task(root.drain(timeout=DEADLINE))
        await refused.wait()
        (folder / "gate").touch()
        assert await drained
    exits = [event async for event in events if isinstance(event, ChildExited)]
    assert ["shutdown"] == [event.report.reason.kind for event in exits if event.report.actor == "/root/poller"]
    assert [0] == started
    assert len((folder / "book").read_text().split()) >= 2


async def test_a_task_that_a_drain_refused_goes_by_its_policy_when_the_drain_is_cancelled(folder):
    """It has crashed, and its next life may send again."""
    started: list[int] = []
    refused = asyncio.Event()

    async def poller() -> None:
        started.append(len(started))
        try:
            while True:
                await root["writer"].tell(Write(started[-1]))
                await asyncio.sleep(0.01)
        except ActorStopped:
            refused.set()
            raise

    root = tree(folder, TaskSpec(poller))
    async with root:
        await until(lambda: root.snapshot().children[0].mailbox >= 2)
        drained = asyncio.create_task(root.drain(timeout=DEADLINE))
        await refused.wait()
        drained.cancel()
        await until(lambda: [0, 1] == started)
        (folder / "gate").touch()
        await until(lambda: "1" in (folder / "book").read_text().split())
