"""Scheduler: sends the scheduled messages of one tree when their time comes.

    add, recover ─▶ one timer of the loop, by the wall clock ─▶ send ─▶ the next time

The wall clock may be set, and the machine may sleep; so the scheduler looks at least once a minute.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from actors.bounds import shown
from actors.errors import UsageError
from supervisor.core.schedule import Schedule
from supervisor.mailbox.validation import Admitted
from supervisor.messaging.registry import absolute
from supervisor.messaging.tree_context import TreeContext
from supervisor.store.writes import DeleteSchedule, PutSchedule, ScheduleRan, ScheduleRow, Write

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
        not_before: when a run that failed is tried again, in the time of the loop.
        sending: whether a run is under way.
        failing: why the last run failed, None when it did not: a run that fails again and again is told once.
    """

    def __init__(self, row: ScheduleRow, schedule: Schedule) -> None:
        self.row = row
        self.schedule = schedule
        self.not_before = 0.0
        self.sending = False
        self.failing: str | None = None
        self._found: tuple[Schedule, float, float | None] | None = None

    @property
    def due(self) -> float | None:
        """When the next run is, or was, due; a cron expression takes some time to follow, so it is kept."""
        schedule, after = self.schedule, self.row.after
        if self._found is None or self._found[:2] != (schedule, after):
            self._found = schedule, after, schedule.next_after(after)
        return self._found[2]

    def wait(self, wall: float, now: float) -> float | None:
        """Seconds until there is something to do, by the wall clock and the loop's; None when there is nothing."""
        due = None if self.sending else self.due
        return None if due is None else max(0.0, due - wall, self.not_before - now)


class Scheduler:
    """The schedules of one tree.

    Args:
        path: of the root.
        tree: what the tree shares.
        clock: the wall clock, seconds since the epoch.
    """

    def __init__(self, path: str, tree: TreeContext, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._tree = tree
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._timer: asyncio.TimerHandle | None = None

    def recover(self, rows: Sequence[ScheduleRow]) -> None:
        """Go on with the schedules of the store; what was missed meanwhile is made up for once.

        Raises:
            UsageError: one cannot be followed here: the extra `cron` or its time zone is missing.
        """
        for row in rows:
            self._entries[row.name] = _Entry(row, _parsed(row))
        self._set_timer()

    def add(self, name: str, child: str, message: Admitted, schedule: Schedule) -> asyncio.Future[None]:
        """Add or replace a schedule; one that is the same goes on where it was. Done when it is stored."""
        row = ScheduleRow(name, child, str(schedule), message.name, bytes(message.packed.data), self._clock())
        entry = self._entries.setdefault(name, _Entry(row, schedule))
        if (entry.row.child, entry.row.schedule) == (row.child, row.schedule):
            row = row._replace(after=entry.row.after)
        entry.row, entry.schedule = row, schedule
        self._set_timer()
        return self._store(PutSchedule(row))

    def remove(self, name: str) -> asyncio.Future[None]:
        """Remove a schedule. Done when that is stored.

        Raises:
            UsageError: there is none of that name.
        """
        if self._entries.pop(name, None) is None:
            known = ", ".join(sorted(self._entries)) or "none"
            raise UsageError(f"{self._path} has no schedule {shown(name)}; it has: {known}")
        return self._store(DeleteSchedule(name))

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
        loop = self._tree.loop
        waits = [entry.wait(self._clock(), loop.time()) for entry in self._entries.values()]
        wait = min((each for each in waits if each is not None), default=None)
        if wait is not None:
            self._timer = loop.call_later(min(wait, _LOOK), self._look)

    def _look(self) -> None:
        """Send what is due."""
        now = self._clock()
        for entry in list(self._entries.values()):
            entry.row = entry.row._replace(after=entry.schedule.reset(entry.row.after, now))
            due = entry.due
            if due is not None and entry.wait(now, self._tree.loop.time()) == 0.0:
                before, entry.row = entry.row.after, entry.row._replace(after=entry.schedule.caught_up(due, now))
                entry.sending = True
                self._tree.keep(self._run(entry, before))
        self._set_timer()

    async def _run(self, entry: _Entry, before: float) -> None:
        """Send one message; a run that fails is tried again."""
        row = entry.row
        try:
            if self._entries.get(row.name) is entry:
                await self._send(row)
            entry.failing = None
        except Exception as error:
            if entry.row.after == row.after:  # it was not replaced meanwhile
                entry.row = entry.row._replace(after=before)
            entry.not_before = self._tree.loop.time() + _RETRY
            if entry.failing != (failing := str(error)):
                entry.failing = failing
                self._tree.reports.schedule_failed(row.name, row.child, failing)
        finally:
            entry.sending = False
            self._set_timer()

    async def _send(self, row: ScheduleRow) -> None:
        mailbox = self._tree.registry.find(absolute(self._path, row.child))
        await mailbox.post_scheduled(row.payload, ScheduleRan(row.name, row.after), self._tree.store)

    def _store(self, write: Write) -> asyncio.Future[None]:
        if self._tree.store is not None:
            return self._tree.store.commit([write])
        done: asyncio.Future[None] = self._tree.loop.create_future()
        done.set_result(None)
        return done


def _parsed(row: ScheduleRow) -> Schedule:
    try:
        return Schedule.parse(row.schedule)
    except UsageError as error:
        raise UsageError(
            f"schedule {row.name!r} for {row.child}, which the store keeps, cannot be followed here: {error}. One "
            f"that is not wanted any more is a row of the store's table `schedule`: delete it with sqlite3"
        ) from None


def _shown(entry: _Entry) -> ScheduledMessage:
    due, row = entry.due, entry.row
    when = None if due is None else datetime.fromtimestamp(due, UTC)
    return ScheduledMessage(row.name, row.child, row.message_type, entry.schedule, when)
