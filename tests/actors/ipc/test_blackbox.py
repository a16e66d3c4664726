"""BlackBox: what an actor was doing, readable after its death."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import actors.ipc.blackbox
from actors.event import SafeEvent
from actors.ipc.blackbox import TEXT, BlackBox
from actors.ipc.box_cells import DOORBELL
from actors.wire.progress import Activity, Progress, Work
from tests.support.spawning import kill, running


@pytest.fixture
def box():
    made = BlackBox()
    yield made
    made.close()


@pytest.fixture
def three():
    made = BlackBox(3)
    yield made
    made.close()


def test_new(box):
    """Nothing was begun, no handler runs."""
    assert Progress(0, frozenset(), 0, -1) == box.progress()


def test_begun(box):
    """A handler that was called and has not returned."""
    box.recorder.begin(5, 2, 1_000)
    assert Progress(5, frozenset({5}), 1_000, 2) == box.progress()


def test_done(box):
    """A handler that has returned; what it was is still known."""
    box.recorder.begin(5, 2, 1_000)
    box.recorder.done(5)
    assert Progress(5, frozenset(), 1_000, 2) == box.progress()


def test_activity(three):
    """Who watches sees every call under way, each step, the heartbeats, and whether the actor leaves."""
    seen = [three.activity()]
    for deed in (
        lambda: three.recorder.begin(1, 4, 100, 0),
        lambda: three.recorder.begin(2, 5, 200, 2),
        lambda: three.recorder.done(1, 0),
        three.recorder.beat,
        three.recorder.leave,
    ):
        deed()
        seen.append(three.activity())
    first, second = Work(0, 100, 0, 4), Work(2, 200, 0, 5)
    assert [(), (first,), (first, second), (second,), (second,), (second,)] == [one.work for one in seen]
    assert [0, 0, 0, 0, 1, 1] == [one.heartbeats for one in seen]
    assert [False] * 5 + [True] == [one.leaving for one in seen]
    assert 4 == len({one.steps for one in seen})


def test_a_message_of_its_own(box):
    """A timer's message has no number; its handler is under way all the same, and counts as step when it ends."""
    box.recorder.begin(5, 2, 1_000)
    box.recorder.done(5)
    box.recorder.begin_own(3, 2_000)
    during = box.activity()
    assert (Work(0, 2_000, 0, 3),) == during.work
    assert Progress(5, frozenset(), 2_000, 3) == box.progress()
    box.recorder.done_own()
    assert () == box.activity().work
    assert during.steps != box.activity().steps


def test_granted_time_ends_with_the_call(box):
    """What one handler was granted does not hold for the next one in that lane."""
    assert Activity((), 0, 0, leaving=False) == box.activity()
    box.recorder.begin(1, 0, 100)
    box.recorder.grant(9_000)
    assert (Work(0, 100, 9_000, 0),) == box.activity().work
    box.recorder.done(1)
    box.recorder.begin(2, 0, 200)
    assert (Work(0, 200, 0, 0),) == box.activity().work


def test_lanes(three):
    """Of several at work the longest-running is named; what is done is not at work."""
    three.recorder.begin(1, 4, 100, 0)
    three.recorder.begin(2, 5, 200, 1)
    three.recorder.begin(3, 6, 300, 2)
    three.recorder.done(1, 0)
    assert Progress(3, frozenset({2, 3}), 200, 5) == three.progress()


@given(st.data())
def test_any_order_of_begin_and_done(data):
    """What is at work is what was begun and is not done, whatever the order."""
    lanes = data.draw(st.integers(1, 4))
    box = BlackBox(lanes)
    try:
        busy: dict[int, int] = {}
        begun = 0
        for _ in range(data.draw(st.integers(0, 30))):
            lane = data.draw(st.integers(0, lanes - 1))
            if lane in busy:
                box.recorder.done(busy.pop(lane), lane)
            else:
                begun += 1
                busy[lane] = begun
                box.recorder.begin(begun, lane, begun * 10, lane)
            progress = box.progress()
            assert begun == progress.begun
            assert frozenset(busy.values()) == progress.active
            if busy:
                assert min(busy.values()) * 10 == progress.since
    finally:
        box.close()


def test_the_doorbell(box):
    """The daemon rings, the child notices; progress is not touched."""
    assert 0 == box.cells[DOORBELL]
    box.ring()
    box.ring()
    assert 2 == box.cells[DOORBELL]
    assert Progress(0, frozenset(), 0, -1) == box.progress()


def test_pickled_only_while_a_process_is_spawned(box):
    """Anywhere else the descriptor would not go along."""
    with pytest.raises(RuntimeError):
        pickle.dumps(box)


def test_works_without_memfd(monkeypatch):
    """An unlinked file does the same."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    box = BlackBox()
    box.recorder.begin(1, 0, 1)
    assert frozenset({1}) == box.progress().active
    box.close()


def test_text(box):
    """What is written to the descriptor is read as text, until it is rewound; lanes are not touched by it."""
    assert "" == box.text()
    os.write(box.fileno(), b"two words")
    os.write(box.fileno(), b", and \xff")
    assert "two words, and \N{REPLACEMENT CHARACTER}" == box.text()
    box.rewind()
    assert "" == box.text()
    os.write(box.fileno(), b"next")
    assert "next" == box.text()
    assert Progress(0, frozenset(), 0, -1) == box.progress()


@pytest.mark.parametrize("lanes", [1, 126, 127, 1000])
def test_text_lies_behind_any_number_of_lanes(lanes):
    """The last lane and the text do not meet."""
    box = BlackBox(lanes)
    try:
        os.write(box.fileno(), b"x" * TEXT)
        assert "x" * TEXT == box.text()
        box.recorder.begin(7, 1, 100, lanes - 1)
        assert Progress(7, frozenset({7}), 100, 1) == box.progress()
        assert "x" * TEXT == box.text()
    finally:
        box.close()


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only a memfd can be sealed")
def test_the_file_keeps_its_size(box):
    """A child that writes more, or cuts the file off, can neither fill the memory nor hurt the one who reads."""
    size = os.fstat(box.fileno()).st_size
    os.write(box.fileno(), b"x" * TEXT)
    with pytest.raises(PermissionError):
        os.write(box.fileno(), b"more")
    with pytest.raises(PermissionError):
        os.ftruncate(box.fileno(), 0)
    assert size == os.fstat(box.fileno()).st_size
    assert "x" * TEXT == box.text()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_named(box):
    """The page has no name in any directory."""
    targets = [str(Path(f"/proc/self/fd/{box.fileno()}").readlink())]
    assert all("(deleted)" in target for target in targets)


def work(box: BlackBox, begun: SafeEvent) -> None:
    box.recorder.begin(1, 0, 100)
    box.recorder.done(1)
    box.recorder.begin(2, 3, 200)
    begun.set()
    begun.clear()
    while True:
        begun.wait()


@pytest.mark.processes
def test_readable_after_kill_9(box):
    """What the process wrote last is there after its death."""
    begun = SafeEvent()
    with running(work, box, begun) as process:
        while not box.progress().active:
            assert process.is_alive()
            begun.wait(0.01)
        kill(process)
        assert Progress(2, frozenset({2}), 200, 3) == box.progress()
    begun.close()


def test_an_anonymous_file_has_the_asked_size():
    """As many zero bytes as asked for."""
    fd = actors.ipc.blackbox._anonymous_file(64)
    try:
        assert 64 == os.fstat(fd).st_size
        assert bytes(64) == os.pread(fd, 64, 0)
    finally:
        os.close(fd)


def test_a_doorbell_that_the_child_has_overwritten_still_rings():
    """Whatever value lies there, ringing changes it and raises nothing."""
    box = BlackBox()
    box.cells[DOORBELL] = 2**64 - 1
    box.ring()
    assert 0 == box.cells[DOORBELL]
    box.close()
