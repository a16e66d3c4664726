"""Facts: what is known of one child at one moment, as values. Pure."""

from __future__ import annotations

import msgspec

from supervisor.control.look.samples import Trend
from supervisor.core.rules.states import SupervisorState
from supervisor.core.tree.commands import Decision
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot


class Exit(msgspec.Struct, frozen=True):
    """A life that ended.

    Attributes:
        ago: seconds.
        reason: in one line.
        early: whether it ended before it was ready.
        message: type name of the message that it was handling, None when it handled none.
        decision: what followed.
        because: why.
        out_of_memory: whether the kernel killed it for lack of memory.
        node: name of the machine on which it ran; empty on the daemon's.
        wrote: what a program wrote last; its reason alone says little.
    """

    ago: float
    reason: str
    early: bool = False
    message: str | None = None
    decision: Decision = Decision.RESTART
    because: str = ""
    out_of_memory: bool = False
    node: str = ""
    wrote: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the spec of a child allows; None where there is no limit, or it has no such thing."""

    start_timeout: float | None = None
    shutdown: float | None = None
    handler_timeout: float | None = None
    max_rss: int | None = None
    mailbox: int | None = None
    overflow: str = ""
    size: int = 1


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for a process of an actor: the messages of its queue, which all processes of a pool may share.

    Attributes:
        depth: messages that wait or are being handled.
        waiting: those of them that no handler has begun.
        ended: messages of the process that are over.
        takers: processes that take from it.
        first: whether this one of them tells of the queue, for all.
        longest: whether no process of its pool has a longer one.
        by: how its pool chooses a process, where each has a queue of its own; empty where there is one queue.
    """

    depth: int = 0
    waiting: int = 0
    ended: int = 0
    takers: int = 1
    first: bool = True
    longest: bool = True
    by: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one child at one moment.

    Attributes:
        node: its snapshot.
        supervisor: path of its supervisor; empty for the root.
        phase: the state of its supervisor.
        allowed: how many restarts its supervisor allows in `period`, None without a bound.
        period: seconds in which restarts count.
        held: how many of its restarts counted after its last death.
        limits: of its spec.
        exits: its last deaths, oldest first.
        started_ago: seconds since its current life was begun, None where that is not known.
        stopping_ago: seconds since its current life was asked to stop, None when it was not.
        queue: what waits for it.
        trend: what its samples say, None where there are too few.
        asked: paths of the actors for whose answers its handler waits, as far as that blocks the whole actor.
        senders: how many senders wait for room in its mailbox.
        waits_for: path of the sibling that starts before it, None when there is none.
        awaits: what it waits for before it is ready, in words; empty where it is not known.
        drains: whether it is in a part of the tree that drains.
        runs_jobs: whether it is one of the processes for jobs.
        unstored: why its store does not take what it is sent, or has handled; empty where it does, or there is none.
    """

    node: ChildSnapshot | SupervisorSnapshot
    supervisor: str = ""
    phase: SupervisorState = SupervisorState.RUNNING
    allowed: int | None = 3
    period: float = 5.0
    held: int = 0
    limits: Limits = Limits()
    exits: tuple[Exit, ...] = ()
    started_ago: float | None = None
    stopping_ago: float | None = None
    queue: Queue = Queue()
    trend: Trend | None = None
    asked: tuple[str, ...] = ()
    senders: int = 0
    waits_for: str | None = None
    awaits: str = ""
    drains: bool = False
    runs_jobs: bool = False
    unstored: str = ""
