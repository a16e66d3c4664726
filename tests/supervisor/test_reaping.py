"""Reaping: exit codes and what was used, whoever else reaps."""

from __future__ import annotations

import os
import time

import pytest

from supervisor.reaping import Remains, reap
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
    assert Remains(5) == reap(process)
    process.close()


def test_someone_else_was_faster():
    """Nothing is known, and nothing breaks."""
    process = dead()
    os.waitpid(process.pid, 0)
    assert Remains() == reap(process)
    process._popen.close()


def test_still_running():
    """It waits for nothing."""
    process = SPAWN.Process(target=work, args=(0.5, 0))
    process.start()
    assert Remains() == reap(process)
    process.join(DEADLINE)
    process.close()


def test_without_wait4(monkeypatch):
    """The code alone."""
    process = dead(code=3)
    monkeypatch.delattr(os, "wait4")
    assert Remains(3) == reap(process)
    process.close()


def test_never_started():
    """There is nothing to be known of a process that never was."""
    process = SPAWN.Process(target=work)
    assert Remains() == reap(process)
    process.close()
