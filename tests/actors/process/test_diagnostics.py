"""Faults: stacks in the black box, from a process that is dying, or only asked."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import re
import signal
import struct
import sys
import time
from pathlib import Path

import pytest

from actors.event import SafeEvent
from actors.ipc.blackbox import TEXT, BlackBox
from actors.process.diagnostics import DUMP_SIGNAL, accept_dumps, record_faults
from actors.process.heartbeat import HEARTBEAT_SIGNAL, start_heartbeat
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
    accept_dumps()
    ready.set()
    sum(range(10**15))  # a C loop that never lets go of the interpreter


def test_asked_for(box):
    """Stacks of a process that a C loop holds, as often as one asks, each in the place of the former; it lives on."""
    ready = SafeEvent()
    with running(count, box, ready) as process:
        assert ready.wait(DEADLINE)
        for _ in range(100):
            box.rewind()
            ask_for_dump(box, process.pid, complete)
        assert box.text().count("in count") < 100
        assert process.is_alive()
    ready.close()


def ask_for_dump(box, pid, there):
    """Ask, again and again: faulthandler writes nothing for a signal that comes while it leaves the one before."""
    deadline = time.monotonic() + DEADLINE
    while not there(box.text()):
        assert time.monotonic() < deadline, f"no dump, but {box.text()[-500:]!r}"
        os.kill(pid, DUMP_SIGNAL)
        for _ in range(100):
            if there(box.text()):
                break
            time.sleep(0.002)


def complete(text):
    return "in count" in text and text.endswith("<module>\n")


def test_more_than_there_is_room_for(box):
    """Dumps without room are cut off."""
    ready = SafeEvent()
    with running(count, box, ready) as process:
        assert ready.wait(DEADLINE)
        os.write(box.fileno(), b"x" * (TEXT - 100))
        ask_for_dump(box, process.pid, lambda text: len(text) == TEXT)
        assert process.is_alive()
    ready.close()


def wait_in_c(box: BlackBox, ready: SafeEvent, go_on: SafeEvent) -> None:
    """Wait in a system call that a signal handler in this thread would end; leave with what it returned."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {DUMP_SIGNAL, HEARTBEAT_SIGNAL})  # as from the spawn of an actor
    record_faults(box)
    start_heartbeat(box)
    poll = ctypes.CDLL(None).poll
    wanted = ctypes.create_string_buffer(struct.pack("ihh", go_on.fileno(), 1, 0))
    ready.set()
    os._exit(poll(wanted, 1, -1) & 0xFF)


@pytest.mark.skipif(sys.platform != "linux", reason="no signal to spare")
@pytest.mark.parametrize("asked", [DUMP_SIGNAL, HEARTBEAT_SIGNAL])
def test_a_system_call_of_the_actor_goes_on(box, asked):
    """The stack of the main thread is shown, and what it waits for in C code is not cut short."""
    ready, go_on = SafeEvent(), SafeEvent()
    with running(wait_in_c, box, ready, go_on) as process:
        assert ready.wait(DEADLINE)
        for _ in range(10):
            box.rewind()
            os.kill(process.pid, asked)
            until_now(lambda: "in wait_in_c" in box.text() and box.text().endswith("<module>\n"), "a dump")
        go_on.set()
        process.join(DEADLINE)
        assert 1 == process.exitcode
    ready.close()
    go_on.close()
