"""Processes of an ordered start are spawned ahead; the starts themselves keep their order."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from supervisor import Backoff, ChildSpec, ChildStarted, StartFailed, Supervisor
from tests.support.gated import Gated
from tests.support.marked import Marked, Pid
from tests.support.waiting import until

pytestmark = pytest.mark.processes


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where each process that imports the module of `Marked` leaves its number."""
    folder = tmp_path / "marks"
    folder.mkdir()
    monkeypatch.setenv("ACTORS_TEST_MARK", str(folder))
    return folder


def pids(marks: Path) -> set[int]:
    return {int(mark.name) for mark in marks.iterdir()}


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_process_imports_while_an_earlier_actor_starts(tmp_path: Path, marks: Path):
    """It becomes the life whose turn comes; that has begun only then."""
    gate = tmp_path / "gate"
    root = Supervisor(ChildSpec(Gated, args=(str(gate),), name="first"), ChildSpec(Marked, name="second"), spares=0)
    entering = asyncio.create_task(root.__aenter__())
    try:
        await until(lambda: len(pids(marks)) == 1, "an import ahead")
        assert not entering.done()
        gate.touch()
        await entering
        assert pids(marks) == {await root["second"].ask(Pid(), timeout=60)}
    finally:
        gate.touch()
        await asyncio.wait([entering])
        await root.__aexit__(None, None, None)


@pytest.mark.parametrize("end", [signal.SIGSTOP, signal.SIGKILL], ids=lambda end: end.name)
@pytest.mark.parametrize("when", ["in its import", "when it waits"])
async def test_a_process_that_does_not_run_when_its_turn_comes_is_replaced(
    tmp_path: Path, marks: Path, monkeypatch: pytest.MonkeyPatch, end: signal.Signals, when: str
):
    """Frozen or dead, whatever it was doing: the start does not wait for it, and it is gone afterwards."""
    monkeypatch.setattr("supervisor.process.launcher.AHEAD_PATIENCE", 0.05)
    gate, imports = tmp_path / "gate", tmp_path / "imports"
    if when == "in its import":
        monkeypatch.setenv("ACTORS_TEST_GATE", str(imports))
    second = ChildSpec(Marked, name="second", start_timeout=300)
    root = Supervisor(ChildSpec(Gated, args=(str(gate),), name="first"), second, spares=0)
    entering = asyncio.create_task(root.__aenter__())
    try:
        await until(lambda: len(pids(marks)) == 1, "an import ahead")
        (ahead,) = pids(marks)
        if when == "when it waits":
            await until(lambda: not root._engine.tree.launcher._ahead._waiting[0].worker.box.importing)
        os.kill(ahead, end)
        imports.touch()
        gate.touch()
        await entering
        assert ahead != await root["second"].ask(Pid(), timeout=60)
        await until(lambda: gone(ahead), "its end")
    finally:
        gate.touch()
        await asyncio.wait([entering])
        await root.__aexit__(None, None, None)


async def test_a_failed_start_leaves_nothing_of_what_was_spawned_ahead(tmp_path: Path, marks: Path):
    gate = tmp_path / "gate"
    first = ChildSpec(Gated, args=(str(gate),), name="first", start_timeout=1.0)
    with pytest.raises(StartFailed):
        async with Supervisor(first, ChildSpec(Marked, name="second"), spares=0):
            pass
    assert len(pids(marks)) <= 1
    assert all(map(gone, pids(marks)))


async def test_restarts_of_several_overlap_and_keep_their_order(marks: Path):
    """No event is told of a process before its life begins; nothing is left of those that were not needed."""
    specs = [ChildSpec(Marked, name=name, backoff=Backoff(initial=0.0, cap=0.0)) for name in ("a", "b", "c")]
    async with Supervisor(*specs, strategy="one_for_all", spares=0) as root:
        events = root.events()
        os.kill(await root["a"].ask(Pid(), timeout=60), signal.SIGKILL)
        started = []
        async for event in events:
            if isinstance(event, ChildStarted):
                started.append(event.actor.rpartition("/")[2])
                if len(started) == 3:
                    break
        assert ["a", "b", "c"] == started
        alive = {await root[name].ask(Pid(), timeout=60) for name in "abc"}
        await until(lambda: {pid for pid in pids(marks) if not gone(pid)} == alive, "only the lives")
    assert all(map(gone, pids(marks)))
