"""Reaping: exit codes and resources, also when other code reaps."""

from __future__ import annotations

import os
import platform
import signal
import time

import pytest

from supervisor.system.post_mortem import ExitStatus, has_ended, reap
from tests.support.spawning import DEADLINE, SPAWN

pytestmark = pytest.mark.processes


def work(seconds, code):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    os._exit(code)


def dead(seconds=0.0, code=0):
    """A process that has ended and was not reaped."""
    process = SPAWN.Process(target=work, args=(seconds, code))
    process.start()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    return process


def test_exit_code_and_cpu_time():
    """The code, the seconds it computed; and multiprocessing knows the code, too."""
    process = dead(0.3, 5)
    remains = reap(process)
    assert 5 == remains.exit_code
    assert 0.3 <= remains.cpu_time < DEADLINE
    assert 5 == process.exitcode
    assert ExitStatus(5) == reap(process)
    process.close()


def test_someone_else_was_faster():
    """Nothing is known, and nothing breaks."""
    process = dead()
    os.waitpid(process.pid, 0)
    assert ExitStatus() == reap(process)
    process._popen.close()


@pytest.mark.parametrize("code", [5, -signal.SIGKILL])
def test_the_kernel_tells_what_another_has_taken(code):
    """Where the pidfd knows the exit code, it does not matter who took it."""
    process = SPAWN.Process(target=work, args=(0.0 if code > 0 else 3600.0, code))
    process.start()
    pidfd = os.pidfd_open(process.pid)
    try:
        if code < 0:
            process.kill()
        os.waitpid(process.pid, 0)
        known = reap(process, pidfd).exit_code
        assert code == known or (known is None and not tells())
    finally:
        os.close(pidfd)
        process._popen.close()


def tells():
    """Whether this kernel keeps exit codes: from Linux 6.15 on."""
    return tuple(int(part) for part in platform.release().split(".")[:2]) >= (6, 15)


def test_where_nothing_says_that_a_death_is_complete_its_exit_code_is_waited_for(monkeypatch):
    """For a moment: there is neither a pidfd nor `waitid`."""
    process = dead(code=4)
    monkeypatch.delattr(os, "waitid")
    assert has_ended(process.pid)
    real, looks = os.wait4, []

    def wait4(pid, options):
        looks.append(pid)
        return real(pid, options) if len(looks) > 2 else (0, 0, None)

    monkeypatch.setattr(os, "wait4", wait4)
    assert 4 == reap(process).exit_code
    process.close()


def test_still_running(monkeypatch):
    """It waits for nothing, without a pidfd as with one: the loop must not stand still."""
    process = SPAWN.Process(target=work, args=(0.5, 0))
    process.start()
    assert not has_ended(process.pid)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    assert ExitStatus() == reap(process)
    process.join(DEADLINE)
    process.close()


def test_without_wait4(monkeypatch):
    """The code alone."""
    process = dead(code=3)
    monkeypatch.delattr(os, "wait4")
    assert ExitStatus(3) == reap(process)
    process.close()


def test_never_started():
    """There is nothing to be known of a process that never was."""
    process = SPAWN.Process(target=work)
    assert ExitStatus() == reap(process)
    process.close()
