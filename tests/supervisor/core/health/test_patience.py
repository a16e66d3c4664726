"""A helper is given up for the time that it could use, and for no other."""

from __future__ import annotations

import pytest

from supervisor.core.health.condition import UNSEEN, Condition
from supervisor.core.health.patience import AGAIN, MOST, Patience

SLEEPS = Condition("S", 0)
BEGUN = 100.0


def gives_up(seconds, condition_at, *, late_at=()):
    """Seconds after which a patience of so many is over; None when it is not over in ten times the longest wait."""
    now = BEGUN
    patience = Patience(seconds, now, condition_at(0.0))
    wait = seconds
    for _ in range(10_000):
        now += wait
        for at, late in late_at:
            if now - wait < BEGUN + at <= now:
                now += late
        wait = patience.look(now, condition_at(now - BEGUN))
        if not wait:
            return now - BEGUN
        if now > BEGUN + 10 * MOST * seconds + sum(late for _, late in late_at):
            return None
    raise AssertionError("it looks without end")


@pytest.mark.parametrize("letter", ["S", "T", "Z", ""])
def test_one_that_does_nothing(letter):
    """After its time, and a second look."""
    assert 2.0 + AGAIN == pytest.approx(gives_up(2.0, lambda _: Condition(letter, 0)))


def test_one_that_got_no_processor():
    """What it waited for a processor does not count; a fifth of the time is its own here."""
    assert 10.0 == pytest.approx(gives_up(2.0, lambda at: Condition("S", int(at * 0.8e9))), abs=1.5)


def test_one_that_wants_a_processor_now():
    """It may still get one, but not for ever."""
    assert 2.0 * MOST <= gives_up(2.0, lambda _: Condition("R", 0)) <= 2.0 * MOST + 3 * AGAIN
    assert 5.0 <= gives_up(2.0, lambda at: Condition("R" if at < 5.0 else "S", 0)) <= 5.0 + 3 * AGAIN


def test_a_debugger_holds_it():
    """As long as it likes."""
    assert gives_up(2.0, lambda _: Condition("t", 0)) is None


def test_the_daemon_was_late():
    """A daemon that stood still for an hour asks again before it judges."""
    assert 3600 + 2.0 <= gives_up(2.0, lambda _: SLEEPS, late_at=[(1.0, 3600.0)]) <= 3600 + 5.0


def test_where_the_kernel_says_nothing():
    """The clock is all there is."""
    assert 2.0 + AGAIN == pytest.approx(gives_up(2.0, lambda _: UNSEEN))


def test_one_that_rose_between_the_looks_is_heard():
    """Over at one look alone is not over."""
    patience = Patience(2.0, BEGUN, SLEEPS)
    assert AGAIN == patience.look(BEGUN + 2.0, SLEEPS)
    assert patience.look(BEGUN + 2.0 + AGAIN, Condition("R", 0)) > 0
    assert patience.look(BEGUN + 2.0 + 2 * AGAIN, SLEEPS) > 0
