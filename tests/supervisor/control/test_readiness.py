"""What watches the clients of a control socket: many at once, and where the system has no room for that."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest

from supervisor.control import readiness as module
from supervisor.control.readiness import Readiness
from tests.support.waiting import DEADLINE, until


async def test_an_epoll_that_the_loop_does_not_take(monkeypatch):
    """The loop watches each client itself, and the epoll is closed."""
    loop, refused, told = asyncio.get_running_loop(), [], asyncio.Event()
    add_reader = loop.add_reader

    def refuse_once(fd, *callback):
        if not refused:
            refused.append(fd)
            raise OSError(errno.ENOSPC, "No space left on device")
        add_reader(fd, *callback)

    monkeypatch.setattr(loop, "add_reader", refuse_once)
    readiness = Readiness(loop)
    reading, writing = os.pipe()
    assert refused == [reading]  # its number is free again
    readiness.add(reading, lambda readable, writable: told.set())
    os.write(writing, b"x")
    async with asyncio.timeout(DEADLINE):
        await told.wait()
    readiness.close()
    os.close(reading)
    os.close(writing)


async def test_many_are_looked_at_a_few_times_a_second(monkeypatch):
    """What comes meanwhile is told after the rest; once nothing comes, the next is told at once again."""
    monkeypatch.setattr(module, "MANY", 0)
    told, (reading, writing) = [], os.pipe()
    readiness = Readiness(asyncio.get_running_loop())
    readiness.add(reading, lambda readable, writable: told.append(os.read(reading, 1)))
    os.write(writing, b"a")
    await until(lambda: told)
    first = readiness._rest
    os.write(writing, b"b")
    await until(lambda: readiness._rest is not first)
    assert [b"a", b"b"] == told
    await until(lambda: not readiness._rest)
    os.write(writing, b"c")
    await until(lambda: told[2:])
    readiness.close()
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("fails", ["one that is ready", "the system"])
async def test_a_failure_after_a_rest(monkeypatch, fails):
    """What one client's look raises, or a watch that the system refuses, makes the others wait and no longer."""
    monkeypatch.setattr(module, "MANY", 0)
    loop, told, (reading, writing) = asyncio.get_running_loop(), [], os.pipe()
    seen: list[object] = []
    loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
    readiness = Readiness(loop)

    def on_ready(readable, writable):
        told.append(os.read(reading, 1))
        if told[-1] == b"!":
            raise MemoryError

    readiness.add(reading, on_ready)
    os.write(writing, b"a")
    await until(lambda: told)
    if fails == "the system":
        add_reader = loop.add_reader

        def refuse_once(fd, *callback):
            monkeypatch.setattr(loop, "add_reader", add_reader)
            seen.append(fd)
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

        monkeypatch.setattr(loop, "add_reader", refuse_once)
    else:
        os.write(writing, b"!")
    await until(lambda: seen)
    os.write(writing, b"b")
    await until(lambda: told[-1] == b"b")
    readiness.close()
    os.close(reading)
    os.close(writing)
