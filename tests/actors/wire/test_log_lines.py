"""What a process writes, cut into lines: the same however it is chunked, bounded, and text unless it is a record."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from actors.wire.log_lines import (
    LONG,
    LONGEST,
    MAX_LINE,
    PRINTED,
    Lines,
    Lost,
    Record,
    lost_line,
    pieces,
    read_line,
    record_line,
)

texts = some.text(some.characters(codec="utf-8"))
values = (
    some.none()
    | some.booleans()
    | some.integers(-(2**63), 2**63)
    | some.floats(allow_nan=False, allow_infinity=False)
    | texts
)
records = some.builds(Record, texts, texts, some.dictionaries(texts, values, max_size=5))


def text(line):
    return Record("info", PRINTED, {"text": line})


def cut(*chunks):
    lines = Lines()
    return [line for chunk in chunks for line in lines.feed(chunk)] + lines.end()


@given(some.lists(some.binary(max_size=30)), some.binary(max_size=3))
def test_any_chunking_gives_the_same_lines(chunks, end):
    """Where one read ended and the next began leaves no trace."""
    everything = b"".join([*chunks, end])
    assert cut(everything) == cut(*chunks, end)
    assert everything.removesuffix(b"\n") == b"\n".join(cut(everything)) or not everything.strip(b"\n")


@given(some.integers(0, 3 * LONGEST + 2), some.integers(LONGEST // 50, 2 * LONGEST))
def test_a_long_line_goes_on_in_the_next(size, step):
    """However long it is and however it comes, nothing of it is lost and no piece is too long."""
    whole = b"%d" % 7 * size
    chunks = [whole[at : at + step] for at in range(0, size, step)]
    lines = cut(*chunks, b"\n", b"next\n")
    assert [whole, b"next"] == [b"".join(lines[:-1]), lines[-1]]
    assert LONGEST >= max(map(len, lines))
    assert max(1, -(-size // LONGEST)) + 1 == len(lines)


@given(records)
def test_a_record_comes_back(record):
    """What was said is what is read."""
    (line,) = cut(record_line(record))
    assert [record] == read_line(line)


def test_losses_come_back():
    """The same for what was lost."""
    assert [Lost(3, 200)] == read_line(*cut(lost_line(Lost(3, 200))))


def test_a_record_behind_half_a_line():
    """Half a line of text that a C library left is text, and the record behind it a record."""
    record = Record("info", "it.happened", {})
    assert [[text("half"), record], [text("the rest")]] == [
        read_line(line) for line in cut(b"half" + record_line(record) + b"the rest\n")
    ]


@given(some.binary(max_size=200))
def test_garbage_is_text(line):
    """Whatever a process writes, reading it raises nothing and yields something that can be logged."""
    for said in read_line(line.replace(b"\n", b"")):
        assert isinstance(said, Record | Lost)
        msgspec.json.encode(said)


@pytest.mark.parametrize(
    "line",
    [
        b"\0",
        b"\0[]",
        b'\0["info"]',
        b'\0["info","e",{"a":[1]}]',
        b"\0" + b"[" * 4000,
        b'\1["x",2]',
        b'\0["\xff","e",{}]',
    ],
    ids=str,
)
def test_what_only_begins_like_a_record(line):
    """It is text, mark and all."""
    assert [text(line.decode("utf-8", "backslashreplace"))] == read_line(line)


@pytest.mark.parametrize("size", [LONG, 10 * MAX_LINE])
@pytest.mark.parametrize("letter", ["x", '"', "\0", "é", "😀"])
def test_a_record_fits_into_one_write(size, letter):
    """A text that is too long is cut in its middle and says so; what stands at its end is kept."""
    line = record_line(Record("error", "it.failed", {"traceback": letter * size + " KeyError: 'x'", "more": 1}))
    assert len(line) <= MAX_LINE
    (record,) = read_line(line.rstrip(b"\n"))
    assert ("it.failed", 1) == (record.event, record.fields["more"])
    if size > LONG:
        assert " characters cut]" in record.fields["traceback"]
    assert record.fields["traceback"].endswith("KeyError: 'x'")


def test_a_record_with_very_many_fields():
    """Where even short fields do not fit, their number is left."""
    line = record_line(Record("info", "e" * 9000, {str(number): number for number in range(9000)}))
    assert len(line) <= MAX_LINE
    (record,) = read_line(line.rstrip(b"\n"))
    assert {"cut": 9000} == record.fields


@given(some.text(some.characters(codec="utf-8"), max_size=50), some.integers(1, 300))
def test_pieces_of_a_text(part, times):
    """Put together again they are the text, and each fits into a record as it is."""
    whole = part * times
    found = list(pieces(whole))
    assert whole == "".join(found)
    for piece in found:
        assert [Record("info", PRINTED, {"stream": "stdout", "text": piece})] == read_line(
            record_line(Record("info", PRINTED, {"stream": "stdout", "text": piece})).rstrip(b"\n")
        )
