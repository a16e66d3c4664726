"""A signal to every process of a service is the daemon's to decide; what an actor starts meets it as anywhere else."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from supervisor import ChildSpec, Supervisor
from tests.support.parents import Meet, Own, Parent, Particular
from tests.support.waiting import Script, alive

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc"),
]

SERVICE = """
import asyncio, os, time
from actors import Actor, ExitReason, Message, handles
from supervisor import ChildSpec, Supervisor

class Work(Message[int]):
    pass

class Worker(Actor):
    def on_start(self) -> None:
        print("CHILD", os.getpid(), flush=True)

    @handles
    def work(self, msg: Work) -> int:
        print("WORKING", flush=True)
        while not os.path.exists("go on"):
            time.sleep(0.01)
        return 7

    def on_stop(self, reason: ExitReason) -> None:
        print("FLUSHED", flush=True)

async def main():
    async with Supervisor(ChildSpec(Worker, output="inherit", shutdown=60.0)) as root:
        job = asyncio.create_task(root["worker"].ask(Work(), timeout=60))
        await root.serve()
        print("JOB", await job, flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_stop_that_reaches_every_process_at_once(tmp_path):
    """As systemd's KillMode=control-group does: the message in hand is finished, on_stop runs, nothing is restarted."""
    with Script(tmp_path, SERVICE) as daemon:
        pid = int(daemon.line("CHILD"))
        daemon.line("WORKING")
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            os.kill(pid, number)  # the actor first
        os.kill(daemon.process.pid, signal.SIGTERM)
        (tmp_path / "go on").touch()
        code, out, err = daemon.end()
        assert 0 == code, err
        assert ["FLUSHED", "JOB 7"] == [
            line for line in out.splitlines() if line.startswith(("CHILD", "FLUSHED", "JOB"))
        ]
        assert not alive(pid)


STARTING = """
import asyncio, os, time
from actors import Actor, ExitReason
from supervisor import ChildSpec, Supervisor

class Calm(Actor):
    pass

async def main():
    print("BEGUN", flush=True)
    async with Supervisor(ChildSpec(Calm, name="a"), ChildSpec(Calm, name="b"), spares=0):
        print("UP", flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_no_half_started_actor_dies_of_it(tmp_path, number):
    """A signal that comes while interpreters start ends no process."""
    with Script(tmp_path, STARTING) as daemon:
        daemon.line("BEGUN")
        seen = set()
        while (
            daemon.process.poll() is None and len(seen) < 4
        ):  # two actors, multiprocessing's helper, the orphan reaper
            for pid in children_of(daemon.process.pid) - seen:
                seen.add(pid)
                if b"multiprocessing" in command_of(pid):
                    os.kill(pid, number)
            time.sleep(0.001)
        code, out, err = daemon.end()
        assert 0 == code, err
        assert "UP" in out


def children_of(pid):
    """The processes that any thread of it has started."""
    found = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            found.update(map(int, (thread / "children").read_text().split()))
        except OSError:
            continue
    return found


def command_of(pid):
    """What it executes; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_what_an_actor_starts_meets_signals_as_anywhere_else():
    """Neither ignored nor blocked: a program ends by them, and so does a fork."""
    async with Supervisor(ChildSpec(Parent), spares=0) as root:
        assert [-2, -15, -1, 1, -15, -1] == await root["parent"].ask(Meet())


async def test_an_actor_may_have_handlers_of_its_own():
    """It gets what it asks for; the others still do nothing."""
    async with Supervisor(ChildSpec(Particular)) as root:
        assert "SIGHUP" == await root["particular"].ask(Own())
