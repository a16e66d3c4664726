"""SafeEvent alone, on each of its kernel objects."""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from actors.errors import UsageError
from actors.event import KernelCounter, SafeEvent
from tests.support import children
from tests.support.spawning import DEADLINE, open_descriptors, running


@pytest.fixture(params=["eventfd", "pipe"])
def kernel(request, monkeypatch):
    """The kernel object that is used."""
    if request.param == "pipe":
        monkeypatch.delattr(os, "eventfd", raising=False)
    elif not hasattr(os, "eventfd"):
        pytest.skip("no eventfd here")


@pytest.fixture
def event(kernel):
    with_close = SafeEvent()
    yield with_close
    with_close.close()


def test_it_is_a_flag(event):
    """Set, set again and clear do what they do for multiprocessing.Event."""
    assert not event.is_set()
    event.set()
    event.set()
    assert event.is_set()
    event.clear()
    assert not event.is_set()
    event.clear()
    assert not event.is_set()


@pytest.mark.parametrize(("deed", "call"), [("set", "write"), ("clear", "read")])
def test_another_thread_closes_it_at_that_moment(event, monkeypatch, deed, call):
    """It is told as if it had been closed before."""
    original = getattr(os, call)

    def closed_before(fd, what):
        event.close()
        return original(fd, what)

    monkeypatch.setattr(os, call, closed_before)
    with pytest.raises(ValueError, match="closed in this process"):
        getattr(event, deed)()


def test_wait_leaves_it_set(event):
    """Any number of waits see one set."""
    event.set()
    assert [event.wait(timeout) for timeout in (None, 0, 5)] == [True] * 3


@pytest.mark.parametrize("timeout", [0, -1, 0.001])
def test_wait_ends_in_time(event, timeout):
    """It is not set in time: False."""
    assert event.wait(timeout) is False


def test_a_very_long_timeout_is_a_timeout(event):
    """More milliseconds than poll(2) can count are no error."""
    event.set()
    assert event.wait(1e12)
    assert event.wait(float("inf"))


def test_wait_is_woken(event):
    """A thread in wait() goes on when another sets the flag."""
    woken = []
    thread = threading.Thread(target=lambda: woken.append(event.wait(DEADLINE)))
    thread.start()
    event.set()
    thread.join(DEADLINE)
    assert woken == [True]


def test_fileno_is_readable_while_set(event):
    """Selectors can watch it."""
    assert select.select([event], [], [], 0)[0] == []
    event.set()
    assert [event] == select.select([event], [], [], 0)[0]


def test_setting_for_ever_never_waits(event):
    """A flag that is never cleared takes any number of sets, and one clear takes them all."""
    for _ in range(20_000):
        event.set()
    event.clear()
    assert not event.is_set()


def test_closed(event):
    """Closing twice is once; afterwards it says what is the matter."""
    event.close()
    event.close()
    assert repr(event) == "<SafeEvent closed>"
    for use in (event.set, event.clear, event.is_set, event.wait, event.fileno):
        with pytest.raises(ValueError, match="SafeEvent is closed in this process"):
            use()


def test_descriptors_go_with_the_object(kernel):
    """What was forgotten without close() leaves no descriptor behind."""
    before = open_descriptors()
    for _ in range(100):
        SafeEvent().set()
    assert before == open_descriptors()


def test_repr_shows_the_state(event):
    """The state is in the repr."""
    assert repr(event) == "<SafeEvent unset>"
    event.set()
    assert repr(event) == "<SafeEvent set>"


def test_pickling_is_for_spawning(event):
    """As with every multiprocessing object, it travels by inheritance only."""
    with pytest.raises(RuntimeError, match="through inheritance"):
        pickle.dumps(event)


def test_counter_takes_one_by_one(kernel):
    """With semaphore=True it counts."""
    counter = KernelCounter(2, semaphore=True)
    assert [counter.take() for _ in range(3)] == [True, True, False]
    counter.add()
    assert [counter.take() for _ in range(2)] == [True, False]


def test_a_count_beyond_a_pipe(monkeypatch):
    """Without eventfd there is a limit, and it is named."""
    monkeypatch.delattr(os, "eventfd", raising=False)
    before = open_descriptors()
    with pytest.raises(UsageError, match="8192"):
        KernelCounter(10_000, semaphore=True)
    assert before == open_descriptors()


@pytest.mark.processes
def test_it_works_in_a_spawned_process(kernel):
    """Both ways: the child waits and clears, and sets the other."""
    first, second = SafeEvent(), SafeEvent()
    with running(children.return_slot, first, second) as process:
        first.set()
        assert second.wait(DEADLINE)
        assert not first.is_set()
        process.join(DEADLINE)
        assert process.exitcode == 0


EXIT = """
import abc
import sys
from actors.event import SafeEvent
from actors.queue import SafeQueue

abc.kept = [sys.modules["actors.event"], sys.modules["actors.queue"], SafeEvent(), SafeQueue(3), SafeQueue()]
"""


@pytest.mark.processes
def test_one_that_is_kept_until_the_names_of_modules_are_gone():
    """Nothing is written at the interpreter's exit."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", EXIT],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
