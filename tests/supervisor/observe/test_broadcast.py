"""Broadcast: any number of readers, none of whom can hold up the others."""

from __future__ import annotations

import asyncio

from supervisor.observe.broadcast import BACKLOG, Broadcast, Missed
from tests.support.waiting import at_rest


async def everything(stream):
    return [item async for item in stream]


async def test_everything_from_now_on():
    """A reader hears what is told after it began, in order, until the end."""
    broadcast = Broadcast()
    broadcast.tell("before")
    early = broadcast.read()
    broadcast.tell(1)
    late = broadcast.read()
    broadcast.tell(2)
    broadcast.close()
    assert [1, 2] == await everything(early)
    assert [2] == await everything(late)


async def test_waiting_readers_are_woken():
    """By a happening, and by the end."""
    broadcast = Broadcast()
    readers = [asyncio.create_task(everything(broadcast.read())) for _ in range(3)]
    await at_rest()
    broadcast.tell("a")
    await at_rest()
    broadcast.close()
    assert [["a"]] * 3 == await asyncio.gather(*readers)


async def test_a_slow_reader_loses_the_oldest_and_is_told():
    """The others lose nothing."""
    broadcast = Broadcast()
    slow, quick = broadcast.read(backlog=3), broadcast.read()
    for number in range(10):
        broadcast.tell(number)
    assert Missed(7) == await anext(slow)
    assert 7 == await anext(slow)
    broadcast.tell(10)
    broadcast.close()
    assert [8, 9, 10] == await everything(slow)
    assert list(range(11)) == await everything(quick)


async def test_missing_again():
    """Each gap is told where it is."""
    broadcast = Broadcast()
    reader = broadcast.read(backlog=1)
    for number in range(3):
        broadcast.tell(number)
    assert [Missed(2), 2] == [await anext(reader), await anext(reader)]
    for number in range(2):
        broadcast.tell(number)
    assert [Missed(1), 1] == [await anext(reader), await anext(reader)]
    await reader.aclose()


async def test_a_reader_that_leaves_is_forgotten():
    """Nothing is kept for it."""
    broadcast = Broadcast()
    reader = broadcast.read()
    broadcast.tell(1)
    assert 1 == await anext(reader)
    await reader.aclose()
    broadcast.tell(2)
    assert [] == await everything(reader)
    del reader
    assert 0 == len(broadcast.readers)


async def test_a_cancelled_reader_is_forgotten():
    """The same while it waits."""
    broadcast = Broadcast()
    task = asyncio.create_task(everything(broadcast.read()))
    await at_rest()
    task.cancel()
    await asyncio.wait([task])
    del task
    assert 0 == len(broadcast.readers)


async def test_after_the_end():
    """A reader that comes too late ends at once."""
    broadcast = Broadcast()
    broadcast.close()
    assert [] == await everything(broadcast.read())


async def test_a_bounded_backlog():
    """A reader that never reads costs no more than the backlog."""
    broadcast = Broadcast()
    reader = broadcast.read()
    for number in range(BACKLOG * 3):
        broadcast.tell(number)
    assert Missed(BACKLOG * 2) == await anext(reader)
    await reader.aclose()
