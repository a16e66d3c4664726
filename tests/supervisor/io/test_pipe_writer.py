"""Outlet: frames leave whole and in order, whatever the kernel takes, and a little at a time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ipc.pipes import Duplex
from actors.wire.framing import Attachment, Framer
from supervisor.io import pipe_writer
from supervisor.process.channel import FrameWriter
from supervisor.system.pipe_budget import CAPACITY


class Watcher:
    """Stands for the reader: the test calls what waits for room."""

    def __init__(self):
        self.waiting = []

    def once_writable(self, fd, on_ready):
        self.waiting.append(on_ready)


class Way:
    """An outlet, the other end of its channel, and what came out there."""

    def __init__(self):
        self.mine, self.theirs = Duplex.pair()
        self.mine.set_blocking(blocking=False)
        self.theirs.set_blocking(blocking=False)
        self.watcher = Watcher()
        self.room = 0
        self.full = []
        self.broken = 0
        self.pipe_writer = FrameWriter(self.mine, self.watcher, self._on_room, self.full.append, self._on_broken)
        self._framer = Framer()
        self.came = []

    def _on_room(self):
        self.room += 1

    def _on_broken(self, error):
        self.broken += 1

    def read(self):
        """Everything that lies in the channel."""
        size = 0
        while True:
            try:
                chunk = self.theirs.recv(1 << 20)
            except BlockingIOError:
                return size
            size += len(chunk)
            for frame in self._framer.feed(chunk):
                self.came.append(frame.value if isinstance(frame, Attachment) else bytes(frame))

    def flow(self):
        """Read and let it write until nothing waits."""
        while self.pipe_writer.backlog:
            self.read()
            (go_on,) = self.watcher.waiting
            self.watcher.waiting.clear()
            go_on()
        self.read()

    def close(self):
        self.mine.close()
        self.theirs.close()


@pytest.fixture
def way():
    made = Way()
    yield made
    made.close()


FRAMES = st.lists(
    st.one_of(
        st.binary(max_size=2_000).map(lambda data: ("small", data)),
        st.integers(0, 300_000).map(lambda size: ("around", random.Random(size).randbytes(size))),
        st.integers(1, 300_000).map(lambda size: ("attachment", random.Random(size).randbytes(size))),
    ),
    max_size=8,
)


@given(FRAMES)
def test_in_order_and_whole(frames):
    """Whatever is sent in whatever way arrives as it was, in the order sent."""
    way = Way()
    expected = []
    for how, data in frames:
        if how == "small":
            way.pipe_writer.send_joined(data, ())
            expected.append(data)
        elif how == "around":
            way.pipe_writer.send_around(b"<", memoryview(data), b">")
            expected.append(b"<" + data + b">")
        else:
            way.pipe_writer.send_with([Attachment(data)], b"after")
            expected += [data, b"after"]
    way.flow()
    way.close()
    assert expected == way.came


def test_a_turn_writes_only_a_little(way, monkeypatch):
    """However much the kernel would take, what is large leaves in several turns of the loop."""
    monkeypatch.setattr(pipe_writer, "AT_ONCE", 10_000)
    data = bytes(30_000)
    way.pipe_writer.send_around(b"", memoryview(data), b"")
    assert 10_000 == way.read()
    assert [way.pipe_writer._go_on] == way.watcher.waiting
    way.flow()
    assert [data] == way.came


def test_room_is_told_once_all_has_left(way):
    """A life that waited because of congestion hears of room when nothing waits any more; others do not."""
    way.pipe_writer.send_joined(b"small", ())
    assert 0 == way.room
    way.pipe_writer.send_joined(bytes(2 * CAPACITY), ())
    assert way.pipe_writer.backlog
    way.flow()
    assert 1 == way.room


def test_nothing_is_sent_to_one_that_is_gone(way):
    """A peer that does not read takes nothing; that is told once, and what comes later is dropped without a word."""
    way.theirs.close()
    way.pipe_writer.send_joined(b"into the void", ())
    way.pipe_writer.send_joined(b"again", ())
    way.pipe_writer.send_with([Attachment(bytes(100_000))], b"more")
    way.pipe_writer.send_around(b"", memoryview(b"x"), b"")
    assert not way.pipe_writer.backlog
    assert [] == way.watcher.waiting
    assert 1 == way.broken


def test_one_that_does_not_read_is_given_up(way, monkeypatch):
    """There is a bound to what may wait for it."""
    monkeypatch.setattr(pipe_writer, "MAX_BYTES", 3 * CAPACITY)
    for _ in range(5):
        way.pipe_writer.send_joined(bytes(CAPACITY), ())
    (why,) = way.full
    assert why.startswith("it does not read: ")
    assert not way.pipe_writer.backlog
