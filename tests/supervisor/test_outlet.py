"""Outlet: frames leave whole and in order, whatever the kernel takes, and a little at a time."""

from __future__ import annotations

import random
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.framing import Framer, Parcel
from supervisor.outlet import AT_ONCE, Outlet


class Watcher:
    """Stands for the reader: whoever waits for room is called by the test."""

    def __init__(self):
        self.waiting = []

    def once_writable(self, fd, on_ready):
        self.waiting.append(on_ready)


class Way:
    """An outlet, the other end of its socket, and what came out there."""

    def __init__(self, buffer=8192):
        self.mine, self.theirs = socket.socketpair()
        self.mine.setblocking(False)
        self.theirs.setblocking(False)
        self.mine.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.watcher = Watcher()
        self.room = 0
        self.outlet = Outlet(self.mine, self.watcher, self._on_room)
        self._framer = Framer()
        self.came = []

    def _on_room(self):
        self.room += 1

    def read(self):
        """Everything that lies in the socket."""
        size = 0
        while True:
            try:
                chunk = self.theirs.recv(1 << 20)
            except BlockingIOError:
                return size
            size += len(chunk)
            for frame in self._framer.feed(chunk):
                self.came.append(frame.joined() if isinstance(frame, Parcel) else bytes(frame))

    def flow(self):
        """Read and let it write until nothing waits."""
        while self.outlet.backlog:
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
        st.integers(1, 300_000).map(lambda size: ("parcel", random.Random(size).randbytes(size))),
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
            way.outlet.send(data)
            expected.append(data)
        elif how == "around":
            way.outlet.send_around(b"<", memoryview(data), b">")
            expected.append(b"<" + data + b">")
        else:
            way.outlet.send_with([Parcel((data[: len(data) // 2], data[len(data) // 2 :]))], b"after")
            expected += [data, b"after"]
    way.flow()
    way.close()
    assert expected == way.came


def test_a_turn_writes_only_a_little():
    """However much the kernel would take, what is large leaves in several turns of the loop."""
    way = Way(buffer=64 * AT_ONCE)
    data = bytes(3 * AT_ONCE)
    way.outlet.send_around(b"", memoryview(data), b"")
    assert way.read() <= AT_ONCE
    assert [way.outlet._go_on] == way.watcher.waiting
    way.flow()
    way.close()
    assert [data] == way.came


def test_room_is_told_once_all_has_left(way):
    """Whoever waited because of congestion hears of room when nothing waits any more; who did not wait, does not."""
    way.outlet.send(b"small")
    assert 0 == way.room
    way.outlet.send(bytes(100_000))
    assert way.outlet.backlog
    way.flow()
    assert 1 == way.room


def test_nothing_is_sent_to_one_that_is_gone(way):
    """A peer that died takes nothing, and what comes later is dropped without a word."""
    way.theirs.close()
    way.outlet.send(b"into the void")
    way.outlet.send_with([Parcel((bytes(100_000),))], b"more")
    assert not way.outlet.backlog
    way.outlet.close()
    way.outlet.send_around(b"", memoryview(b"x"), b"")
    assert not way.outlet.backlog
    assert [] == way.watcher.waiting
