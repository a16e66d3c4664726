"""Schedule: when something is to happen, again and again or once. A pure value.

    after ─▶ next_after ─▶ due; late or not, it happens once ─▶ caught_up ─▶ after

`after` is the latest time that was dealt with. All times are seconds since the epoch, so that a day has 23, 24 or 25
hours where its time zone says so, and a clock that is set needs no other rule than `reset`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from math import floor
from typing import Any, Final

import msgspec

from actors.bounds import is_time, shown, words
from actors.errors import UsageError

CLOCK_SET: Final = 3600.0  # seconds by which a clock may be set back without a repeated run of cron

_LEAST: Final = 0.01  # seconds between two runs
_ANY_DAY: Final = datetime(2024, 1, 1, tzinfo=UTC)


class ScheduleKind(StrEnum):
    """What a schedule goes by."""

    EVERY = "every"
    AT = "at"
    CRON = "cron"


class Schedule(msgspec.Struct, frozen=True):
    """When a message is sent: for `root.schedule(name, child, message, schedule)`.

    Made by its functions: `Schedule.every(60)`, `Schedule.at(datetime(2027, 1, 1, tzinfo=UTC))`,
    `Schedule.cron("0 3 * * *", tz="Europe/Berlin")`.

    Attributes:
        kind: what it goes by.
        seconds: between two runs; of `at`, the time since the epoch.
        expression: of cron.
        tz: name of the time zone of cron.
    """

    kind: ScheduleKind
    seconds: float = 0.0
    expression: str = ""
    tz: str = ""

    @classmethod
    def every(cls, seconds: float) -> Schedule:
        """Every so many seconds, the first time after as many. It does not drift.

        Raises:
            UsageError: it is no such time.
        """
        if not is_time(seconds, _LEAST):
            raise UsageError(f"Schedule.every takes {words(_LEAST)}; it is {shown(seconds)}")
        return cls(ScheduleKind.EVERY, float(seconds))

    @classmethod
    def at(cls, when: datetime) -> Schedule:
        """Once. A datetime without a time zone is local time. A time that has passed never comes.

        Raises:
            UsageError: it is no datetime, or out of range.
        """
        if not isinstance(when, datetime):
            raise UsageError(f"Schedule.at takes a datetime; it is {shown(when)}")
        try:
            schedule = cls(ScheduleKind.AT, when.timestamp())
            str(schedule)  # rounded up it may be beyond the last year
        except (OverflowError, ValueError, OSError):
            raise UsageError(f"Schedule.at: {shown(when)} is out of range") from None
        return schedule

    @classmethod
    def cron(cls, expression: str, tz: str | tzinfo = "UTC") -> Schedule:
        """By a cron expression: minute, hour, day of month, month, day of week; a sixth field in front is seconds.

        When clocks change it does what Debian's cron does. A run at a fixed time that is skipped comes right after the
        gap, and one that would come twice comes once. `*` follows the time that really passes. Needs the extra `cron`.

        Args:
            expression: `"0 3 * * *"` is at three each night.
            tz: whose clock: an IANA name, or a ZoneInfo. UTC unless given.

        Raises:
            UsageError: the expression or the zone cannot be read, or no day fits; or the extra is missing.
        """
        if not isinstance(expression, str):
            raise UsageError(f"Schedule.cron takes an expression as '0 3 * * *'; it is {shown(expression)}")
        name = tz if isinstance(tz, str) else str(getattr(tz, "key", tz))
        schedule = cls(ScheduleKind.CRON, expression=" ".join(expression.split()), tz=name)
        if next(schedule._moments(_ANY_DAY), None) is None:
            raise UsageError(f"Schedule.cron: no day of fifty years fits {expression!r}")
        return schedule

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read what `str` wrote.

        Raises:
            UsageError: it is no schedule.
        """
        kind, _, rest = text.partition(" ")
        try:
            match kind:
                case "every":
                    return cls.every(float(rest.removesuffix(" s")))
                case "at":
                    return cls.at(datetime.fromisoformat(rest))
                case "cron":
                    expression, _, tz = rest.rpartition(" ")
                    return cls.cron(expression, tz)
        except ValueError:
            pass
        raise UsageError(f"not a schedule: {text!r}")

    def next_after(self, after: float) -> float | None:
        """The first time after another one, None when there is none."""
        match self.kind:
            case ScheduleKind.EVERY:
                return after + self.seconds
            case ScheduleKind.AT:
                return self.seconds if self.seconds > after else None
            case _:
                start = datetime.fromtimestamp(after, UTC).astimezone(_zone(self.tz))
                moments = (moment.timestamp() for moment in self._moments(start))
                return next((moment for moment in moments if moment > after), None)

    def caught_up(self, due: float, now: float) -> float:
        """What counts as dealt with when a run that was due happens now: also all that was missed since."""
        if self.kind is ScheduleKind.EVERY:
            return due + max(0, floor((now - due) / self.seconds)) * self.seconds
        return max(due, now) if self.kind is ScheduleKind.CRON else due

    def reset(self, after: float, now: float) -> float:
        """The latest time dealt with, once the clock may have been set back.

        `every` goes on from now: it counts what passes. `at` that has run stays so. Else a clock that was set back by
        less than CLOCK_SET repeats no run; by more, the schedule begins anew.
        """
        if self.kind is ScheduleKind.EVERY:
            return min(after, now)
        ran = self.kind is ScheduleKind.AT and after == self.seconds
        return now if after > now + CLOCK_SET and not ran else after

    def __str__(self) -> str:
        match self.kind:
            case ScheduleKind.EVERY:
                return f"every {self.seconds!r} s"
            case ScheduleKind.AT:
                return f"at {datetime.fromtimestamp(self.seconds, UTC).isoformat()}"
            case _:
                return f"cron {self.expression} {self.tz}"

    def __repr__(self) -> str:
        return f"<Schedule {self}>"

    def _moments(self, start: datetime) -> Iterator[datetime]:
        """The times of cron from `start` on, for fifty years; where a clock is set back, perhaps one before it."""
        simulation = _cronsim()
        try:
            return iter(simulation.CronSim(self.expression, start.astimezone(_zone(self.tz))))
        except simulation.CronSimError as error:
            raise UsageError(
                f"Schedule.cron cannot read {self.expression!r}: {error}; write it as '0 3 * * *'"
            ) from None


def _cronsim() -> Any:
    try:
        import cronsim  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError("Schedule.cron needs cronsim: pip install 'actor-supervisor[cron]'") from None
    return cronsim


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - it reads files, and few need it

    try:
        return ZoneInfo(name)
    except Exception:  # KeyError, ValueError, OSError, by what is wrong with the name
        raise UsageError(
            f"there is no time zone {shown(name)} here: write its IANA name, as 'Europe/Berlin'; where the system has "
            f"no time zones, install tzdata"
        ) from None
