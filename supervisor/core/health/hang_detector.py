"""Hang detector: tells a hung process from a busy one. Pure.

The limit is wall-clock time, less the time a process could not use: when it wanted a processor and got none, when the
watchdog itself was late (a stalled loop, a suspended machine), when a debugger held it. A process is hung when it is
over the limit at two looks, so that it had a chance to run in between.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from actors.wire.progress import Activity, Work

SECOND_LOOK: Final = 200_000_000  # ns between the look at which something is over its limit and the one that counts

Key = tuple[int, int]  # what is timed: a lane and when its handler began, or -1 and a number of steps


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is seen at one moment.

    Attributes:
        now: time.monotonic_ns().
        activity: what the black box says.
        waiting: whether messages were delivered to it that have not ended.
        stopped: whether the process is stopped, by SIGSTOP for instance.
        starved: ns of its life in which it wanted a processor and got none, 0 where that is not counted.
        traced: whether a debugger holds it.
        age: ns since that was so: what is seen of another machine is a sample.
    """

    now: int
    activity: Activity
    waiting: bool = False
    stopped: bool = False
    starved: int = 0
    traced: bool = False
    age: int = 0


class Alarm(msgspec.Struct, frozen=True):
    """Something is over its limit. `work`: the handler call; None when messages wait and none begins."""

    work: Work | None


class HangDetector:
    """Examines one life at successive looks.

    Args:
        limit: ns that one handler may take, and that messages may wait without any of them beginning.

    Attributes:
        next_at: when to look again, time.monotonic_ns(). What has not begun yet cannot be over its limit earlier.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lost = 0  # ns so far that do not count
        self._lost_before: dict[Key, int] = {}  # how many of them before the look that first saw a call
        self._last: Look | None = None
        self._suspect: Key | None = None
        self._over_since = 0  # since when the suspect is over its limit
        self._stands: tuple[Key, int] | None = None  # what makes no progress though it should, and since when
        self.next_at = 0

    def look(self, look: Look) -> Alarm | None:
        """What is hung now, None when nothing is. Sets `next_at`."""
        before = self._lost
        self._lost += self._excused(look)
        watched = self._watched(look)
        self._lost_before = {key: self._lost_before.get(key, before) for key in watched}
        ends = {key: end + self._lost - self._lost_before[key] for key, (end, _) in watched.items()}
        first = min(ends, key=ends.__getitem__, default=None)
        self._last = look
        if first is None or look.now < ends[first]:
            self._suspect = None
            self.next_at = look.now + self._limit if first is None else min(ends[first], look.now + self._limit)
            return None
        self.next_at = look.now + SECOND_LOOK
        self._over_since = ends[first]
        if self._suspect != first:
            self._suspect = first
            return None
        return Alarm(watched[first][1])

    def excuse(self, now: int) -> None:
        """What raised the alarm has the whole of its limit again: its handler stands in a debugger."""
        self._lost += now - self._over_since + self._limit
        self._suspect = None

    def _watched(self, look: Look) -> dict[Key, tuple[int, Work | None]]:
        """What may exceed its limit, and when it does if no time is excused."""
        work = look.activity.work
        watched: dict[Key, tuple[int, Work | None]] = {
            (call.lane, call.since): (max(call.since + self._limit, call.until), call) for call in work
        }
        stands = look.stopped if work else look.waiting and not look.activity.leaving
        if not stands:
            self._stands = None
            return watched
        key = (-1, look.activity.steps)
        if self._stands is None or self._stands[0] != key:
            self._stands = key, look.now
        watched[key] = self._stands[1] + self._limit, work[0] if work else None
        return watched

    def _excused(self, look: Look) -> int:
        """Ns since the last look that do not count."""
        if self._last is None:
            return 0
        passed = look.now - look.age - (self._last.now - self._last.age)
        if look.traced:
            return passed
        late = look.now - self.next_at
        return min(passed, max(0, late) + max(0, look.starved - self._last.starved))


class Health(StrEnum):
    """The condition of a life at one moment."""

    IDLE = "idle"
    BUSY = "busy"
    OVER = "over its limit"
    STOPPED = "stopped"


def health(activity: Activity, state: str, now: int, limit: int | None) -> Health:
    """The condition of a life.

    Args:
        activity: what its black box says.
        state: the kernel's letter for the state of its process.
        now: time.monotonic_ns().
        limit: ns that one handler may take, None without a limit.
    """
    if state == "T":
        return Health.STOPPED
    if limit is not None and any(now > max(call.since + limit, call.until) for call in activity.work):
        return Health.OVER
    return Health.BUSY if activity.work else Health.IDLE


class Finding(StrEnum):
    """The kind of a hang."""

    STOPPED = "process stopped (SIGSTOP)"
    KERNEL = "process held up in the kernel (state D)"
    BLOCKED = "interpreter blocked"
    OVER = "over its limit"


def finding(state: str, *, answered: bool | None) -> Finding:
    """Which kind of hang it is.

    Args:
        state: the kernel's letter for the state of the process.
        answered: whether its interpreter answered a heartbeat; None when it could not be asked.
    """
    if state == "T":
        return Finding.STOPPED
    if answered or answered is None:
        return Finding.OVER
    return Finding.KERNEL if state == "D" else Finding.BLOCKED


def explain(found: Finding, handler: str, limit: float) -> str:
    """The hang as one line. `handler` is empty when no message begins; `limit` in seconds."""
    rule = f"its limit of {limit:g} s (handler_timeout)"
    if found is Finding.OVER:
        what = f"{handler} over {rule}" if handler else f"it begins none of its messages within {rule}"
    else:
        what = f"{found} in {handler}, over {rule}" if handler else f"{found}, it begins none of its messages"
    return f"hung: {what}"
