"""Watch: a hung actor is found, explained and ended; a busy one is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from actors import ActorCrashed, HandlerError, UsageError
from actors.ipc.blackbox import BlackBox
from actors.process.time_limit import TimeLimit
from actors.wire.progress import Activity, Work
from supervisor import INFINITY, ChildSpec, Intensity, Routing, Supervisor
from supervisor.monitors import watchdog as room
from supervisor.process.spawn.worker_process import send_signal
from supervisor.testing import ScriptedSupervisor
from tests.support.actors import Echo, Puppet
from tests.support.hangers import (
    Async,
    Break,
    Debug,
    Drip,
    ExitHeldUp,
    HangAlone,
    HoldTheLock,
    LeaveSlowly,
    Long,
    Ping,
    Sleep,
    Spin,
    StopYourProcess,
    Swallow,
    Sync,
)
from tests.support.scripted import AT_ONCE
from tests.support.threaded import Threaded
from tests.support.waiting import DEADLINE, Watch, until

LIMITS = 3
real = pytest.mark.processes
linux = pytest.mark.skipif(sys.platform != "linux", reason="the state of a process is read from /proc")


IN_PDB = """Current thread 0x1 (most recent call first):
  File "/usr/lib/python3.11/cmd.py", line 126 in cmdloop
  File "/usr/lib/python3.11/bdb.py", line 115 in dispatch_line
  File "/srv/shop/a.py", line 5 in handle
  File "/site-packages/actors/child/sync_runner.py", line 50 in run
"""


def tree(actor=Sync, limit=0.3, **options):
    return Supervisor(
        ChildSpec(actor, name="a", handler_timeout=limit, **options),
        intensity=Intensity.unlimited(),
        reading="loop",
        spares=0,
    )


def limit(root):
    return root.spec.children[0].handler_timeout


async def several_limits(root):
    """Take several times as long as a handler may: nothing must happen meanwhile."""
    await asyncio.sleep(LIMITS * limit(root))


async def hang(root, message):
    """Ask what hangs: the report of that life, which the asker gets, too."""
    watch = Watch(root)
    with pytest.raises(ActorCrashed) as caught:
        await root["a"].ask(message, timeout=DEADLINE)
    assert (True, False) == (caught.value.started, caught.value.finished)
    report = await watch.exited("a")
    assert report == caught.value.report
    assert ("killed", "SIGKILL", "restart") == (report.reason.kind, report.signal, report.decision)
    assert report.uptime > limit(root)
    return report


# ---- each kind of hang


@real
@pytest.mark.parametrize("actor", [Sync, Async])
async def test_a_handler_that_sleeps_over_its_limit(actor, logs):
    """The report names handler and limit and shows the line where it sleeps; the log has the stacks, too."""
    async with tree(actor) as root:
        report = await hang(root, Sleep(3600))
        name = f"{actor.__name__}.sleep"
        assert (
            f"hung: {name} over its limit of 0.3 s (handler_timeout); killed by its supervisor" == report.reason.detail
        )
        assert "hangers.py" in report.stacks
        assert actor is Sync or " in sleep\n" in report.stacks.partition("\nTask ")[2]
        assert "actors/process/heartbeat.py" not in report.stacks
        assert report.stacks.splitlines()[1].strip() in str(report)
        assert [report.stacks] == [line["stacks"] for line in logs if line["event"] == "child.exited"]
        assert 2 == await root["a"].ask(Ping(), timeout=DEADLINE)


@real
@pytest.mark.parametrize("refused", [{signal.SIGKILL}, signal.valid_signals()], ids=["kill", "any signal"])
async def test_a_hung_process_that_may_not_be_killed(monkeypatch, refused):
    """It became another user's: the report says both, that it hung and that it may live on.

    A heartbeat that could not be asked for is no sign that its interpreter is blocked.
    """

    def refuse(pid, pidfd, number):
        if number in refused:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        send_signal(pid, pidfd, number)

    async with tree(shutdown=0.0) as root:
        pid = root.which_children()[0].pid
        watch = Watch(root)
        with monkeypatch.context() as patch:
            patch.setattr("supervisor.process.spawn.worker_process.send_signal", refuse)
            with pytest.raises(ActorCrashed):
                await root["a"].ask(Sleep(3600), timeout=DEADLINE)
        os.kill(pid, signal.SIGKILL)
        detail = (await watch.exited("a")).reason.detail
        assert detail.startswith(
            "hung: Sync.sleep over its limit of 0.3 s (handler_timeout); the process could not be "
        )
        assert detail.endswith(f"process {pid} may live on")


@real
async def test_a_handler_that_computes_over_its_limit():
    """A loop in Python lets the interpreter answer: it is over its limit, not blocked."""
    async with tree() as root:
        report = await hang(root, Spin(3600))
        assert report.reason.detail.startswith("hung: Sync.spin over its limit")
        assert " in spin" in report.stacks


@real
@linux
async def test_threads_that_were_there_before_survive_the_examination():
    """Threads that an import has started, one of them with no signal blocked, do not die of the signals."""
    async with tree(Threaded) as root:
        report = await hang(root, Sleep(3600))
        assert report.reason.detail.startswith("hung: ")
        assert " in sleep" in report.stacks


@real
@linux
async def test_a_loop_in_c_that_holds_the_interpreter():
    """No Python code runs any more; the stacks are there all the same."""
    async with tree() as root:
        report = await hang(root, HoldTheLock())
        assert report.reason.detail.startswith("hung: interpreter blocked in Sync.hold_the_lock, over its limit")
        assert " in hold_the_lock" in report.stacks


@real
@linux
async def test_a_process_that_was_stopped_in_a_handler():
    """Its stacks cannot be had."""
    async with tree() as root:
        report = await hang(root, StopYourProcess())
        assert report.reason.detail.startswith("hung: process stopped (SIGSTOP) in Sync.stop_your_process")
        assert report.stacks is None


@real
@linux
async def test_a_process_that_was_stopped_while_it_was_idle():
    """It is idle and left alone; with a message in flight it hangs, and the next life gets that."""
    async with tree() as root:
        watch = Watch(root)
        os.kill(root.snapshot().children[0].pid, signal.SIGSTOP)
        await several_limits(root)
        assert 1 == root.snapshot().children[0].life
        assert 2 == await root["a"].ask(Ping(), timeout=DEADLINE)
        report = await watch.exited("a")
        words = "hung: process stopped (SIGSTOP), it begins none of its messages; killed by its supervisor"
        assert words == report.reason.detail


@real
async def test_a_hang_in_a_message_of_its_own_timer():
    """Such messages have no number and are watched all the same."""
    async with tree() as root:
        watch = Watch(root)
        await root["a"].tell(HangAlone())
        report = await watch.exited("a")
        assert report.reason.detail.startswith("hung: Sync.sleep over its limit")


@real
async def test_one_of_several_handlers_under_way():
    """What runs beside a hung handler goes down with it, as at any death."""
    async with tree(Async) as root:
        short = asyncio.create_task(root["a"].ask(Sleep(0.0)))
        await hang(root, Sleep(3600))
        assert await short is None


# ---- busy, not hung


@contextlib.contextmanager
def load(processes):
    """So many processes that compute and do nothing else."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@real
@linux
async def test_both_processors_loaded_is_no_hang():
    """Handlers that compute for less than their limit are never over it, however long they wait for a processor."""
    async with tree(limit=0.6, size=2, routing=Routing.ROUND_ROBIN) as root:
        with load(2 * (os.cpu_count() or 1)):
            await asyncio.gather(*[root["a"].ask(Spin(0.36), timeout=DEADLINE) for _ in range(2)])
        assert [1, 1] == [child.life for child in root.snapshot().children]


@real
@pytest.mark.parametrize("actor", [Sync, Async])
async def test_a_declared_job_may_take_longer(actor):
    """It asks for time and gets it; the next message has the old limit again."""
    async with tree(actor) as root:
        assert "done" == await root["a"].ask(Long(10), timeout=DEADLINE)
        report = await hang(root, Sleep(3600))
        assert 1 == report.life


@real
@pytest.mark.parametrize("actor", [Sync, Async])
async def test_a_stream_whose_reader_is_slow(actor):
    """Waiting for the reader is not the handler's time, and each item begins the limit anew."""
    async with tree(actor) as root:
        seen = 0
        async for _ in root["a"].stream(Drip(200)):
            if not seen:
                await several_limits(root)
            seen += 1
        async for _ in root["a"].stream(Drip(6, pause=0.1)):
            seen += 1
        assert (206, 1) == (seen, await root["a"].ask(Ping()))


@real
@pytest.mark.parametrize("actor", [Sync, Async])
async def test_a_stream_that_does_not_go_on(actor):
    """Between two items the limit holds, also for one that has waited for its reader before."""
    async with tree(actor) as root:
        watch = Watch(root)
        with pytest.raises(ActorCrashed):
            async for number in root["a"].stream(Drip(100, then_hang=True)):
                if not number:
                    await several_limits(root)
        assert "hung: " in (await watch.exited("a")).reason.detail


@real
@pytest.mark.parametrize("actor", [Sync, Async])
async def test_a_feed_whose_items_are_slow(actor):
    """Waiting for items is not the handler's time."""

    async def items():
        yield 1
        await several_limits(root)
        yield 2

    async with tree(actor) as root:
        assert 2 == await root["a"].feed(Swallow(), items())
        assert 1 == await root["a"].ask(Ping())


@real
async def test_an_actor_that_takes_leave_is_not_hung():
    """It has stopped itself and is slow to say goodbye; the message that waits gets the next life."""
    async with tree() as root:
        watch = Watch(root)
        root["a"].tell_nowait(LeaveSlowly(4 * limit(root)))
        assert 2 == await root["a"].ask(Ping(), timeout=DEADLINE)
        assert "normal" == (await watch.exited("a")).reason.kind


@real
async def test_an_exit_that_is_held_up_is_no_hang(monkeypatch):
    """Its last words have come: the cause is the exit, and that its process stayed."""
    monkeypatch.setattr("supervisor.process.life.GOODBYE", 2.0)
    async with tree() as root:
        with pytest.raises(ActorCrashed) as caught:
            await root["a"].ask(ExitHeldUp(), timeout=DEADLINE)
        detail = "sys.exit(3) in Sync.exit_held_up, but its process stayed and was killed"
        assert detail == caught.value.report.reason.detail


@real
async def test_a_handler_that_hangs_while_its_actor_is_to_stop():
    """Patience for a stop is no patience for a hang; the report has its stacks."""
    async with tree(shutdown=INFINITY) as root:
        watch = Watch(root)
        root["a"].tell_nowait(Sleep(3600))
        await until(lambda: root.snapshot().children[0].handling, "the handler")
        await root.terminate_child("a")
        report = await watch.exited("a")
        assert report.reason.detail.startswith("hung: Sync.sleep over its limit")
        assert " in sleep" in report.stacks


@real
async def test_time_in_a_debugger_is_not_counted():
    """The handler that was over its limit there has the whole of it again."""
    async with tree(limit=0.2) as root:
        assert "debugged" == await root["a"].ask(Debug(1.2), timeout=DEADLINE)


@real
async def test_breakpoint_says_how_to_debug_an_actor():
    """Its process has no terminal."""
    async with tree(limit=DEADLINE) as root:
        with pytest.raises(HandlerError, match="PYTHONBREAKPOINT=debugpy.breakpoint"):
            await root["a"].ask(Break(), timeout=DEADLINE)


# ---- without processes


async def test_a_handler_in_a_debugger_is_looked_at_once_in_a_limit():
    """It stays; as soon as it hangs elsewhere it is ended."""
    spec = ChildSpec(Puppet, name="a", handler_timeout=0.05)
    async with ScriptedSupervisor(spec) as root:
        watch = Watch(root)
        life = root.launcher.life("/root/a")
        life.stacks = IN_PDB
        life.goes_on = Activity((Work(0, time.monotonic_ns(), 0, 0),), 1, 0, leaving=False)
        await until(lambda: life.dumps == 2, "two examinations")
        assert not life.over
        life.stacks = "Current thread"
        assert "over its limit" in (await watch.exited("a")).reason.detail


async def test_what_goes_on_while_it_is_examined_is_left_alone():
    """The stacks were asked for, and then the handler was over after all."""
    spec = ChildSpec(Puppet, name="a", handler_timeout=0.05)
    async with ScriptedSupervisor(spec) as root:
        life = root.launcher.life("/root/a")
        life.goes_on = Activity((Work(0, time.monotonic_ns(), 0, 0),), 1, 0, leaving=False)
        await until(lambda: life.dumps, "the examination")
        life.goes_on = Activity((Work(0, time.monotonic_ns(), 0, 0),), 2, 0, leaving=False)  # the next one began
        life.stacks = "Current thread"
        await until(lambda: life.dumps == 2, "an examination of its own for the next")
        assert not life.over


async def test_without_a_limit_nobody_looks():
    """No timer, no look at the black box."""
    async with ScriptedSupervisor(ChildSpec(Puppet, name="a")) as root:
        life = root.launcher.life("/root/a")
        life.activity = None
        await root["a"].tell(Echo("x"))
        assert root._engine.children["a"]._current.monitors is None


async def test_a_hung_process_that_dies_of_being_asked():
    """What it died of is the hang; that faulthandler stumbled is told, too. Before it was asked, a fault is a fault."""
    spec = ChildSpec(Puppet, name="a", handler_timeout=0.05, backoff=AT_ONCE)
    async with ScriptedSupervisor(spec, intensity=Intensity.unlimited()) as root:
        watch = Watch(root)
        root.launcher.life("/root/a")._end(-signal.SIGSEGV, asked=False)
        assert "hung" not in (await watch.exited("a")).reason.detail
        await watch.started("a")
        life = root.launcher.life("/root/a")
        life.goes_on = Activity((Work(0, time.monotonic_ns(), 0, -1),), 1, 0, leaving=False)
        await until(lambda: life.dumps, "the examination")
        life._end(-signal.SIGSEGV, asked=False)
        report = await watch.exited("a")
        words = "hung: a handler over its limit of 0.05 s (handler_timeout); it died when it was asked for its stacks"
        assert ("killed", words, "SIGSEGV") == (report.reason.kind, report.reason.detail, report.signal)


async def test_an_old_look_is_no_proof():
    """Of another machine a sample is seen. What ends a life is one that is newer than the question."""
    async with ScriptedSupervisor(ChildSpec(Puppet, name="a", handler_timeout=0.05)) as root:
        watch = Watch(root)
        life = root.launcher.life("/root/a")
        life.stacks = "Current thread"
        begun, looks = time.monotonic_ns(), []
        life.goes_on = Activity((Work(0, begun, 0, -1),), 1, 0, leaving=False)
        life.seen_at = lambda now: looks.append(now) or begun
        await until(lambda: life.dumps, "the question")
        looks.clear()
        await until(lambda: len(looks) > 40, "looks for longer than it has for its stacks")
        assert not life.over
        life.seen_at = lambda now: now
        assert "over its limit" in (await watch.exited("a")).reason.detail


async def test_stacks_that_never_come_do_not_save_a_hung_process(monkeypatch):
    """The examination has its time, then the process is killed without them."""
    monkeypatch.setattr(room, "STACKS_TIME", 100_000_000)
    async with ScriptedSupervisor(ChildSpec(Puppet, name="a", handler_timeout=0.05)) as root:
        watch = Watch(root)
        life = root.launcher.life("/root/a")
        life.goes_on = Activity((Work(0, time.monotonic_ns(), 0, -1),), 1, 0, leaving=False)
        report = await watch.exited("a")
        assert "hung: a handler over its limit of 0.05 s (handler_timeout); killed by its supervisor" == str(
            report.reason.detail
        )
        assert report.stacks is None


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_more_time_is_more_than_none(seconds):
    """What cannot work is an error of the caller."""
    box = BlackBox()
    try:
        with pytest.raises(UsageError, match="must be seconds from"):
            TimeLimit(box.recorder, 1.0, time.monotonic_ns).extend(seconds)
    finally:
        box.close()
