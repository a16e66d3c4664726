"""Vigil: a hang is seen when it is one, and nothing else is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.wire.progress import Activity, Work
from supervisor.core.health.hang_detector import (
    SECOND_LOOK,
    Alarm,
    Finding,
    HangDetector,
    Health,
    Look,
    explain,
    finding,
    health,
)

S = 10**9
LIMIT = 5 * S


def at(now, *work, steps=0, leaving=False, **seen):
    """A look at a process with these handler calls under way, times in seconds."""
    return Look(now=int(now * S), activity=Activity(work, steps, 0, leaving), **seen)


def call(since, until=0.0, lane=0, handler=0):
    return Work(lane, int(since * S), int(until * S), handler)


def test_what_is_idle_is_looked_at_once_in_a_limit():
    """Nothing that begins right after a look can be over its limit before the next."""
    hang_detector = HangDetector(LIMIT)
    for now in (0, 5, 10):
        assert hang_detector.look(at(now)) is None
        assert (now + 5) * S == hang_detector.next_at


def test_a_handler_is_hung_when_it_is_over_its_limit_at_two_looks():
    """Looked at when its limit is over, and once more when it has had a chance to run."""
    hang_detector = HangDetector(LIMIT)
    hang_detector.look(at(0))
    assert hang_detector.look(at(5, call(1))) is None
    assert 6 * S == hang_detector.next_at
    assert hang_detector.look(at(6, call(1))) is None
    assert 6 * S + SECOND_LOOK == hang_detector.next_at
    assert Alarm(call(1)) == hang_detector.look(at(6.2, call(1)))


def test_time_without_a_processor_counts_in_full_however_late_it_is_seen():
    """Of another machine a sample is seen: the next may show more waiting than the looks are apart."""
    hang_detector = HangDetector(LIMIT)
    hang_detector.look(at(0))
    hang_detector.look(at(5, call(1), age=3 * S, starved=0))
    hang_detector.look(at(6, call(1), age=4 * S, starved=0))
    assert hang_detector.look(at(6.2, call(1), starved=4 * S)) is None
    assert 10 * S == hang_detector.next_at


@pytest.mark.parametrize("later", [(), (call(6.1),), (call(1, until=60),)], ids=["over", "the next", "more time"])
def test_a_handler_that_goes_on_between_two_looks_is_not_hung(later):
    """It is over, another one runs, or it has asked for time."""
    hang_detector = HangDetector(LIMIT)
    hang_detector.look(at(0))
    hang_detector.look(at(5, call(1)))
    hang_detector.look(at(6, call(1)))
    assert hang_detector.look(at(6.2, *later)) is None


def test_time_that_was_granted_counts_from_when_it_was_asked_for():
    """Longer than the limit it prolongs it, shorter it does not cut it."""
    hang_detector = HangDetector(LIMIT)
    hang_detector.look(at(0))
    assert hang_detector.look(at(5, call(0, until=8))) is None
    assert 8 * S == hang_detector.next_at
    hang_detector = HangDetector(LIMIT)
    hang_detector.look(at(0))
    hang_detector.look(at(1, call(0, until=2)))
    assert 5 * S == hang_detector.next_at


def test_time_without_a_processor_does_not_count():
    """Two seconds in the queue of the processor are two seconds more."""
    hang_detector = HangDetector(LIMIT)
    hang_detector.look(at(0, starved=10 * S))
    assert hang_detector.look(at(5, call(0), starved=12 * S)) is None
    assert 7 * S == hang_detector.next_at
    hang_detector.look(at(7, call(0), starved=12 * S))
    assert Alarm(call(0)) == hang_detector.look(at(7.2, call(0), starved=12 * S))


def test_time_in_which_nobody_could_look_does_not_count():
    """The loop stalled or the machine stood still for thirty seconds: so may the handler have."""
    hang_detector = HangDetector(LIMIT)
    hang_detector.look(at(0))
    hang_detector.look(at(5, call(1)))
    assert hang_detector.look(at(36, call(1))) is None
    assert Alarm(call(1)) == hang_detector.look(at(36.2, call(1)))
    hang_detector = HangDetector(LIMIT)
    hang_detector.look(at(0))
    assert hang_detector.look(at(35, call(1))) is None
    assert 36 * S == hang_detector.next_at


def test_time_in_a_debugger_does_not_count():
    """As long as it is held it is not hung."""
    hang_detector = HangDetector(LIMIT)
    hang_detector.look(at(0))
    for now in range(1, 100):
        assert hang_detector.look(at(now, call(0.5), traced=True)) is None


def test_the_first_of_several_to_be_over_counts():
    """A concurrent actor has several handlers under way."""
    hang_detector = HangDetector(LIMIT)
    calls = call(0, lane=0, until=60), call(2, lane=1), call(3, lane=2)
    hang_detector.look(at(0))
    hang_detector.look(at(5, *calls))
    assert 7 * S == hang_detector.next_at
    hang_detector.look(at(7, *calls))
    assert Alarm(calls[1]) == hang_detector.look(at(7.2, *calls))


def test_messages_that_do_not_begin_are_a_hang():
    """It has messages, handles none of them, and nothing has begun or ended for the limit."""
    hang_detector = HangDetector(LIMIT)
    hang_detector.look(at(0))
    assert hang_detector.look(at(5, waiting=True, steps=7)) is None
    hang_detector.look(at(10, waiting=True, steps=7))
    assert Alarm(None) == hang_detector.look(at(10.2, waiting=True, steps=7))


@pytest.mark.parametrize(
    "seen", [{"steps": 8, "waiting": True}, {"steps": 7}, {"steps": 7, "waiting": True, "leaving": True}]
)
def test_what_goes_on_without_a_handler_is_no_hang(seen):
    """Something has begun and ended meanwhile; nothing waits any more; the actor has stopped itself and takes leave."""
    hang_detector = HangDetector(LIMIT)
    hang_detector.look(at(0))
    hang_detector.look(at(5, waiting=True, steps=7))
    hang_detector.look(at(10, **seen))
    assert hang_detector.look(at(10.2, **seen)) is None


def test_a_stopped_process_is_hung_whatever_time_its_handler_was_granted():
    """A stream that waits for its reader has all the time in the world, but not when it could not go on."""
    hang_detector = HangDetector(LIMIT)
    forever = call(0, until=10**6)
    hang_detector.look(at(0, forever))
    hang_detector.look(at(5, forever, stopped=True))
    hang_detector.look(at(10, forever, stopped=True))
    assert Alarm(forever) == hang_detector.look(at(10.2, forever, stopped=True))
    assert hang_detector.look(at(10.4, forever)) is None


shares = st.floats(0, 1)


@given(st.lists(st.tuples(shares, shares, st.floats(0, 0.8), st.floats(0, 3)), min_size=1, max_size=30))
def test_a_handler_within_its_own_time_is_never_taken_for_hung(stretches):
    """However long it is kept from the processor and however late the looks come, only time that it had counts."""
    hang_detector, now, starved = HangDetector(LIMIT), 0, 0
    hang_detector.look(at(0))
    for run, before, kept, late in stretches:
        begun = now + int((max(now, hang_detector.next_at) - now) * before)  # somewhere between two looks
        left, first = int(LIMIT * run), True
        while left > 0:
            until = max(hang_detector.next_at, now) + int(late * S)
            passed = until - (begun if first else now)
            starved += int(passed * kept)
            left -= passed - int(passed * kept)
            now, first = until, False
            work = (Work(0, begun, 0, 0),) if left > 0 else ()
            assert hang_detector.look(Look(now=now, activity=Activity(work, 0, 0, False), starved=starved)) is None
        hang_detector.look(Look(now=now, activity=Activity((), 0, 0, False), starved=starved))


@given(st.floats(0, 0.999), st.integers(1, 60))
def test_a_handler_that_never_ends_is_found(before, limit):
    """Soon after its limit, wherever between two looks it began."""
    hang_detector = HangDetector(limit * S)
    hang_detector.look(at(0))
    work = Work(0, int(limit * S * before), 0, 0)
    alarm = None
    while alarm is None:
        now = hang_detector.next_at
        alarm = hang_detector.look(Look(now=now, activity=Activity((work,), 0, 0, False)))
    assert now <= work.since + limit * S + SECOND_LOOK


@pytest.mark.parametrize(
    ("state", "answered", "found"),
    [
        ("T", None, Finding.STOPPED),
        ("S", True, Finding.OVER),
        ("R", True, Finding.OVER),
        ("S", None, Finding.OVER),
        ("R", False, Finding.BLOCKED),
        ("S", False, Finding.BLOCKED),
        ("D", False, Finding.KERNEL),
    ],
)
def test_what_kind_of_hang_it_is(state, answered, found):
    """What the kernel says of the process, and whether its interpreter gave a sign of life."""
    assert found is finding(state, answered=answered)


@pytest.mark.parametrize(
    ("found", "handler", "words"),
    [
        (Finding.OVER, "Index.search", "Index.search over its limit of 5 s (handler_timeout)"),
        (Finding.OVER, "", "it begins none of its messages within its limit of 5 s (handler_timeout)"),
        (
            Finding.BLOCKED,
            "Index.search",
            "interpreter blocked in Index.search, over its limit of 5 s (handler_timeout)",
        ),
        (Finding.STOPPED, "", "process stopped (SIGSTOP), it begins none of its messages"),
    ],
)
def test_the_line_names_handler_and_limit(found, handler, words):
    """One line."""
    assert f"hung: {words}" == explain(found, handler, 5.0)


@pytest.mark.parametrize(
    ("work", "state", "limit", "found"),
    [
        ((), "S", LIMIT, Health.IDLE),
        ((), "T", None, Health.STOPPED),
        ((call(1),), "T", LIMIT, Health.STOPPED),
        ((call(1),), "R", None, Health.BUSY),
        ((call(6),), "S", LIMIT, Health.BUSY),
        ((call(4),), "S", LIMIT, Health.OVER),
        ((call(4, until=12),), "S", LIMIT, Health.BUSY),
        ((call(9), call(4, lane=1)), "S", LIMIT, Health.OVER),
    ],
)
def test_how_a_life_is(work, state, limit, found):
    """At the tenth second, with a limit of five or none."""
    assert found is health(Activity(work, 0, 0, leaving=False), state, 10 * S, limit)
