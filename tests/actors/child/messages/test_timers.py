"""Timers: missed ticks are skipped and counted, and never keep the mailbox from being read."""

from __future__ import annotations

from collections import deque

import pytest

from actors import Actor, Message, UsageError, handles
from actors.child.messages.timers import Timers
from actors.protocol.protocol import protocol_of


class Tick(Message[None]):
    pass


class Ticking(Actor):
    @handles
    def tick(self, msg: Tick) -> None:
        pass


@pytest.fixture
def clock():
    """The time that timers see, in seconds."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    return Clock()


@pytest.fixture
def timers(clock):
    return Timers("/root/a", protocol_of(Ticking), clock)


def begin_all(inbox):
    """All that waits begins; returns how many."""
    count = len(inbox)
    for timer in inbox:
        timer.waits = False
    inbox.clear()
    return count


def test_ticks_keep_their_rhythm(clock, timers):
    """Each at its multiple of the period; none is missed."""
    inbox = deque()
    timers.every(1.0, Tick())
    waits = []
    for now in (1000.5, 1001.1, 1001.9, 1002.2):
        clock.now = now
        waits.append((round(timers.take_due(inbox), 3), begin_all(inbox)))
    assert [(0.5, 0), (0.9, 1), (0.1, 0), (0.8, 1)] == waits
    assert 0 == timers.missed


def test_a_stopped_machine_brings_no_burst(clock, timers):
    """After an hour one tick comes, and the others are counted."""
    inbox = deque()
    timers.every(1.0, Tick())
    clock.now += 3600.5
    assert 0.5 == timers.take_due(inbox)
    assert (1, 3599) == (begin_all(inbox), timers.missed)


def test_a_tick_that_waits_gets_no_second(clock, timers):
    """A handler slower than its period does not fill the inbox."""
    inbox = deque()
    timers.every(1.0, Tick())
    for _ in range(5):
        clock.now += 1.0
        timers.take_due(inbox)
    assert (1, 4) == (begin_all(inbox), timers.missed)


def test_a_late_single_timer_comes(clock, timers):
    """It is no tick: it is never skipped."""
    inbox = deque()
    timers.after(1.0, Tick(), None)
    clock.now += 3600
    assert timers.take_due(inbox) is None
    assert (1, 0) == (begin_all(inbox), timers.missed)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 0.0, 1e-9, "1"])
def test_a_period_that_is_no_time(timers, seconds):
    """It is refused at the call."""
    with pytest.raises(UsageError, match="Nothing was done"):
        timers.every(seconds, Tick())
    assert [] == timers.line
