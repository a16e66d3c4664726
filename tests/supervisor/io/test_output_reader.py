"""The thread that reads what actors write, and the loop that writes it down."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from supervisor.io import output_reader as room
from supervisor.io import selector_thread
from supervisor.io.output_buffer import MAX_LINES, OutputBuffer
from supervisor.io.output_reader import SLICE, OutputReader
from tests.support.waiting import DEADLINE, until, until_now


@pytest.fixture
async def output_reader():
    made = OutputReader(asyncio.get_running_loop(), name="output-under-test")
    yield made
    made.close()
    assert not made._thread.is_alive()


class Life:
    """A pipe, and what the loop was told of it."""

    def __init__(self, output_reader):
        reading, self.writing = os.pipe()
        os.set_blocking(reading, False)
        self.said = []
        self.lost = []
        self.threads = set()
        self.over = asyncio.Event()
        self.buffer = OutputBuffer(reading, self.wrote, lambda lines, size: self.lost.append(lines))
        self.output_reader = output_reader
        output_reader.follow(self.buffer)

    def wrote(self, record):
        self.threads.add(threading.current_thread())
        self.said.append(record.fields["text"])

    async def end(self):
        self.output_reader.finish(self.buffer, self.over.set)
        async with asyncio.timeout(DEADLINE):
            await self.over.wait()


@pytest.fixture
async def life(output_reader):
    made = Life(output_reader)
    yield made
    os.close(made.writing)
    if not made.over.is_set():
        await made.end()


def write(fd, lines):
    """Write from a thread, as a process would."""
    thread = threading.Thread(target=lambda: [os.write(fd, b"%d\n" % number) for number in range(lines)])
    thread.start()
    return thread


async def test_lines_arrive_on_the_loop(life):
    """In order, on the loop's thread."""
    write(life.writing, 1000).join()
    await until(lambda: len(life.said) == 1000)
    assert [str(number) for number in range(1000)] == life.said
    assert {threading.main_thread()} == life.threads


async def test_the_end_does_not_wait_for_the_end_of_the_pipe(life):
    """Another process holds the writing end; what lies there is read, half lines too, before the end is told."""
    os.write(life.writing, b"a\nlast words")
    await life.end()
    assert ["a", "last words"] == life.said
    assert ("a", "last words") == life.buffer.last_lines()
    with pytest.raises(BrokenPipeError):
        os.write(life.writing, b"too late")


async def test_a_writer_that_does_not_stop_cannot_delay_the_end(output_reader, life):
    """A grandchild that keeps the pipe full is left behind."""
    over = threading.Event()

    def flood():
        while not over.is_set():
            try:
                os.write(life.writing, b"x" * 999 + b"\n")
            except BrokenPipeError:
                return

    thread = threading.Thread(target=flood)
    thread.start()
    await until(lambda: life.said)
    await life.end()
    over.set()
    thread.join()


async def test_the_end_of_the_pipe(output_reader):
    """An actor that closes its descriptors is no reason to spin."""
    life = Life(output_reader)
    os.write(life.writing, b"bye\n")
    os.close(life.writing)
    await until(lambda: life.said)
    assert ["bye"] == life.said
    await until(lambda: life.buffer.fd not in output_reader._followed)
    await life.end()


async def test_a_flood_leaves_the_loop_its_time(life):
    """Lines that are slow to write down are written a few at a time; others have their turn in between."""
    turns = 0

    def slow(record):
        life.said.append(record.fields["text"])
        until_then = time.perf_counter() + SLICE / 4
        while time.perf_counter() < until_then:
            pass

    life.buffer.on_record = slow
    write(life.writing, 2000).join()
    while len(life.said) < 2000:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2000 / 20


async def test_a_blocked_loop_stalls_no_writer(life):
    """While the loop does nothing, ten MiB go through; what was too much is counted when it is back."""
    count = 10 * 1024 * 1024 // 100
    thread = threading.Thread(target=lambda: [os.write(life.writing, b"x" * 99 + b"\n") for _ in range(count)])
    thread.start()
    thread.join(DEADLINE)  # the loop's own thread stands still meanwhile
    assert not thread.is_alive()
    assert [] == life.said
    await life.end()
    await until(lambda: MAX_LINES == len(life.said))
    assert count - MAX_LINES == sum(life.lost)


async def test_losses_are_told_while_they_go_on(life, monkeypatch):
    """Not for each line, and without waiting for more."""
    monkeypatch.setattr(room, "NOTICE", 0.01)
    write(life.writing, MAX_LINES + 500).join()
    await until(lambda: sum(life.lost) == 500)
    assert len(life.lost) < 50


async def test_what_waits_at_the_end_of_the_tree_is_counted(monkeypatch):
    """Closing takes no longer than its slice; nothing is lost silently."""
    monkeypatch.setattr(room, "LAST_SLICE", 0.0)
    output_reader = OutputReader(asyncio.get_running_loop())
    life = Life(output_reader)
    life.buffer.on_record = lambda record: (life.said.append(record), time.sleep(0.003))
    write(life.writing, 300).join()
    until_now(lambda: life.buffer.taken == 300)
    output_reader.finish(life.buffer, life.over.set)
    output_reader.close()
    os.close(life.writing)
    assert 300 == len(life.said) + sum(life.lost)
    assert len(life.said) < 5


async def test_one_line_that_cannot_be_written_keeps_no_other_from_it(life):
    """The error goes to the loop's handler."""
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    good = life.buffer.on_record

    def picky(record):
        if record.fields["text"] == "1":
            raise ZeroDivisionError
        good(record)

    life.buffer.on_record = picky
    write(life.writing, 3).join()
    await until(lambda: "2" in life.said)
    assert ["0", "2"] == life.said
    assert [ZeroDivisionError] == [type(error) for error in told]


def test_a_loop_that_was_closed_without_it(monkeypatch):
    """The thread ends by itself and gives its descriptors back."""
    monkeypatch.setattr(selector_thread, "ORPHAN_CHECK", 0.01)
    loop = asyncio.new_event_loop()

    async def begin():
        output_reader = OutputReader(loop)
        return output_reader, Life(output_reader)

    output_reader, life = loop.run_until_complete(begin())
    loop.close()
    until_now(lambda: not output_reader._thread.is_alive())
    os.close(life.writing)
    output_reader.abandon()


async def test_of_lives_that_end_together_one_is_told_in_a_turn_of_the_loop(output_reader):
    """What follows a death takes its time, and other things run in between."""
    loop, lives, seen = asyncio.get_running_loop(), [Life(output_reader) for _ in range(4)], []

    def turn():
        seen.append("turn")
        if seen.count("told") < len(lives):
            loop.call_soon(turn)

    read = threading.Event()
    for life in lives:
        os.close(life.writing)
        output_reader.finish(life.buffer, lambda: seen.append("told"))
    output_reader._thread.order(read.set)
    assert read.wait(DEADLINE)  # the loop stands still until all are read
    turn()
    await until(lambda: seen.count("told") == len(lives))
    assert "told told" not in " ".join(seen)
