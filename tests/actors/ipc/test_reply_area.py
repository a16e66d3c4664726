"""Replies in shared memory: what one side writes the other reads, once, whatever the order of looks."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import WireError
from actors.ipc.reply_area import AREA, MOST, RUN, SIZE, ReplyArea
from actors.ipc.reply_cells import CLOSING
from actors.wire.codec import encode
from supervisor.core.delivery.parcel import array_head, cut_array


def both_sides() -> tuple[bytearray, ReplyArea, ReplyArea]:
    memory = bytearray(AREA)
    done = memoryview(bytearray(8)).cast("Q")
    return memory, ReplyArea(memoryview(memory), done), ReplyArea(memoryview(memory), done)


def taken(daemon: ReplyArea, mark: int) -> list[bytes]:
    count, body = daemon.take(mark)
    return [bytes(item) for item in cut_array(array_head(count) + body)]


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
            read += taken(daemon, child.mark)
    read += taken(daemon, child.mark)
    assert written == read
    assert (0, b"") == daemon.take(child.mark)


def test_what_finds_no_room_is_refused_until_something_is_read():
    _, child, daemon = both_sides()
    outcome = encode(bytes(1000))
    kept = 0
    while child.put(outcome):
        kept += 1
    assert (SIZE - CLOSING) // len(outcome) == kept
    assert kept == len(taken(daemon, child.mark))
    assert child.put(outcome)


def test_an_earlier_mark_reads_nothing():
    _, child, daemon = both_sides()
    child.put(b"\x01")
    early = child.mark
    child.put(b"\x02")
    assert [b"\x01", b"\x02"] == taken(daemon, child.mark)
    assert not taken(daemon, early)


@pytest.mark.parametrize("mark", [SIZE + 1, 5, (6 << 32) | 5])
def test_a_mark_that_cannot_be_is_refused(mark):
    _, _, daemon = both_sides()
    with pytest.raises(WireError):
        daemon.take(mark)


def test_replies_to_consecutive_messages_take_no_more_than_their_own_bytes():
    """A head says which message is the first, and where outcomes follow."""
    _, child, daemon = both_sides()
    assert all(child.put_reply(seq, encode(seq * 10)) for seq in (5, 6, 7, 9))
    assert child.put(b"\x01")
    assert child.put(b"\x02")
    assert child.put_reply(10, b"\x03")

    def head(seq):
        return RUN + seq.to_bytes(8, "big")

    replies = [encode(seq * 10) for seq in (5, 6, 7, 9)]
    items = [head(5), *replies[:3], head(9), replies[3], head(0), b"\x01", b"\x02", head(10), b"\x03"]
    assert items == taken(daemon, child.mark)


def test_a_reply_that_looks_like_a_head_is_refused():
    _, child, _ = both_sides()
    assert not child.put_reply(1, encode(msgspec.msgpack.Ext(127, bytes(8))))
    assert child.put_reply(1, b"\x01")
    assert not child.put_reply(2, encode(msgspec.msgpack.Ext(127, bytes(8))))
