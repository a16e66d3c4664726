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
    """

    ago: float
    reason: str
    early: bool = False
    message: str | None = None
    decision: Decision = Decision.RESTART
    because: str = ""
    out_of_memory: bool = False
    node: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the spec of a child allows; None where there is no limit, or it has no such thing."""

    start_timeout: float | None = None
    shutdown: float | None = None
    handler_timeout: float | None = None
    max_rss: int | None = None
    mailbox: int | None = None
    overflow: str = ""
    size: int = 1


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
        trend: what its samples say, None where there are too few.
        senders: how many senders wait for room in its mailbox.
        waits_for: path of the sibling that starts before it, None when there is none.
        awaits: what it waits for before it is ready, in words; empty where it is not known.
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
    trend: Trend | None = None
    senders: int = 0
    waits_for: str | None = None
    awaits: str = ""
    runs_jobs: bool = False
    unstored: str = ""
