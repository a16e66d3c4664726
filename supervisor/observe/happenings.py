"""Happenings: what happens in a tree, as typed events: what `root.events()` gives. Values."""

from __future__ import annotations

import msgspec

from actors.exits import ExitReason, ExitReport


class ChildStarted(msgspec.Struct, frozen=True, tag=True):
    """A life is ready for messages.

    Attributes:
        actor: path of the child, of any kind.
        life: its number; 1 is the first.
        pid: process id; None for a task of the daemon.
        node: name of the machine its process runs on; None on the daemon's.
    """

    actor: str
    life: int
    pid: int | None
    node: str | None = None


class SuccessorBegun(msgspec.Struct, frozen=True, tag=True):
    """A life is started beside the current one, to follow it when it is ready.

    Attributes:
        actor: path of the actor.
        life: the number of the new life.
    """

    actor: str
    life: int


class ChildExited(msgspec.Struct, frozen=True, tag=True):
    """A life has ended.

    Attributes:
        report: why, and what happens next.
    """

    report: ExitReport


class SupervisorStarted(msgspec.Struct, frozen=True, tag=True):
    """All static children of a supervisor are ready.

    Attributes:
        supervisor: its path.
    """

    supervisor: str


class SupervisorGaveUp(msgspec.Struct, frozen=True, tag=True):
    """A supervisor exceeded its restart intensity and stops its children.

    Attributes:
        supervisor: its path.
        child: name of the child whose death was one too many.
        restarts: how many its window would have held, with that one.
    """

    supervisor: str
    child: str
    restarts: int


class SupervisorStopped(msgspec.Struct, frozen=True, tag=True):
    """A supervisor and all of its children are down.

    Attributes:
        supervisor: its path.
        reason: why it stopped.
    """

    supervisor: str
    reason: ExitReason


class HandlerSlow(msgspec.Struct, frozen=True, tag=True):
    """A handler takes longer than `soft_timeout`; nothing is done about it.

    Attributes:
        actor: path of the actor.
        life: the number of its life.
        handler: in words, `Index.search`.
        seconds: how long it has taken so far.
        stacks: of the threads and tasks of its process, None when they did not come in time.
    """

    actor: str
    life: int
    handler: str
    seconds: float
    stacks: str | None = None


class MailboxUnclaimed(msgspec.Struct, frozen=True, tag=True):
    """The store has a mailbox that no durable actor of the tree has: it was renamed or removed.

    Attributes:
        mailbox: its name in the store, the path of the actor below the root.
        waiting: how many messages wait, delayed ones included.
        dead_letters: how many dead letters it has.
    """

    mailbox: str
    waiting: int
    dead_letters: int


class StoreFailed(msgspec.Struct, frozen=True, tag=True):
    """What a durable actor has handled could not be stored, or what waits for it could not be read.

    No reply leaves, and it is tried again until it succeeds.

    Attributes:
        mailbox: the actor's name in the store, its path below the root.
        detail: what is wrong.
    """

    mailbox: str
    detail: str


class HealthChanged(msgspec.Struct, frozen=True, tag=True):
    """An actor says something else of its health than before.

    Attributes:
        actor: its path.
        life: the number of its life.
        degraded: what it says; None when it is well again.
    """

    actor: str
    life: int
    degraded: str | None


Happening = (
    ChildStarted
    | SuccessorBegun
    | ChildExited
    | HandlerSlow
    | HealthChanged
    | MailboxUnclaimed
    | StoreFailed
    | SupervisorStarted
    | SupervisorGaveUp
    | SupervisorStopped
)
