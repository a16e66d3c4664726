"""Start examination: a start over its time shows where it hangs."""

from __future__ import annotations

import asyncio
import pickle
import sysconfig

import pytest

from actors.wire.to_child import StartActor
from supervisor import StartFailed
from supervisor.io.thread_reader import ThreadReader
from supervisor.monitors.examination import Examination
from supervisor.process.launcher import ProcessLauncher
from supervisor.testing import OnStart, ScriptedLauncher
from tests.support.late_starters import LateAsync, LateSync
from tests.support.scripted import child, tree
from tests.support.waiting import DEADLINE, until

STACKS = """Thread 0x0001 [actors-heartbeat] (most recent call first):
  File "/srv/actors/process/heartbeat.py", line 3 in answer

Thread 0x0002 (most recent call first):
  File "/srv/shop/db.py", line 12 in connect
"""


class Unheard:
    """A listener that waits for the end."""

    def __init__(self):
        self.over = asyncio.Event()

    def __getattr__(self, name):
        return lambda *_: None

    def life_exited(self, end):
        self.over.set()


LOCKED = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="free-threaded, only a heartbeat thread writes stacks of tasks",
)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("actor", "heartbeat", "wanted"),
    [
        (LateSync, False, ["connect", "on_start"]),
        (LateSync, True, ["connect", "on_start"]),
        pytest.param(LateAsync, False, ["sleep", "connect", "rows", "on_start"], marks=LOCKED),
        (LateAsync, True, ["sleep", "connect", "rows", "on_start"]),
    ],
)
async def test_where_a_start_hangs(actor, heartbeat, wanted, tmp_path):
    """Threads and tasks, with a heartbeat thread and without; the place is in the actor's own code."""
    begun = tmp_path / "begun"
    loop, listener, done = asyncio.get_running_loop(), Unheard(), asyncio.Event()
    reader = ThreadReader(loop, "actors-reader-test")
    launcher = ProcessLauncher(loop, reader, 0, print, print)
    arguments = pickle.dumps(((str(begun),), {}))
    part = StartActor("/root/a", 1, actor.__module__, actor.__qualname__, arguments, heartbeat=heartbeat)
    life = launcher.launch(part, 1, listener)
    try:
        await until(begun.exists, "its start")
        examination = Examination(life, loop, heartbeat=heartbeat, then=done.set)
        async with asyncio.timeout(DEADLINE):
            await done.wait()
        frames = [line.rpartition(" in ")[2] for line in examination.stacks.splitlines() if " in " in line]
        assert wanted == [frame for frame in frames if frame in wanted]
        assert examination.place.startswith("connect (support/late_starters.py:")
        assert "heartbeat.py" not in examination.stacks
    finally:
        life.kill()
        await listener.over.wait()
        await launcher.close()
        reader.close()


async def test_the_report_names_the_place():
    """In its reason, which is also in the log line; the stacks are below."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.HANG)

    def launched(life):
        life.pid, life.stacks = 2**22 + 1, STACKS  # no process has that number

    launcher.on_launch = launched
    with pytest.raises(StartFailed) as caught:
        await tree(child(start_timeout=0.01), launcher=launcher).__aenter__()
    report = caught.value.report
    assert "not ready within 0.01 s, in connect (shop/db.py:12)" == report.reason.detail
    assert "connect" in report.stacks
    assert "heartbeat" not in report.stacks
    assert 1 == launcher.lives[0].dumps


async def test_a_start_that_goes_well_at_last_keeps_its_life():
    """It becomes ready while it is examined: nothing is killed, and no stacks are in a later report."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.HANG)

    def launched(life):
        def dump_stacks():
            life.stacks = STACKS
            life.become_ready()

        life.pid, life.dump_stacks = 2**22 + 1, dump_stacks

    launcher.on_launch = launched
    async with tree(child(start_timeout=0.01), launcher=launcher) as root:
        assert ["running"] == [one.state.value for one in root.which_children()]
        launcher.lives[0].exit()
        report = root.snapshot().children[0].last_exit
        assert report.stacks is None
