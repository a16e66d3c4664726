"""A system call that fails: a failed start, or told; what works goes on working, and nothing is left behind."""

from __future__ import annotations

import errno
import os
import select
import signal
import threading

import pytest

from supervisor import INFINITY, Backoff, ChildSpec, Intensity, StartFailed, Supervisor
from supervisor.core.rules.states import ChildState
from supervisor.testing import OnStart, ScriptedLauncher, ScriptedSupervisor
from tests.support.actors import Puppet, WhoAreYou
from tests.support.exhausted import no_descriptor_left
from tests.support.waiting import Watch, until

AT_ONCE = Backoff(initial=0.05, cap=0.05, jitter=0.0)
READINGS = pytest.mark.parametrize("reading", ["thread", "loop"])


def tree(*names, **options):
    specs = [ChildSpec(Puppet, name=name, backoff=AT_ONCE) for name in names]
    return Supervisor(*specs, **{"intensity": Intensity.unlimited(), "spares": 0, **options})


class NthCall:
    """Makes the n-th call of a function raise."""

    def __init__(self, monkeypatch, module, name, nth, error):
        self.left = nth
        real = getattr(module, name)

        def call(*args, **options):
            self.left -= 1
            if self.left == 0:
                raise error
            return real(*args, **options)

        monkeypatch.setattr(module, name, call)


async def test_a_start_that_raises_is_a_failed_start():
    """It is reported, counted and repeated, and its start timer does not matter to the next."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/a", OnStart.READY, OnStart.RAISE, OnStart.READY)
    root = ScriptedSupervisor(ChildSpec(Puppet, name="a", backoff=AT_ONCE), launcher=launcher)
    watch = Watch(root)
    async with root:
        launcher.life("/root/a").exit()
        await watch.exited("a")
        report = await watch.exited("a")
        assert "Too many open files" in report.reason.detail
        assert ("unstarted", 2) == (report.reason.kind.value, report.life)
        await until(lambda: root.which_children()[0].state is ChildState.RUNNING)
        assert 2 == root.snapshot().restarts


@READINGS
async def test_a_tree_that_cannot_be_entered(reading):
    """The error says what has become of the tree, and what to do."""
    root = tree("a", reading=reading)
    with no_descriptor_left(), pytest.raises(OSError, match="Too many open files") as caught:
        await root.__aenter__()
    (note,) = caught.value.__notes__
    assert note.startswith("/root was not entered, and nothing of it was started: raise the daemon's limit of open")


@pytest.mark.parametrize("start", ["ordered", "parallel"])
async def test_a_first_start_that_raises(start):
    """`async with` raises StartFailed with the reason; the others are stopped."""
    launcher = ScriptedLauncher()
    launcher.plan("/root/b", OnStart.RAISE)
    specs = [ChildSpec(Puppet, name=name) for name in "abc"]
    with pytest.raises(StartFailed, match="Too many open files"):
        await ScriptedSupervisor(*specs, launcher=launcher, start=start).__aenter__()
    assert all(life.over for life in launcher.lives)


@pytest.mark.processes
@READINGS
async def test_a_death_while_no_descriptor_is_left(reading):
    """The actor comes back by itself when there are descriptors again; its sibling never hears of it."""
    async with tree("a", "b", reading=reading) as root:
        a, b = [child.pid for child in root.which_children()]
        watch = Watch(root)
        with no_descriptor_left():
            os.kill(a, signal.SIGKILL)
            await watch.exited("a")
            report = await watch.exited("a")
            assert "Too many open files" in report.reason.detail
            assert b == (await root["b"].ask(WhoAreYou())).pid
        assert a != (await root["a"].ask(WhoAreYou(), timeout=None)).pid


@pytest.mark.processes
async def test_no_thread_is_left_to_be_had(monkeypatch):
    """A failed `async with` leaves no thread and no descriptor, and the next one works."""
    for nth in (1, 2, 3):
        with monkeypatch.context() as patch:
            NthCall(patch, threading.Thread, "start", nth, RuntimeError("can't start new thread"))
            with pytest.raises(RuntimeError):
                await tree("a").__aenter__()
    async with tree("a") as root:
        await root["a"].ask(WhoAreYou())


@pytest.mark.processes
@pytest.mark.parametrize("thread", ["actors-reader", "actors-output"])
async def test_epoll_takes_no_more(monkeypatch, thread):
    """The user's limit of watches (ENOSPC): what epoll does not take is watched all the same."""
    real = select.epoll

    class Full:
        def __init__(self):
            self.real = real()

        def __getattr__(self, name):
            return getattr(self.real, name)

        def register(self, *args):
            if threading.current_thread().name.startswith(thread):
                raise OSError(errno.ENOSPC, "No space left on device")
            self.real.register(*args)

    monkeypatch.setattr(select, "epoll", Full)
    async with tree("a", "b") as root:
        os.kill(root.which_children()[0].pid, signal.SIGKILL)
        await until(lambda: root.snapshot().restarts == 1)
        await root["a"].ask(WhoAreYou(), timeout=None)
        await root["b"].ask(WhoAreYou(), timeout=None)


def reaped(pid):
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


@pytest.mark.processes
async def test_a_process_that_may_not_be_killed(monkeypatch):
    """It became another user's: that is told, its siblings are stopped, and `async with` returns."""
    specs = ChildSpec(Puppet, name="a"), ChildSpec(Puppet, name="b", shutdown=0.0)
    root = Supervisor(*specs, spares=0)
    watch = Watch(root)

    def refused(real):
        def send(process, number):
            if number == signal.SIGKILL:
                raise PermissionError(errno.EPERM, "Operation not permitted")
            real(process, number)

        return send

    async with root:
        pid = root.which_children()[1].pid
        monkeypatch.setattr(signal, "pidfd_send_signal", refused(signal.pidfd_send_signal))
        monkeypatch.setattr(os, "kill", refused(os.kill))
    report = await watch.exited("b")
    assert f"Operation not permitted; process {pid} may live on" in report.reason.detail
    await until(lambda: reaped(pid))  # its channel is closed: it leaves by itself


@pytest.mark.processes
async def test_a_spare_that_does_not_run(monkeypatch):
    """A stopped spare costs the actor nothing: a fresh process plays the life, and no restart is counted for it."""
    monkeypatch.setattr("supervisor.process.spares.CALM", 0.02)
    async with tree("a", spares=1, intensity=Intensity(1, 60.0)) as root:
        await until(lambda: root.snapshot().spares == 1)
        (spare,) = root._launcher._spares._spares
        os.kill(spare.worker.pid, signal.SIGSTOP)
        os.kill(root.which_children()[0].pid, signal.SIGKILL)
        answer = await root["a"].ask(WhoAreYou(), timeout=None)
        assert spare.worker.pid != answer.pid
        assert (2, 1) == (answer.incarnation, root.snapshot().restarts)


@pytest.mark.processes
async def test_a_stop_while_a_spare_does_not_run(monkeypatch):
    """Nothing of the actor has begun on it, so it is not waited for, however long a stop may take."""
    monkeypatch.setattr("supervisor.process.spares.CALM", 0.02)
    async with Supervisor(ChildSpec(Puppet, name="a", shutdown=INFINITY, backoff=AT_ONCE)) as root:
        await until(lambda: root.snapshot().spares == 1)
        (spare,) = root._launcher._spares._spares
        os.kill(spare.worker.pid, signal.SIGSTOP)
        os.kill(root.which_children()[0].pid, signal.SIGKILL)
        await until(lambda: root.which_children()[0].pid == spare.worker.pid, "a life on that spare")
