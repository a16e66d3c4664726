"""Replies in cells: what the ring says of them, and that no cell is written again before it was read."""

from __future__ import annotations

import math

import pytest

from actors.ipc.reply_area import AREA, ReplyArea
from actors.ipc.reply_cells import CELLS, CLOSE, CLOSING, COUNT
from supervisor.core.delivery.parcel import array_head, cut_array


class Both:
    """Both sides of one area."""

    def __init__(self) -> None:
        memory = memoryview(bytearray(AREA))
        self.done = memoryview(bytearray(8)).cast("Q")
        self.child, self.daemon = ReplyArea(memory, self.done), ReplyArea(memory, self.done)

    def keep(self, first: int, values: list) -> None:
        """The handlers of consecutive messages return."""
        cells, shift = self.child.open_run(first, len(values), type(values[0])) or pytest.fail("no room")
        for seq, value in enumerate(values, first):
            cells[seq + shift] = 0 if value is None else value
            self.done[0] = seq

    def items(self) -> list[bytes]:
        count, body = self.daemon.take(self.child.mark)
        return [bytes(item) for item in cut_array(array_head(count) + body)]

    def taken(self) -> list:
        """The replies that the ring names, and the cells have."""
        found = []
        for item in self.items():
            if item.startswith(CELLS):
                position, kind = int.from_bytes(item[10:17], "big"), item[17]
            else:
                assert item.startswith(CLOSE)
                found += self.daemon.cells.read(position, int.from_bytes(item[2:], "big"), kind)
        return found


@pytest.mark.parametrize(
    "values",
    [[0, -1, 2**63 - 1, -(2**63)], [True, False, True], [None, None], [0.0, -0.0, 1e300, math.inf, 5e-324]],
)
def test_each_kind_of_number_is_read_as_it_was(values):
    both = Both()
    both.keep(7, values)
    both.child.end_run()
    read = both.taken()
    assert [(type(one), repr(one)) for one in values] == [(type(one), repr(one)) for one in read]


def test_a_checkpoint_lets_the_daemon_read_so_far_and_the_run_goes_on():
    both = Both()
    cells, shift = both.child.open_run(5, 4, int) or pytest.fail("no room")
    both.child.checkpoint()
    assert 1 == len(both.items())  # nothing was done
    for seq in (5, 6):
        cells[seq + shift] = seq
        both.done[0] = seq
    both.child.checkpoint()
    closing, opening = both.items()
    assert (CLOSE + (2).to_bytes(8, "big"), (7).to_bytes(8, "big")) == (closing, opening[2:10])
    cells[7 + shift] = 70
    both.done[0] = 7
    both.child.end_run()
    both.child.end_run()
    assert [CLOSE + (1).to_bytes(8, "big")] == both.items()
    assert [70] == both.daemon.cells.read(int.from_bytes(opening[10:17], "big"), 1, opening[17])


def test_cells_are_used_again_when_they_were_read():
    """Over many rounds; a run does not go around the end."""
    both = Both()
    seq = 1
    for size in [1000] * 30:
        both.keep(seq, values := list(range(seq, seq + size)))
        both.child.end_run()
        assert values == both.taken()
        seq += size


def test_what_finds_no_cell_or_no_room_in_the_ring_is_not_kept_here():
    both = Both()
    for first in range(1, COUNT, 1024):
        both.keep(first, [0] * 1024)
        both.child.end_run()
    assert both.child.open_run(COUNT + 1, 1, int) is None
    assert [0] * COUNT == both.taken()
    assert both.child.open_run(COUNT + 1, 1, str) is None
    assert both.child.open_run(COUNT + 1, 1024, int) is not None
    both.child.end_run()
    while both.child.put(bytes(500)) or both.child.put(b"\x01"):
        pass
    assert both.child.open_run(COUNT + 1, 1, int) is None


def test_the_end_of_an_open_run_always_fits():
    both = Both()
    both.keep(1, [5])
    while both.child.put(bytes(500)) or both.child.put(b"\x01"):
        pass
    both.child.checkpoint()  # has no room, and is left out
    before = both.child.mark
    both.child.end_run()
    assert before != both.child.mark
    assert CLOSING >= len(CLOSE) + 8
