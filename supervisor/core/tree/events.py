"""What can happen to a supervisor.

An event is a plain value that a journal can hold; whatever came from chance (a roll of the dice) is
in it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from actors.exits import ExitReason
from supervisor.core.terms import ChildTerms


class TimerKind(StrEnum):
    """What a timer is for."""

    START = "start"  # the child must be ready by then
    GRACE = "grace"  # the child must be gone by then
    BACKOFF = "backoff"  # the child is started then
    DEADLINE = "deadline"  # the whole tree must be gone by then


class Timer(msgspec.Struct, frozen=True, tag=True):
    """The name of one timer: whose, of which life, what for. `child` is empty for the supervisor's own."""

    child: str
    life: int
    kind: TimerKind


class Event(msgspec.Struct, frozen=True, tag=True):
    """Base of all events."""


class Boot(Event, frozen=True):
    """Start the static children, in the order of the spec."""


class ChildReady(Event, frozen=True):
    """A life of a child finished `on_start` (for a supervisor: all of its children are ready)."""

    child: str
    life: int


class ChildExited(Event, frozen=True):
    """A life of a child is over: its process is gone and its last words have been read.

    `roll` in [0, 1) is the dice for this child's jitter. `wanted`: it had stopped itself because nothing waited for it,
    and now something does.
    """

    child: str
    life: int
    reason: ExitReason
    roll: float = 0.0
    wanted: bool = False


class RecycleAsked(Event, frozen=True):
    """A life that runs has reached a limit of its spec and shall make room for the next one; `because` is one line."""

    child: str
    life: int
    because: str


class TimerFired(Event, frozen=True):
    """A timer set by `SetTimer` ran out. One that was cancelled may still come: it changes nothing."""

    timer: Timer


class StopRequested(Event, frozen=True):
    """The supervisor shall stop its children in reverse order and end.

    `deadline`: seconds the whole stop may take before everything left is killed; None: each child's own
    grace.
    """

    deadline: float | None = None


class KillRequested(Event, frozen=True):
    """Kill everything now (the second signal of an impatient operator)."""


class StartAsked(Event, frozen=True):
    """API `start_child`: add a child and start it. `ticket` names the caller who waits for an `Answer`."""

    ticket: int
    terms: ChildTerms


class TerminateAsked(Event, frozen=True):
    """API `terminate_child`: stop a child, keep its spec (a temporary one is forgotten)."""

    ticket: int
    child: str


class RestartAsked(Event, frozen=True):
    """API `restart_child`: start a child that is down."""

    ticket: int
    child: str


class DeleteAsked(Event, frozen=True):
    """API `delete_child`: forget a child that is down."""

    ticket: int
    child: str


AnyEvent = (
    Boot
    | ChildReady
    | ChildExited
    | RecycleAsked
    | TimerFired
    | StopRequested
    | KillRequested
    | StartAsked
    | TerminateAsked
    | RestartAsked
    | DeleteAsked
)
