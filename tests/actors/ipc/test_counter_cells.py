"""An actor's counters in its black box: what a handler counted holds once it has ended, at whatever store it dies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ipc.blackbox import BlackBox
from actors.ipc.box_cells import MAX_SERIES
from actors.wire.counts import Series, encoded

ORDERS = encoded("/a", "orders", {})


@pytest.fixture
def box():
    box = BlackBox(2)
    yield box
    box.close()


def total(box, name="orders"):
    return box.counts().get(Series(name), 0)


def test_outside_of_handlers(box):
    """It holds at once."""
    slot = box.counters.new(ORDERS)
    box.count(slot, 0, 2)
    box.count(slot, 0, 0.5)
    assert 2.5 == total(box)


def test_a_handler(box):
    """It holds when the handler has ended, and not before."""
    slot = box.counters.new(ORDERS)
    box.count(slot, 0, 1)
    for seq in (1, 2, 3):
        box.recorder.begin(seq, 0, seq * 100)
        box.count(slot, 0, 10)
        box.count(slot, 0, 10)
        assert 1 + 20 * (seq - 1) == total(box)
        box.recorder.done(seq)
        assert 1 + 20 * seq == total(box)


def test_a_timers_handler(box):
    """A message of the actor's own has no number."""
    slot = box.counters.new(ORDERS)
    box.recorder.begin_own(0, 100)
    box.count(slot, 0, 1)
    assert 0 == total(box)
    box.recorder.done_own()
    assert 1 == total(box)


def test_two_lanes(box):
    """Each handler's part by itself."""
    slot = box.counters.new(ORDERS)
    box.recorder.begin(1, 0, 100, 0)
    box.recorder.begin(2, 0, 101, 1)
    box.count(slot, 0, 1)
    box.count(slot, 1, 10)
    box.recorder.done(2, 1)
    assert 10 == total(box)
    box.recorder.begin(3, 0, 102, 1)
    box.count(slot, 1, 100)
    box.recorder.done(1, 0)
    assert 11 == total(box)


def test_a_write_that_is_cut_short(box):
    """Killed between the sum of a new call and its name: the sum before holds."""
    slot = box.counters.new(ORDERS)
    for seq in (1, 2):
        box.recorder.begin(seq, 0, seq)
        box.count(slot, 0, 1)
        box.recorder.done(seq)
    box.recorder.begin(3, 0, 3)
    older = 0 if box.counters._calls[0] < box.counters._calls[2] else 2
    box.counters._sums[older + 1] = 99.0  # the first of the two stores
    assert 2 == total(box)


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30))
def test_any_order_of_calls(steps):
    """The sum is that of the ended calls, and of nothing else, after each step."""
    box = BlackBox(1)
    try:
        slots = [box.counters.new(encoded("/a", name, {})) for name in ("a", "b", "c")]
        ended = {"a": 0, "b": 0, "c": 0}
        for seq, (which, ends) in enumerate(steps, 1):
            box.recorder.begin(seq, 0, seq)
            box.count(slots[which], 0, 1)
            if ends or seq < len(steps):
                box.recorder.done(seq)
                ended["abc"[which]] += 1
            assert ended == {name: total(box, name) for name in "abc"}
    finally:
        box.close()


def test_no_slot_left(box):
    """There are so many series and no more."""
    slots = [box.counters.new(encoded("/a", f"n{number}", {})) for number in range(MAX_SERIES)]
    assert MAX_SERIES == len(set(slots))
    assert box.counters.new(ORDERS) is None
    assert MAX_SERIES == len(box.counts())


def test_rubbish(box):
    """A process may write anything; what is no series is passed over, what is no sum counts nothing."""
    slot = box.counters.new(ORDERS)
    box.counters.new(b"\xff\xff")
    box.counters.new(encoded("/a", "good", {}).replace(b"good", b"go d"))
    box.counters._head[0] = 2**63
    box.counters._sums[slot * 8 + 1] = float("nan")
    assert {Series("orders"): 0} == box.counts()


@pytest.mark.parametrize("byte", [b"\0", b"\x7f", b"\xff"])
def test_stray_writes(box, byte):
    """C code has written over all of it: the sums are rubbish, and whoever counts hears nothing of that."""
    slot = box.counters.new(ORDERS)
    for written in (box.counters._space, box.cells.cast("B")):
        written[:] = byte * len(written)
        assert slot + 1 == box.counters.new(ORDERS)
        for seq in (1, 2):
            box.recorder.begin(seq, 0, 100)
            box.count(slot, 0, 1)
            box.recorder.done(seq)
            box.recorder.begin_own(0, 100)
            box.count(slot, 0, 1)
            box.recorder.done_own()
            box.recorder.beat()
        box.counts()
        slot += 1


def test_the_text_is_behind(box):
    """Stacks that are written there do not touch the counters."""
    box.counters.new(ORDERS)
    box.count(0, 0, 3)
    box.rewind()
    assert 3 == total(box)
