"""The reader thread: what it tells, to whom, and that it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import threading
import time

import pytest

from supervisor.io import selector_thread, thread_reader
from supervisor.io.fds import CHUNK
from supervisor.io.loop_reader import LoopReader
from supervisor.io.thread_reader import PAUSE_AT, Stream, ThreadReader
from tests.support.spawning import DEADLINE, open_descriptors
from tests.support.waiting import until_now


@pytest.fixture
async def reader():
    made = ThreadReader(asyncio.get_running_loop(), name="reader-under-test")
    yield made
    made.close()
    assert not made._thread.is_alive()


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


async def test_once_is_told_once_on_the_loop(reader, pipe):
    """Readiness is told on the loop's thread, and the descriptor is then left alone."""
    threads, told = [], asyncio.Event()

    def ready():
        threads.append(threading.current_thread())
        told.set()

    reader.once(pipe[0], ready)
    os.write(pipe[1], b"x")
    async with asyncio.timeout(DEADLINE):
        await told.wait()
        told.clear()
        reader.once(pipe[0], ready)  # still readable
        await told.wait()
    assert [threading.main_thread()] * 2 == threads


async def test_readiness_belongs_to_what_was_watched_then(monkeypatch, pipe):
    """A descriptor is forgotten while its readiness is on its way; what gets its number next is not taken for ready."""
    held, on_its_way, told, passed = threading.Event(), threading.Event(), [], asyncio.Event()

    class Held(selector_thread.Poller):
        def wait(self, timeout):
            ready = super().wait(timeout)
            if pipe[0] in dict(ready) and not held.is_set():
                on_its_way.set()
                held.wait(DEADLINE)
                return [reader._thread._rung, *ready]
            return ready

    monkeypatch.setattr(selector_thread, "Poller", Held)
    reader = ThreadReader(asyncio.get_running_loop())
    quiet, barrier = os.pipe(), os.pipe()
    reader.once(pipe[0], lambda: told.append("before"))
    os.write(pipe[1], b"x")
    await asyncio.to_thread(on_its_way.wait, DEADLINE)
    reader.forget(pipe[0], close=lambda: os.dup2(quiet[0], pipe[0]))
    reader.once(pipe[0], lambda: told.append("after"))
    held.set()
    os.write(barrier[1], b"x")
    reader.once(barrier[0], passed.set)
    async with asyncio.timeout(DEADLINE):
        await passed.wait()
    reader.close()
    for fd in (*quiet, *barrier):
        os.close(fd)
    assert not told


async def test_forgotten_is_not_told(reader, pipe):
    """After forget() there is no callback, even when the readiness is on its way."""
    told, passed = [], asyncio.Event()
    os.write(pipe[1], b"x")
    reader.once(pipe[0], lambda: told.append(1))
    reader.forget(pipe[0])
    other = os.dup(pipe[0])
    reader.once(other, passed.set)
    async with asyncio.timeout(DEADLINE):
        await passed.wait()
    os.close(other)
    assert told == []


async def test_a_stream_is_read_to_its_end(reader):
    """Every byte arrives in order, then its end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    chunks, ended = [], asyncio.Event()

    reader.stream(ours, chunks.append, ended.set)
    await asyncio.to_thread(theirs.sendall, bytes(range(256)) * 2000)
    theirs.close()
    async with asyncio.timeout(DEADLINE):
        await ended.wait()
    assert bytes(range(256)) * 2000 == b"".join(chunks)
    reader.forget(ours.fileno(), close=ours.close)


async def test_a_stream_is_read_on_when_the_loop_caught_up_before_it_paused(reader, monkeypatch):
    """The thread decides to pause, the loop processes everything that was read, and then the stream pauses."""
    pausing = threading.Event()

    class CaughtUp(Stream):
        @property
        def paused(self):
            return self.__dict__.get("is_paused", False)

        @paused.setter
        def paused(self, value):
            if value:
                pausing.set()
                until_now(lambda: self.unread == 0, "the loop to catch up")
            self.__dict__["is_paused"] = value

    class Endless:
        left = 2 * PAUSE_AT // CHUNK

        def fileno(self):
            return readable[0]

        def recv(self, size):
            self.left -= 1
            return bytes(size) if self.left >= 0 else b""

    readable, got, ended = os.pipe(), 0, asyncio.Event()

    def chunk(data):
        nonlocal got
        pausing.wait(DEADLINE)
        got += len(data)

    monkeypatch.setattr(thread_reader, "Stream", CaughtUp)
    os.close(readable[1])
    reader.stream(Endless(), chunk, ended.set)
    async with asyncio.timeout(DEADLINE):
        await ended.wait()
    assert 2 * PAUSE_AT == got
    reader.forget(readable[0], close=lambda: os.close(readable[0]))


async def test_what_is_forgotten_at_the_end_is_closed():
    """close() right after forget() gives the descriptors back, and so does forget() after close()."""
    before = open_descriptors()
    for _ in range(50):
        reader = ThreadReader(asyncio.get_running_loop())
        pipes = [os.pipe() for _ in range(3)]
        for receiving, sending in pipes:
            reader.once(receiving, lambda: None)
            os.close(sending)
        for receiving, _ in pipes[:2]:
            reader.forget(receiving, close=lambda fd=receiving: os.close(fd))
        reader.close()
        reader.forget(pipes[2][0], close=lambda fd=pipes[2][0]: os.close(fd))
    assert before == open_descriptors()


def test_it_ends_when_its_loop_was_closed(pipe):
    """It was not closed and its loop is gone: it says so and ends by itself."""
    loop, orphaned = asyncio.new_event_loop(), threading.Event()
    reader = ThreadReader(loop)
    reader.on_orphaned = orphaned.set
    reader.once(pipe[0], lambda: None)
    loop.close()
    until_now(lambda: not reader._thread.is_alive())
    assert not reader._thread.is_alive()
    assert orphaned.is_set()


async def test_a_flood_lets_others_have_their_turn(reader):
    """What takes the loop long to take in is taken in over several of its turns."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    turns, seen, over = [0], [], asyncio.Event()

    def delivery_tag():
        turns[0] += 1
        if not over.is_set():
            loop.call_soon(delivery_tag)

    def slow(chunk):
        time.sleep(0.006)  # of the loop's time: two of them are more than the reader takes at once
        seen.append(turns[0])

    reader.stream(ours, slow, over.set)
    with theirs:
        theirs.settimeout(DEADLINE)
        loop.call_soon(delivery_tag)
        await loop.run_in_executor(None, theirs.sendall, bytes(1_000_000))
    async with asyncio.timeout(DEADLINE):
        await over.wait()
    assert len(seen) > 4
    assert len(set(seen)) >= len(seen) // 4
    reader.forget(ours.fileno(), close=ours.close)


@pytest.mark.parametrize("what", ["poll", "register", "unregister", "take", "after_wake"])
async def test_no_exception_ends_the_thread(monkeypatch, pipe, what):
    """Whatever a step of it raises, as for want of memory, all that is watched is told."""
    failing, told, loop = threading.Event(), [asyncio.Event(), asyncio.Event()], asyncio.get_running_loop()

    def failing_once(name, real):
        def call(*args):
            if name == what and failing.is_set() and threading.current_thread().name == "reader-under-test":
                failing.clear()
                raise MemoryError
            return real(*args)

        return call

    class Epoll:
        def __init__(self, real=select.epoll):
            self.real = real()

        def __getattr__(self, name):
            return failing_once(name, getattr(self.real, name))

    monkeypatch.setattr(select, "epoll", Epoll)
    monkeypatch.setattr(ThreadReader, "after_wake", failing_once("after_wake", ThreadReader.after_wake))
    monkeypatch.setattr(selector_thread.KernelCounter, "take", failing_once("take", selector_thread.KernelCounter.take))
    loop.set_exception_handler(lambda *_: None)
    reader = ThreadReader(loop, "reader-under-test")
    failing.set()
    other = os.dup(pipe[0])
    reader.once(pipe[0], told[0].set)
    os.write(pipe[1], b"x")
    reader.once(other, told[1].set)
    async with asyncio.timeout(DEADLINE):
        for one in told:
            await one.wait()
    reader.close()
    os.close(other)
    assert not failing.is_set()


@pytest.mark.parametrize("make", [ThreadReader, LoopReader])
async def test_the_end_of_a_stream_that_cannot_be_read(make, pipe):
    """A life waits for the end of its channel; it comes, whatever the last read raises."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: None)

    class Broken:
        def fileno(self):
            return pipe[0]

        def recv(self, size):
            raise MemoryError

    reader = make(loop)
    reader.stream(Broken(), print, ended.set)
    with contextlib.suppress(MemoryError):
        reader.finish(pipe[0])
    async with asyncio.timeout(DEADLINE):
        await ended.wait()
    reader.close()
