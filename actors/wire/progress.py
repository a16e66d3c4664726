"""Progress: what a black box says of a process, as values."""

from __future__ import annotations

import msgspec


class Progress(msgspec.Struct, frozen=True):
    """What a black box says.

    Attributes:
        begun: the highest sequence number that a handler has begun.
        active: sequence numbers whose handler had begun and not returned.
        since: time.monotonic_ns() at which the longest-running of them began, or the last one if none runs.
        handler: place of that one's handler in the actor's table, -1 when none was ever called.
    """

    begun: int
    active: frozenset[int]
    since: int
    handler: int


class Work(msgspec.Struct, frozen=True):
    """One handler call under way.

    Attributes:
        lane: where it is noted.
        since: time.monotonic_ns() at which it began.
        until: time.monotonic_ns() until which it was granted time, 0 when it has asked for none.
        handler: its handler's place in the actor's table.
    """

    lane: int
    since: int
    until: int
    handler: int


class Activity(msgspec.Struct, frozen=True):
    """What goes on in a process at one moment.

    Attributes:
        work: the handler calls under way, those for the actor's own timers included.
        steps: a number that is another one whenever a handler has begun or ended in between.
        pulse: how often the interpreter has answered that it runs.
        leaving: whether the actor has stopped itself.
    """

    work: tuple[Work, ...]
    steps: int
    pulse: int
    leaving: bool
