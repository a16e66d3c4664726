"""ProcessLife: it conforms to the port, its end is a value, failing system calls leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from supervisor import Backoff, ChildSpec, Intensity, StartFailed, Supervisor
from supervisor.io.thread_reader import ThreadReader
from supervisor.process.launcher import ProcessLauncher
from supervisor.process.life import ProcessLife
from supervisor.process.spawn.lean_spawn import LeanProcess
from supervisor.process.spawn.worker_process import WorkerProcess
from supervisor.system.pidfd import send_signal
from tests.support.actors import Puppet, WhoAreYou
from tests.support.life_conformance import check_life
from tests.support.slow_starters import HangsInEveryStart
from tests.support.waiting import Watch, until

pytestmark = pytest.mark.processes

AT_ONCE = Backoff(initial=0.05, cap=0.05, jitter=0.0)
READINGS = pytest.mark.parametrize("reading", ["thread", "loop"])
FULL = Path("/dev/full")  # takes nothing


def tree(reading, **options):
    spec = ChildSpec(Puppet, name="a", backoff=AT_ONCE)
    return Supervisor(spec, **{"intensity": Intensity.unlimited(), "spares": 0, "reading": reading, **options})


def is_child(pid):
    """Whether the process is a child of this one, running or not reaped."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


async def test_a_life_in_a_process_is_a_life():
    """It passes what a scripted life passes."""
    loop = asyncio.get_running_loop()
    reader = ThreadReader(loop, "actors-reader-test")
    launcher = ProcessLauncher(loop, reader, 0, _unexpected, _unexpected)
    try:
        await check_life(launcher)
    finally:
        await launcher.close()
        reader.close()


async def test_a_start_that_may_not_be_killed(monkeypatch):
    """What comes first is that it was not ready in time, and where it waits, then that its process may live on."""

    def refuse(pid, pidfd, number):
        if number == signal.SIGKILL:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        send_signal(pid, pidfd, number)

    monkeypatch.setattr("supervisor.process.spawn.worker_process.send_signal", refuse)
    late = Supervisor(ChildSpec(HangsInEveryStart, name="a", start_timeout=2.0), spares=0)
    with pytest.raises(
        StartFailed, match=r"unstarted: not ready within 2 s, in sleep_forever .*, in a process that"
    ) as no:
        await late.__aenter__()
    pid = int(re.search(r"could not be ended: Operation not permitted; process (\d+) may live on", str(no.value))[1])
    with contextlib.suppress(ProcessLookupError):  # its channel is closed, but it does not look
        os.kill(pid, signal.SIGKILL)


def _unexpected(*what):
    raise AssertionError(what)


@READINGS
async def test_a_life_that_is_over_has_no_black_box(reading, monkeypatch):
    """What it did last is in its end; asking it later answers the same."""
    ends, lives = [], []
    real = ProcessLife._end

    def end(life):
        real(life)
        if life.over and life not in lives:
            lives.append(life)
            ends.append((life.progress(), life.activity(), life.text()))
            life.cancel([1])
            life.dump_stacks()

    monkeypatch.setattr(ProcessLife, "_end", end)
    root = tree(reading)
    watch = Watch(root)
    async with root:
        await root["a"].ask(WhoAreYou())
        os.kill(root.snapshot().children[0].pid, signal.SIGKILL)
        report = await watch.exited("a")
        await until(lambda: ends)
        assert ("WhoAreYou", False) == (report.last_message, report.last_message_begun)
        assert 1 == ends[0][0].begun


@READINGS
async def test_without_a_pidfd_an_end_is_known_exactly(reading, monkeypatch):
    """The process is reaped when it has ended, also after its descriptors were closed."""

    def refuse(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    root = tree(reading)
    watch = Watch(root)
    async with root:
        for _ in range(3):
            pid = (await root["a"].ask(WhoAreYou())).pid
            os.kill(pid, signal.SIGKILL)
            report = await watch.exited("a")
            assert ("killed", "SIGKILL") == (report.reason.kind.value, report.signal)
            assert not is_child(pid)


async def test_a_start_that_raises_keeps_its_traceback(monkeypatch):
    """The exit report shows where the start failed in the daemon."""

    def start(_):
        raise ValueError("no such interpreter")

    monkeypatch.setattr(LeanProcess, "start", start)
    root = tree("loop")
    watch = Watch(root)
    with pytest.raises(StartFailed):
        async with root:
            pass
    report = await watch.exited("a")
    assert "no such interpreter" in report.traceback
    assert "in _start" in report.traceback


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is full")
async def test_a_daemon_whose_stdout_takes_nothing_starts_processes(monkeypatch):
    """What it has printed cannot be written, now and later: a full disk, a reader that has gone."""
    with FULL.open("w") as stdout:  # noqa: ASYNC230 - it is opened for the one that has it already
        monkeypatch.setattr(sys, "stdout", stdout)
        stdout.write("a line")
        root = tree("loop", spares=0)
        watch = Watch(root)
        async with root:
            os.kill((await root["a"].ask(WhoAreYou())).pid, signal.SIGKILL)
            await watch.exited("a")
            assert await root["a"].ask(WhoAreYou())
        with pytest.raises(OSError, match="No space left"):
            stdout.flush()
        with pytest.raises(OSError, match="No space left"):
            stdout.close()


@pytest.mark.skipif(not hasattr(signal, "pidfd_send_signal"), reason="needs a pidfd")
@READINGS
async def test_a_process_that_may_not_be_killed_is_reaped_when_it_ends(reading, monkeypatch):
    """It counts as gone at once, and no zombie is left of it."""
    root = tree(reading)
    watch = Watch(root)
    async with root:
        pid = (await root["a"].ask(WhoAreYou())).pid
        os.kill(pid, signal.SIGSTOP)

        def refuse(*_):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        with monkeypatch.context() as patch:
            patch.setattr("supervisor.process.spawn.worker_process.send_signal", refuse)
            patch.setattr("supervisor.process.spawn.worker_process._kill_group", lambda _: None)
            for life in tuple(root._engine.tree.launcher._alive):
                life.kill()
            report = await watch.exited("a")
            assert "may live on" in report.reason.detail
        assert is_child(pid)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not is_child(pid))


async def test_a_second_beginning_that_fails_changes_nothing(monkeypatch):
    """A life whose new process cannot be watched goes on with the former one."""
    root = tree("loop")
    async with root:
        pid = (await root["a"].ask(WhoAreYou())).pid
        launcher = root._engine.tree.launcher
        (life,) = launcher._alive
        worker = launcher._make("a", 1)
        reader = worker.reader

        def refuse(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(reader, "once", refuse)
            with pytest.raises(OSError, match="No space left"):
                life.begin_again(worker)
        worker.discard()
        assert pid == (await root["a"].ask(WhoAreYou())).pid


@pytest.mark.parametrize("failing", ["make", "begin_again"])
async def test_whatever_fails_while_a_spare_is_replaced_the_life_keeps_it(monkeypatch, failing):
    """Also what no system call raises; it is told to the loop."""
    root = tree("loop")
    told = []
    async with root:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        pid = (await root["a"].ask(WhoAreYou())).pid
        launcher = root._engine.tree.launcher
        (life,) = launcher._alive

        def refuse(*_):
            raise RuntimeError("no")

        with monkeypatch.context() as patch:
            if failing == "make":
                patch.setattr(launcher, "_make", refuse)
            else:
                patch.setattr(type(life), "begin_again", refuse)
            assert not launcher._replaced(life, life._start, 1)
        assert pid == (await root["a"].ask(WhoAreYou())).pid
    assert ["no"] == [str(error) for error in told]


async def test_what_fails_once_there_is_a_process_is_no_hang(monkeypatch):
    """The life sees its process even so: it starts, and it can be ended."""

    def fail(_worker):
        raise RuntimeError("boom")

    monkeypatch.setattr(WorkerProcess, "_register", fail)
    async with tree("thread") as root:
        who = await root["a"].ask(WhoAreYou(), timeout=30)
    assert not is_child(who.pid)
