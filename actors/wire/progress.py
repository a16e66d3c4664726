"""Progress: what a black box says of a process, as values. Pure."""

from __future__ import annotations

from typing import Final

import msgspec


class Progress(msgspec.Struct, frozen=True):
    """What a black box says after a death or at one moment.

    Attributes:
        begun: the highest sequence number that a handler has begun.
        active: sequence numbers whose handler has begun and not returned.
        since: time.monotonic_ns() at which the longest-running of them began, or the last one if none runs.
        handler: index of that handler in the actor's table, -1 when none was ever called.
        decoding: whether it is decoding messages, which its handlers have not begun.
    """

    begun: int
    active: frozenset[int]
    since: int
    handler: int
    decoding: bool = False


NOTHING_BEGUN: Final = Progress(begun=0, active=frozenset(), since=0, handler=-1)


class Work(msgspec.Struct, frozen=True):
    """One handler call in progress.

    Attributes:
        lane: the lane of the black box that records it.
        since: time.monotonic_ns() at which it began.
        until: time.monotonic_ns() of its extended limit, 0 when it asked for none.
        handler: index of its handler in the actor's table.
    """

    lane: int
    since: int
    until: int
    handler: int


class Activity(msgspec.Struct, frozen=True):
    """What a process is doing at one moment.

    Attributes:
        work: the handler calls in progress, those for the actor's own timers included.
        steps: a number that changes whenever a handler begins or ends.
        heartbeats: how often the interpreter has answered a heartbeat.
        leaving: whether the actor has stopped itself.
        health_since: time.monotonic_ns() at which its `Actor.health` was called, 0 while that does not run.
    """

    work: tuple[Work, ...]
    steps: int
    heartbeats: int
    leaving: bool
    health_since: int = 0
