"""A process that has stepped back runs as others do again, with all its threads."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

import pytest

from supervisor.system.priority import lowest, step_back, step_forward

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="Linux has these policies")

THREADS = """
import threading
go = threading.Event()
for _ in range(4): threading.Thread(target=go.wait, daemon=True).start()
print(flush=True)
input()
"""
UNPRIVILEGED = """
import os
from supervisor.system.priority import lowest
os.setgid(65534)
os.setuid(65534)
print(lowest() == os.SCHED_BATCH, os.sched_getscheduler(0) == os.SCHED_OTHER)
"""


@pytest.fixture
def process():
    """With four more threads that began while it stood back."""
    with subprocess.Popen([sys.executable, "-c", THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        step_back(process.pid)
        process.stdout.readline()
        yield process
        process.kill()


def policies(pid):
    with contextlib.suppress(ProcessLookupError):
        return {os.sched_getscheduler(int(task.name)) for task in os.scandir(f"/proc/{pid}/task")}


@pytest.mark.processes
def test_back_and_forward(process):
    """No thread stays behind. On a busy machine the trial of the lowest policy may take too long."""
    assert os.sched_getscheduler(process.pid) in {lowest(), os.SCHED_BATCH}
    step_forward(process.pid)
    assert {os.SCHED_OTHER} == policies(process.pid)


@pytest.mark.processes
def test_a_policy_that_was_chosen_stays(process):
    """Of a process that has another already."""
    assert not step_back(process.pid)


def test_the_trial_leaves_no_thread_and_changes_none():
    """It is made by a thread that ends."""
    before = threading.active_count()
    assert lowest() in {os.SCHED_IDLE, os.SCHED_BATCH}
    assert (before, os.SCHED_OTHER) == (threading.active_count(), os.sched_getscheduler(0))


@pytest.mark.processes
@pytest.mark.skipif(os.getuid() != 0, reason="the tests run without privilege already")
def test_without_privilege():
    """A policy that could not be left is not taken."""
    said = subprocess.run([sys.executable, "-c", UNPRIVILEGED], capture_output=True, text=True, check=True)
    assert "True True" == said.stdout.strip()


def test_a_process_that_is_gone():
    """Nothing happens."""
    assert not step_back(2**22 + 1)
    step_forward(2**22 + 1)


@pytest.mark.parametrize("wrong", [None, RuntimeError("can't start new thread")])
def test_no_thread_begins(monkeypatch, wrong):
    """Memory or threads are short: the policy that can always be left, and no wait without end."""

    def start_new_thread(*_):
        if wrong is not None:
            raise wrong

    monkeypatch.setattr("_thread.start_new_thread", start_new_thread)
    assert os.SCHED_BATCH == lowest()
