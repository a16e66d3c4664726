"""Replies in shared memory: what one side writes the other reads, once, whatever the order of looks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import WireError
from actors.ipc.reply_area import AREA, MOST, SIZE, ReplyArea
from actors.wire.codec import encode
from supervisor.core.delivery.parcel import cut_array


def both_sides() -> tuple[bytearray, ReplyArea, ReplyArea]:
    memory = bytearray(AREA)
    return memory, ReplyArea(memoryview(memory)), ReplyArea(memoryview(memory))


@given(st.lists(st.tuples(st.integers(0, MOST - 10), st.booleans()), max_size=200))
def test_outcomes_are_read_once_and_in_order_over_many_rounds(steps):
    """Also where one lies at the end and at the beginning of the ring."""
    _, child, daemon = both_sides()
    written, read = [], []
    for number, (size, look) in enumerate(steps):
        outcome = encode((number, bytes(size)))
        if child.put(outcome):
            written.append(outcome)
        if look:
            read += map(bytes, cut_array(daemon.take(child.mark) or b"\x90"))
    read += map(bytes, cut_array(daemon.take(child.mark) or b"\x90"))
    assert written == read
    assert not daemon.take(child.mark)


def test_what_finds_no_room_is_refused_until_something_is_read():
    _, child, daemon = both_sides()
    outcome = encode(bytes(1000))
    kept = 0
    while child.put(outcome):
        kept += 1
    assert SIZE // len(outcome) == kept
    assert kept == len(cut_array(daemon.take(child.mark)))
    assert child.put(outcome)


def test_an_earlier_mark_reads_nothing():
    _, child, daemon = both_sides()
    child.put(b"\x01")
    early = child.mark
    child.put(b"\x02")
    assert [b"\x01", b"\x02"] == [bytes(one) for one in cut_array(daemon.take(child.mark))]
    assert not daemon.take(early)


@pytest.mark.parametrize("mark", [SIZE + 1, 5, (6 << 32) | 5])
def test_a_mark_that_cannot_be_is_refused(mark):
    _, _, daemon = both_sides()
    with pytest.raises(WireError):
        daemon.take(mark)
