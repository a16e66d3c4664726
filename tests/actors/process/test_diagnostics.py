"""Faults: stacks in the black box, from a process that is dying, or only asked."""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import time
from pathlib import Path

import pytest

from actors.event import SafeEvent
from actors.ipc.blackbox import TEXT, BlackBox
from actors.process.diagnostics import DUMP_SIGNAL, record_faults
from tests.support.spawning import DEADLINE, running
from tests.support.waiting import until_now

pytestmark = pytest.mark.processes


@pytest.fixture
def box():
    made = BlackBox()
    yield made
    made.close()


def die(box: BlackBox, how: str) -> None:
    record_faults(box)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    if how == "overflow":
        faulthandler._stack_overflow()
    os.kill(os.getpid(), getattr(signal, how))
    time.sleep(DEADLINE)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("SIGSEGV", "Segmentation fault"),
        ("SIGABRT", "Aborted"),
        ("SIGBUS", "Bus error"),
        ("SIGFPE", "Floating.point exception"),
        ("SIGILL", "Illegal instruction"),
        ("overflow", "Segmentation fault"),
    ],
)
def test_a_deadly_fault(box, how, words):
    """What went wrong and where, readable after the death; the process dies of it all the same."""
    with running(die, box, how) as process:
        process.join(DEADLINE)
        assert getattr(signal, how, signal.SIGSEGV) == -process.exitcode
    first, *rest = box.text().splitlines()
    assert re.fullmatch(f"Fatal Python error: {words}", first)
    assert any(re.fullmatch(r'  File ".*test_diagnostics\.py", line \d+ in die', line) for line in rest)


def count(box: BlackBox, ready: SafeEvent) -> None:
    record_faults(box)
    ready.set()
    sum(range(10**15))  # a C loop that never lets go of the interpreter


def test_asked_for(box):
    """Stacks of a process that a C loop holds, as often as one asks, each in the place of the former; it lives on."""
    ready = SafeEvent()
    with running(count, box, ready) as process:
        assert ready.wait(DEADLINE)
        for _ in range(100):
            box.rewind()
            assert "" == box.text()
            os.kill(process.pid, DUMP_SIGNAL)
            until_now(lambda: "in count" in box.text() and box.text().endswith("<module>\n"), "a dump")
        assert process.is_alive()
    ready.close()


def test_more_than_there_is_room_for(box):
    """Dumps that nobody makes room for are cut off."""
    ready = SafeEvent()
    with running(count, box, ready) as process:
        assert ready.wait(DEADLINE)
        for _ in range(1000):
            os.kill(process.pid, DUMP_SIGNAL)
            if len(box.text()) == TEXT:
                break
            time.sleep(0.001)
        assert TEXT == len(box.text())
        assert process.is_alive()
    ready.close()
