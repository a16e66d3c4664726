"""in_thread: a tree for a program without an event loop."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from actors import ActorCrashed, ActorStopped, UsageError
from supervisor import ChildSpec, Intensity, InvalidSpec, RestartIntensityExceeded, StartFailed, Supervisor
from tests.support.tellers import Add, Counter, Die
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.processes


def trees():
    """The threads of trees that are there."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("actors-")]


def test_calls_from_many_threads():
    """The total is right, and at the end nothing is left."""
    with Supervisor.in_thread(ChildSpec(Counter), name="shop", spares=0) as root:
        assert "/shop/counter" == root["counter"].path
        pid = root["counter"]._mailbox  # the tree is the loop's; asking for refs is anybody's
        with ThreadPoolExecutor(8) as pool:
            totals = list(pool.map(lambda _: root["counter"].call(Add(1)), range(64)))
        assert list(range(1, 65)) == sorted(totals)
        with pytest.raises(UsageError, match="another thread"):
            root.snapshot()
        assert pid is root["counter"]._mailbox
    assert [] == trees()
    with pytest.raises(ActorStopped, match="down for good"):
        root["counter"].call(Add(1))
    assert_stopped(root["counter"].call_many([Add(1), Add(1)]), "its supervisor was asked to stop")


def assert_stopped(outcomes, why):
    """Each of two calls has the error in its place, which says why."""
    text = f"/shop/counter is down for good ({why}); this call of 2 messages was not sent"
    assert [(ActorStopped, text)] * 2 == [(type(one), str(one)) for one in outcomes]


def test_what_the_start_raises():
    """It comes out at the `with`; a spec that cannot work before that."""
    with pytest.raises(InvalidSpec):
        Supervisor.in_thread(ChildSpec(Counter), intensity="often")
    with pytest.raises(StartFailed, match="cannot begin"):
        with Supervisor.in_thread(ChildSpec(Counter, kwargs={"broken": True}), spares=0):
            pytest.fail("entered")
    assert [] == trees()


def test_no_descriptor_is_left_for_an_event_loop(monkeypatch):
    """It raises that, and does not wait for a loop that never comes."""

    def exhausted():
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio.events, "new_event_loop", exhausted)
    with pytest.raises(OSError, match="Too many open files"):
        with Supervisor.in_thread(ChildSpec(Counter)):
            pytest.fail("entered")
    assert [] == trees()


def test_what_the_body_raises():
    """It comes out, and the tree is down."""
    with pytest.raises(ZeroDivisionError):
        with Supervisor.in_thread(ChildSpec(Counter), spares=0) as root:
            raise ZeroDivisionError
    assert [] == trees()
    del root


def test_an_interrupt_as_soon_as_the_thread_runs(monkeypatch):
    """The start is stopped, and nothing is left."""
    start = threading.Thread.start

    def start_and_interrupt(thread):
        start(thread)
        if thread.name == "actors-tree":
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        with Supervisor.in_thread(ChildSpec(Counter), spares=0):
            pytest.fail("entered")
    assert [] == trees()


def test_the_tree_gives_up_and_the_body_raises():
    """What the body raises comes out, and says how the tree has ended."""
    with pytest.raises(ActorStopped) as raised:
        with Supervisor.in_thread(ChildSpec(Counter), intensity=Intensity(0), spares=0) as root:
            with pytest.raises((ActorCrashed, ActorStopped)):
                root["counter"].call(Die())
            while True:
                root["counter"].call(Add(1))
    assert ["Meanwhile the tree has ended with RestartIntensityExceeded"] == [
        note.partition(":")[0] for note in raised.value.__notes__
    ]


@pytest.mark.parametrize("told", [True, False])
def test_the_tree_gives_up(told, logs):
    """It is told at once to who wants that, to callers, and at the end of the `with`; no task is called cancelled."""
    heard = threading.Event()
    options = {"on_give_up": lambda error: heard.set()} if told else {}
    with pytest.raises(RestartIntensityExceeded, match="gave up"):
        with Supervisor.in_thread(ChildSpec(Counter), name="shop", intensity=Intensity(0), spares=0, **options) as root:
            with pytest.raises((ActorCrashed, ActorStopped)):
                root["counter"].call(Die())
            if told:
                assert heard.wait(DEADLINE)
            with pytest.raises(ActorStopped):
                root["counter"].call(Add(1))
            assert_stopped(root["counter"].call_many([Add(1), Add(1)]), "its supervisor gave up")
    assert [] == trees()
    assert "task.cancelled" not in {line["event"] for line in logs}


NEVER_LEFT = """
import gc
from supervisor import ChildSpec, Supervisor
from tests.support.tellers import Add, Counter
root = Supervisor.in_thread(ChildSpec(Counter), spares=0).__enter__()
gc.collect()
print(root["counter"].call(Add(1)))
"""


def test_it_is_entered_by_hand_and_never_left():
    """It runs on to the end of the program, though nothing holds what entered it: nobody has asked it to stop."""
    ran = subprocess.run([sys.executable, "-c", NEVER_LEFT], capture_output=True, text=True, timeout=120, check=False)
    assert (0, "1\n") == (ran.returncode, ran.stdout), ran.stderr
