"""What of a life's output is taken: bounded in time and in memory, everything else counted."""

from __future__ import annotations

import pytest

from actors.wire.log_lines import LONGEST, PRINTED, PRINTED_ON, Lost, Record, lost_line, record_line
from supervisor.io.output_buffer import LAST_BYTES, LAST_LINES, LAST_OF_LINE, MAX_BYTES, MAX_LINES, WINDOW, OutputBuffer


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
    assert ("x" * LAST_OF_LINE,) * (LAST_BYTES // LAST_OF_LINE) == buffer.last_lines()


def part(text, stream="stderr", event=PRINTED_ON):
    return record_line(Record("warning", event, {"stream": stream, "text": text}))


def end(text, stream="stderr"):
    return part(text, stream, PRINTED)


def texts(records):
    assert {PRINTED} >= {record.event for record in records}
    return [record.fields["text"] for record in records]


def test_a_long_line_is_one(buffer):
    """Records that belong together are one line, however they come; so it is in the exit report."""
    said = part("a" * 3000) + part("b" * 3000) + end("c") + end("next")
    taken = [record for at in range(0, len(said), 1000) for record in buffer.take(said[at : at + 1000], 0.0)]
    assert ["a" * 3000 + "b" * 3000 + "c", "next"] == texts(taken)
    assert 2 == buffer.taken
    assert (("a" * 3000 + "b" * 3000 + "c")[-LAST_OF_LINE:], "next") == buffer.last_lines()


@pytest.mark.parametrize(
    "between",
    [
        b"text\n",
        end("other", "stdout"),
        record_line(Record("info", "it.happened", {"text": "x"})),
        lost_line(Lost(1, 9)),
    ],
    ids=["text", "the other stream", "a record", "what was lost"],
)
def test_what_comes_between_ends_a_line(buffer, between):
    """Nothing of it is lost, and nothing is taken for its rest."""
    taken = buffer.take(part("begin") + between + end("rest"), 0.0)
    assert ["begin", "rest"] == [taken[0].fields["text"], taken[-1].fields["text"]]
    assert PRINTED == taken[0].event


def test_a_line_that_does_not_end(buffer):
    """It is taken when it is longer than any line may be, when its process ends, and when the next one is dropped."""
    (taken,) = texts(buffer.take(part("x" * 3000) * (2 + LONGEST // 3000), 0.0))
    assert LONGEST <= len(taken) < LONGEST + 3000
    assert ["x" * 3000] == texts(buffer.end(0.0))
    assert ["begun"] == texts(buffer.take(part("begun") + lines(MAX_LINES), 0.0))[:1]
    assert [] == buffer.take(part("begun") + end("rest"), 0.0)
    assert [] == buffer.end(0.0)


def test_a_record_of_that_name_without_a_text(buffer):
    """An actor's log may have any event."""
    strange = record_line(Record("info", PRINTED_ON, {}))
    assert 1 == len(buffer.take(strange + strange + end("x", None), 0.0))


def test_the_last_lines_of_a_flood(buffer):
    """Also of what was dropped the end is known."""
    buffer.take(lines(MAX_LINES), 0.0)
    buffer.take(lines(1000) + b"why it died\n", 0.0)
    assert "why it died" == buffer.last_lines()[-1]
