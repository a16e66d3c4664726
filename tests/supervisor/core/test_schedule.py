"""Schedule: the next time, over missed runs, changes of the clock, and clocks that are set."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from actors.errors import UsageError
from supervisor.core.schedule import Schedule

BERLIN = ZoneInfo("Europe/Berlin")


def at(text):
    return datetime.fromisoformat(text).timestamp()


def runs(schedule, after, count):
    """The next times, in Berlin."""
    found = []
    for _ in range(count):
        after = schedule.next_after(after)
        found.append(datetime.fromtimestamp(after, BERLIN).strftime("%d %H:%M %z"))
    return found


def test_every_does_not_drift():
    """The next time is counted from the one that was due, however late the run was."""
    schedule = Schedule.every(60)
    assert schedule.next_after(1000.0) == 1060.0
    assert schedule.caught_up(1060.0, 1065.0) == 1060.0


def test_every_makes_up_for_missed_runs_once():
    """Then it goes on in its old rhythm."""
    schedule = Schedule.every(60)
    after = schedule.caught_up(1060.0, 1000.0 + 60 * 60 * 24 * 365)
    assert 1000.0 + 60 * 60 * 24 * 365 - after < 60
    assert schedule.next_after(after) > 1000.0 + 60 * 60 * 24 * 365
    assert (after - 1000.0) % 60 == 0


def test_at_comes_once():
    """And never when it has passed."""
    schedule = Schedule.at(datetime(2026, 12, 1, tzinfo=UTC))
    due = at("2026-12-01T00:00+00:00")
    assert schedule.next_after(due - 5) == due
    assert schedule.next_after(schedule.caught_up(due, due + 3600)) is None
    local = datetime.now() + timedelta(days=1)  # noqa: DTZ005 - a time without a zone is the point
    assert Schedule.at(local).next_after(0.0) == local.timestamp()


def test_cron_is_utc_unless_a_zone_is_given():
    """The same expression, two clocks."""
    after = at("2026-11-28T12:00+00:00")
    assert Schedule.cron("0 3 * * *").next_after(after) == at("2026-11-29T03:00+00:00")
    assert Schedule.cron("0 3 * * *", tz="Asia/Tokyo").next_after(after) == at("2026-11-28T18:00+00:00")
    assert Schedule.cron("0 3 * * *", tz=ZoneInfo("Asia/Tokyo")) == Schedule.cron("0 3 * * *", tz="Asia/Tokyo")


def test_cron_makes_up_for_missed_runs_once():
    """A daemon that was down for a year runs a job of each minute once."""
    schedule = Schedule.cron("* * * * *")
    due, now = at("2026-01-01T00:00+00:00"), at("2027-01-01T00:00:30+00:00")
    assert schedule.next_after(schedule.caught_up(due, now)) == at("2027-01-01T00:01+00:00")


def test_cron_when_clocks_go_forward():
    """Half past two does not exist: that run comes when it would have been; what goes by minutes skips the hour."""
    night = at("2026-03-28T23:30+00:00")
    assert runs(Schedule.cron("30 2 * * *", tz="Europe/Berlin"), night, 2) == ["29 03:00 +0200", "30 02:30 +0200"]
    assert runs(Schedule.cron("30 * * * *", tz="Europe/Berlin"), night, 3) == [
        "29 01:30 +0100",
        "29 03:30 +0200",
        "29 04:30 +0200",
    ]


def test_cron_when_clocks_go_back():
    """Half past two comes twice: that run comes once; what goes by minutes runs in both hours."""
    night = at("2026-10-24T23:00+00:00")
    assert runs(Schedule.cron("30 2 * * *", tz="Europe/Berlin"), night, 2) == ["25 02:30 +0200", "26 02:30 +0100"]
    assert runs(Schedule.cron("30 * * * *", tz="Europe/Berlin"), night, 3) == [
        "25 01:30 +0200",
        "25 02:30 +0200",
        "25 02:30 +0100",
    ]


@pytest.mark.parametrize("minutes", range(0, 180, 7))
def test_the_next_time_is_always_later(minutes):
    """Wherever in the night of the change a run is looked for."""
    for night in ("2026-03-28T23:30+00:00", "2026-10-24T23:00+00:00"):
        after = at(night) + minutes * 60
        for expression in ("30 2 * * *", "*/20 * * * *", "15 1-3 * * *", "0 0 * * *"):
            assert Schedule.cron(expression, tz="Europe/Berlin").next_after(after) > after


def test_a_clock_that_is_set_back():
    """By a little cron repeats no run; by more, it begins anew from now."""
    schedule = Schedule.cron("* * * * *")
    assert schedule.reset(10_000.0, 10_000.0 - 100) == 10_000.0
    assert schedule.reset(10_000.0, 1000.0) == 1000.0
    assert schedule.reset(1000.0, 10_000.0) == 1000.0


@pytest.mark.parametrize("back", [0.0, 100.0, 3500.0, 86400.0])
def test_every_goes_by_the_time_that_passes(back):
    """A clock that is set back, by however much, does not make a heartbeat pause."""
    schedule, now = Schedule.every(60), 1e9 - back
    assert schedule.next_after(schedule.reset(1e9, now)) == now + 60
    assert schedule.reset(1e9, 1e9 + 10) == 1e9


@pytest.mark.parametrize("back", [100.0, 86400.0, 1e9])
def test_at_that_has_run_does_not_come_again(back):
    """Also where a machine without a clock of its own begins in 1970; one that has not run yet still comes."""
    schedule = Schedule.at(datetime(2026, 12, 1, tzinfo=UTC))
    ran = schedule.caught_up(schedule.seconds, schedule.seconds + 5)
    assert schedule.next_after(schedule.reset(ran, ran - back)) is None
    assert schedule.next_after(schedule.reset(ran + 2e8, ran - 2 * 86400)) == schedule.seconds


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule.every(0.1),
        Schedule.every(86400),
        Schedule.at(datetime(2026, 12, 1, 3, 30, 15, 250, tzinfo=UTC)),
        Schedule.cron("0 3 * * MON-FRI", tz="Europe/Berlin"),
        Schedule.cron(" */5  *  * * *"),
        Schedule.cron("30 0 3 L * *"),
    ],
)
def test_a_schedule_is_written_and_read(schedule):
    """As text, for a store and for a person."""
    assert Schedule.parse(str(schedule)) == schedule
    assert str(schedule) in repr(schedule)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Schedule.every(0), "seconds from 0.01"),
        (lambda: Schedule.every(float("nan")), "seconds from 0.01"),
        (lambda: Schedule.every("60"), "seconds from 0.01"),
        (lambda: Schedule.at(5.0), "takes a datetime"),
        (lambda: Schedule.at(datetime.min), "out of range"),  # noqa: DTZ901 - the same
        (lambda: Schedule.at(datetime.max), "out of range"),  # noqa: DTZ901 - the same
        (lambda: Schedule.cron("61 * * * *"), "Bad minute"),
        (lambda: Schedule.cron("hourly"), "Wrong number of fields"),
        (lambda: Schedule.cron("0 0 31 2 *"), "Bad day-of-month"),
        (lambda: Schedule.cron(5), "takes an expression"),
        (lambda: Schedule.cron("0 3 * * *", tz="Middle/Earth"), "no time zone 'Middle/Earth'"),
        (lambda: Schedule.cron("0 3 * * *", tz="/etc/passwd"), "no time zone"),
        (lambda: Schedule.parse("sometimes"), "not a schedule"),
        (lambda: Schedule.parse("every now and then"), "not a schedule"),
    ],
)
def test_what_cannot_work_is_refused(make, why):
    """When the schedule is made."""
    with pytest.raises(UsageError, match=why):
        make()


def test_cron_without_its_extra(monkeypatch):
    """One error that names it; the others need none."""
    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(UsageError, match=r"pip install 'actor-supervisor\[cron\]'"):
        Schedule.cron("0 3 * * *")
    Schedule.every(60)
