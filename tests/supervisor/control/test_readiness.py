"""What watches the clients of a control socket: many at once, and where the system has no room for that."""

from __future__ import annotations

import asyncio
import errno
import os

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
