"""View: what the page gets, as JSON: rows of the tree, events, dead letters, the daemon. Pure.

Texts are those of `actorctl`, so that page and terminal say the same.
"""

from __future__ import annotations

import msgspec

from supervisor.control.frames import Identity, Occurred
from supervisor.control.look.words import brief
from supervisor.core.rules.states import ChildState
from supervisor.ctl.rows import Row
from supervisor.ctl.text import doing, event_text, state_of
from supervisor.observe.broadcast import Missed
from supervisor.observe.happenings import ChildExited, ChildStarted, SupervisorGaveUp
from supervisor.tree.snapshot import ChildSnapshot


class RowView(msgspec.Struct, frozen=True, kw_only=True):
    """One child; None where it has no such thing.

    Attributes:
        level: how many supervisors are above it.
        kind: actor, task, function, command or supervisor.
        state: in one word.
        well: whether that is as it should be.
        down: whether it can be started.
        up: seconds since it became ready.
        waiting: messages that wait or are being handled.
        rate: messages that ended a second.
        cpu: percent of one processor.
        memory: bytes.
        doing: what it does, or why it does nothing.
        last_exit: why its last life ended.
        p50: seconds in which half of the last asks were answered.
        p99: the same of 99 in 100.
    """

    path: str
    name: str
    level: int
    kind: str
    state: str
    well: bool
    down: bool
    life: int
    pid: int | None
    up: float | None
    waiting: int | None
    rate: float | None
    cpu: float | None
    memory: int | None
    doing: str
    last_exit: str
    p50: float | None = None
    p99: float | None = None


class EventView(msgspec.Struct, frozen=True):
    """One event.

    Attributes:
        at: time.time() at which it happened.
        kind: `start`, `death` (abnormal), `end` (as it should be), `note`, or `lost`: events are missing, or the
            daemon is gone.
        path: of the child, empty when it is about none.
        text: one line.
    """

    at: float
    kind: str
    path: str
    text: str


class DaemonView(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon; `trouble` says why it does not answer, and is empty while it does."""

    pid: int
    tree: str
    command: str
    python: str
    started: float
    health: str
    running: int
    children: int
    trouble: str = ""


Quantiles = dict[str, tuple[float | None, float | None]]
"""Of the last asks of each actor: the times of half of them, and of 99 in 100."""


def row_view(row: Row, latency: Quantiles) -> RowView:
    """One row."""
    node = row.node
    child = node if isinstance(node, ChildSnapshot) else None
    actor = child if child is not None and child.kind == "actor" else None
    state = state_of(node)
    p50, p99 = latency.get(_mailbox(node.path, latency), (None, None))
    return RowView(
        path=node.path,
        name=node.name,
        level=row.level,
        kind="supervisor" if child is None else child.kind,
        state=state,
        well=state == "running",
        down=node.state in (ChildState.STOPPED, ChildState.EXITED),
        life=node.life,
        pid=None if child is None else child.pid,
        up=node.uptime,
        waiting=None if actor is None else actor.mailbox,
        rate=None if actor is None else round(row.rate, 1),
        cpu=round(row.cpu, 1) if row.memory else None,
        memory=row.memory or None,
        doing=doing(node),
        last_exit="" if node.last_exit is None else brief(node.last_exit.reason),
        p50=p50,
        p99=p99,
    )


def event_view(occurred: Occurred) -> EventView:
    """One event."""
    kind, path = "note", ""
    match occurred.event:
        case ChildStarted(actor):
            kind, path = "start", actor
        case ChildExited(report):
            kind, path = ("death" if report.reason.abnormal else "end"), report.actor
        case SupervisorGaveUp(supervisor):
            kind, path = "death", supervisor
        case Missed():
            kind = "lost"
        case other:
            path = getattr(other, "actor", getattr(other, "supervisor", ""))
    return EventView(occurred.at, kind, path, event_text(occurred.event))


def daemon_view(identity: Identity, trouble: str = "") -> DaemonView:
    """The daemon."""
    return DaemonView(
        pid=identity.pid,
        tree=identity.tree,
        command=" ".join(identity.argv),
        python=identity.python,
        started=identity.started,
        health=identity.health.status.value,
        running=identity.running,
        children=identity.children,
        trouble=trouble,
    )


def _mailbox(path: str, latency: Quantiles) -> str:
    """The path of the mailbox whose messages a child shows: of a pool, at its first process."""
    pool, _, number = path.rpartition("/")
    return pool if path not in latency and number == "0" else path
