"""Deadlines: one timer for many, and none for those that are over."""

from __future__ import annotations

import asyncio
import time

import pytest

from supervisor.mailbox.timers import _TIDY, Deadlines
from tests.support.waiting import until


class Waiting:
    """Who waits, and who was late, when."""

    def __init__(self):
        self.waiting = set()
        self.late = []
        self.deadlines = Deadlines(asyncio.get_running_loop(), self.waiting, self.tell)

    def tell(self, seq):
        assert seq in self.waiting
        self.waiting.discard(seq)
        self.late.append((seq, time.monotonic()))

    def add(self, seq, wait):
        self.waiting.add(seq)
        self.deadlines.add(time.monotonic() + wait, seq)


@pytest.fixture
async def some():
    made = Waiting()
    yield made
    made.deadlines.close()


async def test_each_is_told_at_its_time(some):
    """The earliest first, none before its time, whatever the order in which they came."""
    begun = time.monotonic()
    for seq, wait in ((1, 0.06), (2, 0.02), (3, 0.04)):
        some.add(seq, wait)
    await until(lambda: len(some.late) == 3)
    assert [2, 3, 1] == [seq for seq, _ in some.late]
    for (_, when), wait in zip(some.late, (0.02, 0.04, 0.06), strict=True):
        assert when - begun >= wait - 0.002


async def test_who_does_not_wait_any_more_is_not_told(some):
    """Ending a wait costs nothing, and nothing comes of it."""
    some.add(1, 0.01)
    some.add(2, 0.02)
    some.waiting.discard(1)
    await until(lambda: some.late)
    assert [2] == [seq for seq, _ in some.late]


async def test_the_forgotten_ones_are_thrown_away(some):
    """Many quick asks with a long timeout leave no more behind than a few times those that still wait."""
    for seq in range(10_000):
        some.add(seq, 60.0)
        if seq >= 10:
            some.waiting.discard(seq - 10)
    assert len(some.deadlines._heap) <= 2 * _TIDY
    assert some.waiting <= {seq for _, seq in some.deadlines._heap}


async def test_one_timer(some):
    """All of them together keep one timer of the loop, set for the earliest."""
    some.add(1, 60.0)
    first = some.deadlines._timer
    some.add(2, 61.0)
    assert first is some.deadlines._timer
    some.add(3, 59.0)
    assert first.cancelled()
    some.deadlines.close()
    assert some.deadlines._timer.cancelled()
