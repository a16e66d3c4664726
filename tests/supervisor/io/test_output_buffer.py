"""What of a life's output is taken: bounded in time and in memory, everything else counted."""

from __future__ import annotations

import pytest

from actors.wire.log_lines import PRINTED, Lost, Record, lost_line, record_line
from supervisor.io.output_buffer import LAST_BYTES, LAST_LINES, MAX_BYTES, MAX_LINES, WINDOW, OutputBuffer


@pytest.fixture
def told():
    return []


@pytest.fixture
def buffer(told):
    return OutputBuffer(-1, lambda record: None, lambda lines, size: told.append((lines, size)))


def lines(count, size=10):
    return (b"x" * (size - 1) + b"\n") * count


def test_lines_are_taken_in_order(buffer):
    """Records and text, and half a line at the end."""
    record = Record("info", "it.happened", {})
    said = buffer.take(b"a\n" + record_line(record) + b"ha", 0) + buffer.take(b"lf", 0) + buffer.end(0)
    assert [Record("info", PRINTED, {"text": "a"}), record, Record("info", PRINTED, {"text": "half"})] == said
    assert Lost(0, 0) == buffer.lost


def test_a_flood_of_lines(buffer, told):
    """So many lines in a window, then none, all counted; they are told once."""
    assert MAX_LINES == len(buffer.take(lines(MAX_LINES + 30), 0.0))
    assert [] == buffer.take(lines(5), WINDOW / 2)
    assert Lost(35, 35 * 9) == buffer.lost
    buffer.tell_lost()
    buffer.tell_lost()
    assert [(35, 35 * 9)] == told


def test_an_awaited_line_in_a_flood(buffer):
    """It is taken, once, and not counted as lost; the first one only."""
    buffer.awaits = lambda line: line == b"up"
    buffer.take(lines(MAX_LINES), 0.0)
    said = buffer.take(lines(30) + b"up\n" + lines(30), 0.0)
    assert [Record("info", PRINTED, {"text": "up"})] == said
    assert Lost(60, 60 * 9) == buffer.lost


def test_a_flood_of_bytes(buffer):
    """The same for few lines that are long."""
    taken = buffer.take(lines(2 * MAX_BYTES // 4000, 4000), 0.0)
    assert MAX_BYTES - 4000 < sum(len(record.fields["text"]) for record in taken) <= MAX_BYTES
    assert 2 * MAX_BYTES // 4000 - len(taken) == buffer.lost.lines


def test_the_next_window(buffer):
    """When the time is over, lines are taken again."""
    buffer.written += len(buffer.take(lines(MAX_LINES + 1), 0.0))
    assert 7 == len(buffer.take(lines(7), WINDOW))
    assert 1 == buffer.lost.lines


def test_a_loop_that_does_not_write_down(buffer):
    """However much time passes, no more waits for it than one window holds."""
    for window in range(10):
        buffer.take(lines(MAX_LINES), window * WINDOW)
    assert MAX_LINES == buffer.taken
    assert 9 * MAX_LINES == buffer.lost.lines


def test_what_the_child_lost_is_added(buffer):
    """Taken or dropped itself, a line about losses counts for what it says."""
    assert [] == buffer.take(lost_line(Lost(3, 200)), 0.0)
    assert Lost(3, 200) == buffer.lost
    buffer.take(lines(MAX_LINES), 0.0)
    lost = buffer.lost.lines
    buffer.take(lost_line(Lost(4, 1)) + lines(100) + lost_line(Lost(5, 1)), 0.0)
    assert 4 + 100 + 5 == buffer.lost.lines - lost


def test_the_last_lines(buffer):
    """For the exit report: what went to standard error or past Python, bounded."""
    buffer.take(
        record_line(Record("warning", PRINTED, {"stream": "stderr", "text": "one"}))
        + record_line(Record("info", PRINTED, {"stream": "stdout", "text": "no"}))
        + record_line(Record("info", "no.text", {"text": "no"}))
        + b"\ntwo\nthree",
        0.0,
    )
    buffer.end(0.0)
    assert ("one", "two", "three") == buffer.last_lines()


def test_the_last_lines_are_few(buffer):
    """So many lines, so many bytes."""
    buffer.take(b"".join(b"%d\n" % number for number in range(100)), 0.0)
    assert tuple(str(number) for number in range(100 - LAST_LINES, 100)) == buffer.last_lines()
    buffer.take(lines(100, 4000), 0.0)
    assert 2 == len(buffer.last_lines()) == LAST_BYTES // 4000


def test_the_last_lines_of_a_flood(buffer):
    """Also of what was dropped the end is known."""
    buffer.take(lines(MAX_LINES), 0.0)
    buffer.take(lines(1000) + b"why it died\n", 0.0)
    assert "why it died" == buffer.last_lines()[-1]
