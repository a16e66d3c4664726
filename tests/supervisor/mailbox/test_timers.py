"""Deadlines and times of jobs: one timer for many, and none for those that are over."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from supervisor.mailbox.askers import PendingAsk
from supervisor.mailbox.timers import Deadlines, JobTimes
from tests.support.waiting import until


class Waiting:
    """The asks that wait, and which were late, when."""

    def __init__(self):
        self.waiting = {}
        self.late = []
        self.deadlines = Deadlines(asyncio.get_running_loop(), time.monotonic, self.waiting, self.end)

    def end(self, seq):
        del self.waiting[seq]
        self.late.append((seq, time.monotonic()))

    def add(self, seq, wait):
        deadline = time.monotonic() + wait
        self.waiting[seq] = PendingAsk(None, None, "/root/a", "Add", wait, deadline, seq), None
        if deadline < self.deadlines.next:
            self.deadlines.announce(deadline)


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
    del some.waiting[1]
    await until(lambda: some.late)
    assert [2] == [seq for seq, _ in some.late]


async def test_only_the_next_deadline_is_announced(some):
    """Many asks with the same timeout announce one of them, and the timer finds the others."""
    announced = []
    announce = some.deadlines.announce
    some.deadlines.announce = lambda deadline: (announced.append(deadline), announce(deadline))
    for seq in range(100):
        some.add(seq, 0.02)
    assert 1 == len(announced)
    await until(lambda: len(some.late) == 100)
    assert list(range(100)) == [seq for seq, _ in some.late]


async def test_an_ask_that_comes_while_others_end_is_not_forgotten(some):
    """A new ask with an earlier deadline than the following one sets the timer."""
    end = some.end

    def end_and_ask(seq):
        end(seq)
        if seq == 1:
            some.add(3, 0.01)

    some.deadlines._late = end_and_ask
    some.add(1, 0.01)
    some.add(2, 60.0)
    await until(lambda: len(some.late) == 2)
    assert [1, 3] == [seq for seq, _ in some.late]


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


class Running:
    """The consumers of a pool: one process for each job, and each has just begun its job."""

    def __init__(self, seqs):
        self.leaving = {}
        self.served = {seq: RunningJob(seq) for seq in seqs}

    def queue_of(self, name):
        flight = SimpleNamespace(number_of=lambda delivery_tag: name)
        return SimpleNamespace(flights=SimpleNamespace(of=lambda name: flight))


class RunningJob:
    """A life whose job has the delivery tag 1."""

    def __init__(self, seq):
        self.seq = seq
        self.since = time.monotonic_ns()

    def progress(self):
        return SimpleNamespace(active={1})

    def activity(self):
        return SimpleNamespace(work=[SimpleNamespace(since=self.since, until=0)])


async def test_the_end_of_a_late_job_may_end_another_that_is_late():
    """That one is not told any more."""
    told = []

    def late(seq):
        told.append(seq)
        times.forget([1, 2])

    times = JobTimes(asyncio.get_running_loop(), Running([1, 2, 3]))
    times.watch([1, 2, 3], 0.01, late)
    await until(lambda: len(told) == 2)
    assert [1, 3] == told


async def test_what_becomes_of_a_late_job_harms_no_other():
    """One that cannot be ended is told of by the loop; the others keep their times."""
    told, raised = [], []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))

    def late(seq):
        told.append(seq)
        if seq == 1:
            raise ZeroDivisionError

    times = JobTimes(loop, Running([1, 2]))
    times.watch([1, 2], 0.01, late)
    await until(lambda: len(told) == 2)
    assert [1, 2] == told
    assert [ZeroDivisionError] == [type(error) for error in raised]
