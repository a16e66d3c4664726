"""Actors that the kernel kills for lack of memory, as their reports say.

No other test runs beside these: the kernel counts such kills for the whole machine, so that one of them would explain
the next death of every daemon that is there.
"""

from __future__ import annotations

import ast
import contextlib
import os
from pathlib import Path

import pytest

from actors import Actor, ActorCrashed, Message, handles
from supervisor import Cause, ChildSpec, Restart, Supervisor
from tests.support.exit_reports import in_the_book, lasting
from tests.support.waiting import DEADLINE, Script, until_now

pytestmark = pytest.mark.processes

MEMORY = Path("/sys/fs/cgroup/memory")
"""Where version 1 of control groups limits memory, if we may make groups there."""

MIB = 2**20


class Eat(Message[int]):
    size: int


class Eater(Actor):
    @handles
    def eat(self, msg: Eat) -> int:
        return len(b"x" * msg.size)


@pytest.fixture
def small_group():
    """A control group of its own, in which there is little memory."""
    group = MEMORY / f"actors-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(300 * MIB))
    except OSError:
        pytest.skip("control groups for memory cannot be made here")
    yield group
    until_now(lambda: removed(group), "the end of all its processes")


def removed(group):
    """Whether the group is gone; while a process of it is there, the kernel refuses."""
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


DAEMON = """
import asyncio, pathlib, sys
pathlib.Path(sys.argv[1], "cgroup.procs").write_text("0")  # this very process, and so its children
from supervisor import ChildExited, ChildSpec, Supervisor
from tests.support.perils import Perish, Pid, Victim

async def main():
    async with Supervisor(ChildSpec(Victim, name="a"), spares=0) as root:
        events = root.events()
        root["a"].tell_nowait(Perish("outgrow"))
        async for event in events:
            if isinstance(event, ChildExited):
                print("report", repr(str(event.report)), flush=True)
                print("oom", event.report.out_of_memory, event.report.peak_memory, flush=True)
                break
        print("alive", await root["a"].ask(Pid()), flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_in_the_group_of_the_daemon(tmp_path, small_group):
    """The kernel's own count tells an OOM kill from a kill -9; the next life works."""
    with Script(tmp_path, DAEMON, args=[str(tmp_path / "daemon.py"), str(small_group)]) as daemon:
        report = ast.literal_eval(daemon.line("report"))
        known, peak = daemon.line("oom").split()
        assert daemon.line("alive")
        code, _, err = daemon.end()
        assert (0, "") == (code, "" if code == 0 else err)
    assert "True" == known
    # a process bears the peak of what started its daemon; below that its own is not known
    assert peak == "None" or 50 * MIB < int(peak) <= 301 * MIB
    assert "ended: killed: SIGKILL, out of memory: the kernel chose it" in report.splitlines()[0]
    assert lasting(in_the_book("Killed by the kernel, for lack of memory")) == lasting(report)


async def test_in_a_group_of_its_own(small_group):
    """The report says so, and the rule for it decides."""
    restart = Restart("permanent", {Cause.out_of_memory: "stop"})
    async with Supervisor(ChildSpec(Eater, name="a", restart=restart), spares=0) as root:
        (small_group / "cgroup.procs").write_text(str(root.snapshot().children[0].pid))
        with pytest.raises(ActorCrashed, match="out of memory: the kernel chose it"):
            await root["a"].ask(Eat(512 * MIB), timeout=DEADLINE)
        (actor,) = root.snapshot().children
        assert actor.last_exit.out_of_memory
        assert "leave_down" == actor.last_exit.decision
