"""Scheduler: sends the scheduled messages of one tree when their time comes.

    add, recover ─▶ one timer of the loop, by the wall clock ─▶ send ─▶ the next time

The wall clock may be set, and the machine may sleep; so the scheduler looks at least once a minute.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from supervisor.core.schedule import Schedule
from supervisor.store.writes import ScheduleRow

_LOOK: Final = 60.0  # seconds between two looks at the wall clock
_RETRY: Final = 5.0  # seconds until a run that could not be stored is tried again


class ScheduledMessage(msgspec.Struct, frozen=True):
    """One schedule of a tree, as `root.schedules()` shows it.

    Attributes:
        name: of the schedule.
        child: name of the child that gets the message.
        message_type: name of the message's class.
        schedule: when.
        next_run: when the next message is sent, None when none will be.
    """

    name: str
    child: str
    message_type: str
    schedule: Schedule
    next_run: datetime | None


class _Entry:
    """One schedule at work.

    Attributes:
        row: as it is stored.
        schedule: when.
        not_before: when a run that failed is tried again.
        sending: whether a run is under way.
    """

    def __init__(self, row: ScheduleRow, schedule: Schedule) -> None:
        self.row = row
        self.schedule = schedule
        self.not_before = 0.0
        self.sending = False

    @property
    def due(self) -> float | None:
        """When the next run is, or was, due."""
        return self.schedule.next_after(self.row.after)

    @property
    def wakes(self) -> float | None:
        """When there is something to do next."""
        due = None if self.sending else self.due
        return None if due is None else max(due, self.not_before)


class Scheduler:
    """The schedules of one tree.

    Args:
        loop: of the tree.
        clock: the wall clock, seconds since the epoch.
        send: sends the message of a row, and stores the row.
        failed: called with a row that could not be sent, and why; it is tried again.
        keep: lets a coroutine run by itself.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        send: Callable[[ScheduleRow], Awaitable[None]],
        failed: Callable[[ScheduleRow, str], None],
        keep: Callable[[Coroutine[Any, Any, object]], object],
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._send = send
        self._failed = failed
        self._keep = keep
        self._entries: dict[str, _Entry] = {}
        self._timer: asyncio.TimerHandle | None = None

    def recover(self, rows: Iterable[ScheduleRow]) -> None:
        """Go on with the schedules of a store; what was missed meanwhile is made up for once."""
        for row in rows:
            self._entries[row.name] = _Entry(row, Schedule.parse(row.schedule))
        self._set_timer()

    def add(self, row: ScheduleRow, schedule: Schedule) -> ScheduleRow:
        """Add or replace a schedule; one that says the same goes on where it was. Returns the row to be stored."""
        known = self._entries.get(row.name)
        if known is not None and known.row[:3] == row[:3]:
            row = row._replace(after=known.row.after)
        self._entries[row.name] = _Entry(row, schedule)
        self._set_timer()
        return row

    def remove(self, name: str) -> bool:
        """Remove a schedule; whether there was one."""
        return self._entries.pop(name, None) is not None

    def list(self) -> tuple[ScheduledMessage, ...]:
        """All schedules, by name."""
        return tuple(_shown(entry) for _, entry in sorted(self._entries.items()))

    def close(self) -> None:
        """Send nothing any more."""
        self._entries.clear()
        if self._timer is not None:
            self._timer.cancel()

    # ---- inside

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        times = [entry.wakes for entry in self._entries.values()]
        wakes = min((time for time in times if time is not None), default=None)
        if wakes is not None:
            self._timer = self._loop.call_later(min(max(0.0, wakes - self._clock()), _LOOK), self._look)

    def _look(self) -> None:
        """Send what is due."""
        now = self._clock()
        for entry in list(self._entries.values()):
            entry.row = entry.row._replace(after=entry.schedule.reset(entry.row.after, now))
            due, wakes = entry.due, entry.wakes
            if due is not None and wakes is not None and wakes <= now:
                entry.sending = True
                self._keep(self._run(entry, entry.schedule.caught_up(due, now)))
        self._set_timer()

    async def _run(self, entry: _Entry, after: float) -> None:
        """Send one message; a run that fails is tried again."""
        done = entry.row._replace(after=after)
        try:
            await self._send(done)
            entry.row = done
        except Exception as error:
            entry.not_before = self._clock() + _RETRY
            self._failed(done, str(error))
        finally:
            entry.sending = False
            self._set_timer()


def _shown(entry: _Entry) -> ScheduledMessage:
    due, row = entry.due, entry.row
    when = None if due is None else datetime.fromtimestamp(due, UTC)
    return ScheduledMessage(row.name, row.child, row.message_type, entry.schedule, when)
