"""An actor's standard streams: text streams like any other, whose lines leave as records."""

from __future__ import annotations

import io
import os
import sys
import threading

import pytest

from actors.ipc.output_pipe import OutputPipe
from actors.output.stdio import LineWriter
from actors.wire.log_lines import LONG, PRINTED, Joiner, Lines, read_line


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    output_pipe = OutputPipe(os.dup(writing))
    output_pipe.open()
    yield output_pipe, reading, writing
    output_pipe.close()
    for fd in (reading, writing):
        os.close(fd)


@pytest.fixture
def out(pipe):
    output_pipe, _, writing = pipe
    return LineWriter(output_pipe, writing, "stdout", "info")


@pytest.fixture
def heard(pipe):
    lines, joiner = Lines(), Joiner()

    def hear():
        try:
            said = [said for line in lines.feed(os.read(pipe[1], 1 << 20)) for said in read_line(line)]
        except BlockingIOError:
            return []
        return [whole.fields["text"] for record in said for whole in joiner.feed(record)]

    return hear


def test_a_line_leaves_when_it_is_complete(out, heard):
    """Half a line waits for its other half."""
    assert 4 == out.write("half")
    assert [] == heard()
    out.write(" a line\nand another\nand")
    assert ["half a line", "and another"] == heard()


def test_print(out, heard):
    """All that print can do."""
    print("a", 1, sep="-", file=out)
    print(file=out)
    print("b", end="", flush=True, file=out)
    print("c", end="!\n", file=out)
    assert ["a-1", "", "b", "c!"] == heard()


def test_the_record(pipe):
    """It says which stream it came from, at that stream's level."""
    output_pipe, reading, writing = pipe
    print("words", file=LineWriter(output_pipe, writing, "stderr", "warning"))
    (record,) = read_line(os.read(reading, 9999).rstrip(b"\n"))
    assert ("warning", PRINTED, {"stream": "stderr", "text": "words"}) == (record.level, record.event, record.fields)


def test_a_flush_sends_half_a_line_once(out, heard):
    """And nothing when there is nothing."""
    out.write("half")
    out.flush()
    out.flush()
    assert ["half"] == heard()


def test_a_long_line_does_not_wait_for_its_end(out, pipe):
    """What is long leaves in pieces that are each one write."""
    for _ in range(10):
        out.write("x" * (LONG // 3))
    found = [read_line(line) for line in Lines().feed(os.read(pipe[1], 1 << 20))]
    assert 3 == len(found)
    assert {LONG} == {len(record.fields["text"]) for (record,) in found}


@pytest.mark.parametrize("size", [LONG - 1, LONG, LONG + 1, 2 * LONG + 7])
@pytest.mark.parametrize("step", [999, 10 * LONG])
@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_long_line_is_one(out, heard, size, step, letter):
    """However it is written, it is put together again, and so is one that is flushed."""
    whole = letter * size
    for end in ("\n", ""):
        for at in range(0, size, step):
            out.write(whole[at : at + step])
        out.write(end)
        out.flush()
    print("next", file=out)
    assert [whole, whole, "next"] == heard()


def test_what_utf8_cannot_carry(out, heard):
    """A file name that is not a text is written with its bytes escaped."""
    print("caf\udce9 \N{BLACK STAR}", file=out)
    assert ["caf\\udce9 \N{BLACK STAR}"] == heard()


def test_a_progress_bar(out, heard):
    """Carriage returns at the end are no text."""
    out.write("10 %\r")
    out.flush()
    assert ["10 %"] == heard()


def test_it_is_a_text_stream(out, pipe):
    """What code asks of sys.stdout has the usual answers."""
    assert isinstance(out, io.TextIOBase)
    assert (True, False, False, False) == (out.writable(), out.readable(), out.seekable(), out.isatty())
    assert (pipe[2], "utf-8", "backslashreplace") == (out.fileno(), out.encoding, out.errors)
    out.reconfigure(line_buffering=True)
    out.writelines(["a\n", "b\n"])
    with pytest.raises(TypeError):
        out.write(b"bytes")
    with pytest.raises(io.UnsupportedOperation):
        out.read()


def test_its_buffer_takes_bytes(out, heard):
    """Bytes go straight to the descriptor."""
    assert 6 == out.buffer.write(b"bytes\n")
    out.buffer.flush()
    assert ["bytes"] == heard()


def test_closed(out, pipe, heard):
    """As any file; half a line leaves first, and the descriptor stays."""
    out.write("half")
    out.close()
    assert ["half"] == heard()
    for attempt in (lambda: out.write("x"), out.flush):
        with pytest.raises(ValueError, match="closed file"):
            attempt()
    os.write(pipe[2], b"open\n")
    assert ["open"] == heard()


def test_a_write_inside_a_write(out, heard, monkeypatch):
    """A signal handler or finaliser that prints in the middle of a print does not hang."""
    say = out._output_pipe.say

    def interrupted(*args):
        monkeypatch.setattr(out._output_pipe, "say", say)
        print("inside", file=out)
        say(*args)

    monkeypatch.setattr(out._output_pipe, "say", interrupted)
    print("outside", file=out)
    assert {"inside", "outside"} == set(heard())


def test_threads(out, heard):
    """Lines written in one piece stay whole."""
    threads = [threading.Thread(target=lambda n=name: [out.write(f"{n * 20}\n") for _ in range(100)]) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(name * 20 for name in "abc" for _ in range(100)) == sorted(heard())


def test_tracebacks(out, heard, monkeypatch):
    """What the interpreter prints on standard error comes as lines."""
    monkeypatch.setattr(sys, "stderr", out)
    try:
        raise KeyError("x")
    except KeyError:
        sys.excepthook(*sys.exc_info())
    found = heard()
    assert ("Traceback (most recent call last):", "KeyError: 'x'") == (found[0], found[-1])
