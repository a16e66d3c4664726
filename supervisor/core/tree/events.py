"""Events: what can happen to a supervisor.

An event is a plain value that a journal can hold; random numbers are part of it. Pure.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from actors.exits import ExitReason
from supervisor.core.causes import Cause
from supervisor.core.terms import ChildTerms


class TimerKind(StrEnum):
    """What a timer is for."""

    START = "start"  # the child must be ready by then
    GRACE = "grace"  # the child must have ended by then
    BACKOFF = "backoff"  # the child is started then
    DEADLINE = "deadline"  # the whole tree must have ended by then
    RECYCLE = "recycle"  # the successor of the life is started then


class Timer(msgspec.Struct, frozen=True, tag=True):
    """The name of one timer: of which child and life, and its purpose. `child` is empty for the supervisor's own."""

    child: str
    life: int
    kind: TimerKind


class Event(msgspec.Struct, frozen=True, tag=True):
    """Base of all events."""


class Boot(Event, frozen=True):
    """Start the static children, in the order of the spec."""


class ChildReady(Event, frozen=True):
    """A life of a child has finished `on_start` (for a supervisor: all of its children are ready)."""

    child: str
    life: int


class ChildExited(Event, frozen=True):
    """A life of a child has ended: its process is gone and everything it sent has been read.

    `roll` in [0, 1) is the random number for this child's jitter. `wanted`: the next life follows at once, whatever the
    policy, and nothing is counted; `because` says why in one line, and left out, it had stopped itself because no
    message waited, and now one does. `causes`: what a rule can decide by, the most exact one first. `hung_in`: where it
    waited when its time to become ready was over; empty when that is not known.
    """

    child: str
    life: int
    reason: ExitReason
    roll: float = 0.0
    wanted: bool = False
    causes: tuple[Cause, ...] = ()
    hung_in: str = ""
    because: str = ""


class RecycleAsked(Event, frozen=True):
    """A running life has reached a limit of its spec and is to be replaced by the next; `because` is one line."""

    child: str
    life: int
    because: str


class RecycleCalled(Event, frozen=True):
    """API `recycle`: replace the life of a child by its next one."""

    ticket: int
    child: str


class StreamsOver(Event, frozen=True):
    """A life that was asked to report it has no stream or feed in flight: stopping it interrupts none."""

    child: str
    life: int


class TimerFired(Event, frozen=True):
    """A timer set by `SetTimer` ran out. A cancelled one may still fire: it changes nothing."""

    timer: Timer


class StopRequested(Event, frozen=True):
    """Stop the children in reverse order, then end.

    `deadline`: seconds the whole stop may take before everything left is killed; None: each child's own grace.
    """

    deadline: float | None = None


class KillRequested(Event, frozen=True):
    """Kill everything now (a second signal, or `request_kill`)."""


class StartAsked(Event, frozen=True):
    """API `start_child`: add a child, or all members of a pool, and start them. All become ready, or none stays.

    Attributes:
        ticket: of the call, which waits for an `Answer`.
        terms: of the child, or of the first member.
        name: of the spec, which must be free; empty when one member is added to an existing pool.
        others: of the other members.
    """

    ticket: int
    terms: ChildTerms
    name: str = ""
    others: tuple[ChildTerms, ...] = ()

    @property
    def members(self) -> tuple[ChildTerms, ...]:
        """Terms of all that it adds."""
        return (self.terms, *self.others)


class UndoAsked(Event, frozen=True):
    """API `start_child` was cancelled: stop and delete what that call (`start` is its ticket) has added."""

    ticket: int
    start: int


class TerminateAsked(Event, frozen=True):
    """API `terminate_child`: stop a child, keep its spec (a temporary one is deleted)."""

    ticket: int
    child: str


class RestartAsked(Event, frozen=True):
    """API `restart_child`: start a child that is down."""

    ticket: int
    child: str


class DeleteAsked(Event, frozen=True):
    """API `delete_child`: delete the spec of a child that is down."""

    ticket: int
    child: str


class RetireAsked(Event, frozen=True):
    """The supervisor above starts this one no more: close each mailbox that its end has left open."""

    because: str


AnyEvent = (
    Boot
    | ChildReady
    | ChildExited
    | RecycleAsked
    | RecycleCalled
    | StreamsOver
    | TimerFired
    | StopRequested
    | KillRequested
    | StartAsked
    | TerminateAsked
    | RestartAsked
    | DeleteAsked
    | UndoAsked
    | RetireAsked
)
