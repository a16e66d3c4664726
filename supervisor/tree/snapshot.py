"""Snapshot: the whole tree at one moment, as values, and as text a person can read.

Taking one changes nothing and waits for nothing.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, Literal

import msgspec

from actors.exits import ExitReport
from supervisor.core.health.hang_detector import Health
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.core.terms import RestartPolicy, Strategy
from supervisor.core.tree.child import ChildView
from supervisor.kinds.lone_child import LoneChild, LoneKind
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.engine import Engine
from supervisor.tree.subtree import Subtree


class ChildSnapshot(msgspec.Struct, frozen=True, kw_only=True, tag="actor"):
    """One actor, task, function or command.

    Attributes:
        name: its name under its supervisor.
        path: its full name.
        state: stopped, starting, running, stopping, backoff or exited.
        restart: its restart policy.
        life: the number of its current or last life, 0 before the first.
        pid: process id, None when it has no process.
        uptime: seconds since the current life became ready, None when it is not.
        next_try: seconds until the next start, None when none is planned.
        mailbox: messages that wait or are being handled. Those of a pool are shown at its first process, so that each
            counts once.
        fates: how many messages ended how; of a pool, as `mailbox`.
        handling: type name of the message being handled, `job parse` of a job; None when it is idle.
        handling_for: seconds since that handler began, None when it is idle.
        health: idle, busy, over its limit or stopped; None when it has no process. Of a function or a command it is
            only known whether a signal has stopped its process.
        last_exit: report of the last life that ended, None before the first.
        successor: the number of the life that was started beside the current one, to follow it; None without one.
        kind: actor, task, function or command. Only actors have messages.
        degraded: what `Actor.health` said last; None when it is well, and where it says nothing.
        node: name of the machine its process runs on; None on the daemon's.
        resident: bytes of resident memory of a process on another machine, None where they are not known. Those of a
            process on the daemon's machine are in its /proc.
        port: the number that stands for `{port}` in a command, None without one.
        awaits: what it waits for before it is ready, in words: a machine, or what its command has to do; empty where
            that is not known.
    """

    name: str
    path: str
    state: ChildState
    restart: RestartPolicy
    life: int
    pid: int | None
    uptime: float | None
    next_try: float | None
    mailbox: int
    fates: dict[str, int]
    handling: str | None
    handling_for: float | None
    health: Health | None
    last_exit: ExitReport | None
    successor: int | None = None
    kind: Literal["actor"] | LoneKind = "actor"
    port: int | None = None
    degraded: str | None = None
    node: str | None = None
    resident: int | None = None
    awaits: str = ""


class SupervisorSnapshot(msgspec.Struct, frozen=True, kw_only=True, tag="supervisor"):
    """One supervisor and everything below it.

    Attributes:
        name: its name.
        path: its full name.
        state: its state as a child of the one above; the root is running while it runs.
        phase: starting, running, restarting, stopping, stopped.
        strategy: which siblings a restart affects.
        life: the number of its current or last life.
        uptime: seconds since it became ready, None when it is not.
        next_try: seconds until the next start, None when none is planned.
        restarts: restarts of its children within the last `period` seconds. It is not the number of all restarts:
            that is what `life` counts, of each child since it was added.
        budget: how many more it makes within `period` before it gives up, None without a bound.
        period: seconds of that window, as its `Intensity` says.
        spares: processes that wait to become the next life of any actor; the root's are for the whole tree.
        shared_values: `Shared` values that messages hold in mailboxes and in flight; the root's are for the whole tree.
        shared_bytes: bytes of these.
        store_failure: why the store does not store, or read, something now; None while it works. The root's is for the
            whole tree.
        children: in the order of their start.
        last_exit: report of its last life that ended, None before the first.
    """

    name: str
    path: str
    state: ChildState
    phase: SupervisorState
    strategy: Strategy
    life: int
    uptime: float | None
    next_try: float | None
    restarts: int
    budget: int | None
    spares: int
    children: tuple[ChildSnapshot | SupervisorSnapshot, ...]
    last_exit: ExitReport | None
    shared_values: int = 0
    shared_bytes: int = 0
    store_failure: str | None = None
    period: float = 5.0

    def __str__(self) -> str:
        return "\n".join(_lines(self, ""))

    @property
    def window(self) -> str:
        """The restarts that count now, in words: `restarts in 5 s: 1 used, 2 left`."""
        left = "without a bound" if self.budget is None else f"{self.budget} left"
        return f"restarts in {self.period:g} s: {self.restarts} used, {left}"


Snapshot = ChildSnapshot | SupervisorSnapshot

Kind = Literal["actor", "supervisor"] | LoneKind


class ChildInfo(msgspec.Struct, frozen=True):
    """One row of `which_children`.

    Attributes:
        name: its name under its supervisor; of a process of a pool with its number, `parser/0`.
        kind: actor, task, function, command or supervisor.
        state: stopped, starting, running, stopping, backoff or exited.
        pid: process id, None when it has no process.
    """

    name: str
    kind: Kind
    state: ChildState
    pid: int | None


class ChildCounts(msgspec.Struct, frozen=True):
    """What `count_children` returns; the words are OTP's.

    Attributes:
        specs: children, running or not.
        active: children with a running process or subtree.
        supervisors: children that are supervisors.
        workers: all other children: actors, tasks, functions, commands.
    """

    specs: int
    active: int
    supervisors: int
    workers: int


def tree_of(engine: Engine) -> SupervisorSnapshot:
    """The tree from a root engine down."""
    steps = steps_of(engine)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            tree: SupervisorSnapshot = end.value
            return tree


def steps_of(engine: Engine) -> Generator[None, None, SupervisorSnapshot]:
    """The same in steps, one for each child, between which the loop may do other things and the tree may change."""
    running = engine.machine.phase not in (SupervisorState.NEW, SupervisorState.STOPPED)
    state = ChildState.RUNNING if running else ChildState.EXITED
    name = engine.path.rpartition("/")[2]
    return (yield from _supervisor(engine, name, state, life=1, view=None, last_exit=None))


def children_of(engine: Engine) -> tuple[ChildInfo, ...]:
    """The children of one supervisor, in the order of their start."""
    return tuple(_info(engine, view) for view in engine.machine.children())


def other_than_mailbox(engine: Engine, path: str) -> str | None:
    """What has a path without taking messages, and where to send them instead; None where nothing has it."""
    if path == engine.path:
        return "the root supervisor, which takes no messages: name one of its actors"
    name = path.removeprefix(f"{engine.path}/")
    while name not in engine.children:
        first, _, name = name.partition("/")
        below = engine.children.get(first)
        if not isinstance(below, Subtree):
            return None
        engine = below.engine
    child = engine.children[name]
    if isinstance(child, LoneChild):
        return f"a {child.kind}, which takes no messages: {_TAKES_NONE[child.kind]}"
    if isinstance(child, Subtree):
        named = ", ".join(f"{path}/{one}" for one in list(child.engine.children)[:_NAMED])
        return "a supervisor, which takes no messages: name one of its actors" + (f", as {named}" if named else "")
    pool = child.spec.name
    return (
        None if pool == name else f"one process of a pool, which takes messages for all of them: {engine.path}/{pool}"
    )


_NAMED: Final = 5  # children of a supervisor that an error names

_TAKES_NONE: Final[dict[LoneKind, str]] = {
    "task": "it runs in the daemon, so call its code, or share a queue with it",
    "function": "make it an actor, ChildSpec(...), if it shall have some",
    "command": "it is a program; speak to it as that program expects, for instance over its port",
}


def count_of(engine: Engine) -> ChildCounts:
    """How many of them there are."""
    rows = children_of(engine)
    return ChildCounts(
        specs=len(rows),
        active=sum(row.state in (ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING) for row in rows),
        supervisors=sum(row.kind == "supervisor" for row in rows),
        workers=sum(row.kind != "supervisor" for row in rows),
    )


def _info(engine: Engine, view: ChildView) -> ChildInfo:
    child = engine.children[view.name]
    if isinstance(child, ActorChild):
        return ChildInfo(view.name, "actor", view.state, child.pid)
    if isinstance(child, LoneChild):
        return ChildInfo(view.name, child.kind, view.state, child.pid)
    return ChildInfo(view.name, "supervisor", view.state, None)


def _supervisor(
    engine: Engine,
    name: str,
    state: ChildState,
    *,
    life: int,
    view: ChildView | None,
    last_exit: ExitReport | None,
) -> Generator[None, None, SupervisorSnapshot]:
    children: list[Snapshot] = []
    for below in [below.name for below in engine.machine.children()]:
        yield
        found = engine.machine.view(below)
        if found is not None and below in engine.children:
            children.append((yield from _child(engine, found)))
    now = engine.tree.loop.time()
    restarts = engine.machine.restarts(now)
    allowed = engine.spec.intensity
    most = allowed.max_restarts
    return SupervisorSnapshot(
        name=name,
        path=engine.path,
        state=state,
        phase=engine.machine.phase,
        strategy=engine.spec.strategy,
        life=life,
        uptime=_since(now, view.ready_at if view else engine.running_at),
        next_try=_until(now, view),
        restarts=restarts,
        budget=None if most is None else max(0, most - restarts),
        period=allowed.period,
        spares=0 if view is not None else engine.tree.launcher.spares,
        shared_values=0 if view is not None else engine.tree.shared.values,
        shared_bytes=0 if view is not None else engine.tree.shared.used,
        store_failure=None if view is not None or (durable := engine.tree.durability) is None else durable.failure,
        children=tuple(children),
        last_exit=last_exit,
    )


def _child(engine: Engine, view: ChildView) -> Generator[None, None, Snapshot]:
    child = engine.children[view.name]
    if isinstance(child, Subtree):
        return (
            yield from _supervisor(
                child.engine, view.name, view.state, life=view.life, view=view, last_exit=child.last_report
            )
        )
    now = engine.tree.loop.time()
    if isinstance(child, LoneChild):
        return _lone(child, view, now)
    if not isinstance(child, ActorChild):
        raise TypeError(f"{view.name} is a child of no kind")
    handling, since = child.handling()
    first = view.name == (child.pool.first or view.name)  # the one that shows the pool's messages
    return ChildSnapshot(
        name=view.name,
        path=child.path,
        state=view.state,
        restart=view.terms.restart,
        life=view.life,
        pid=child.pid,
        uptime=_since(now, view.ready_at),
        next_try=_until(now, view),
        mailbox=child.mailbox.depth if first else 0,
        fates={fate.value: count for fate, count in child.mailbox.fates.items()} if first else {},
        handling=handling,
        handling_for=None if since is None else max(0.0, (engine.tree.clock.monotonic_ns() - since) / 1e9),
        health=child.health(),
        last_exit=child.last_report,
        successor=view.successor,
        degraded=child.degraded,
        node=child.node,
        resident=None if child.node is None else child.resident,
        awaits=child.awaits if view.state is ChildState.STARTING else "",
    )


def _lone(child: LoneChild[Any], view: ChildView, now: float) -> ChildSnapshot:
    return ChildSnapshot(
        name=view.name,
        path=child.path,
        state=view.state,
        restart=view.terms.restart,
        life=view.life,
        pid=child.pid,
        uptime=_since(now, view.ready_at),
        next_try=_until(now, view),
        mailbox=0,
        fates={},
        handling=None,
        handling_for=None,
        health=child.health,
        last_exit=child.last_report,
        kind=child.kind,
        port=child.port,
        awaits=child.awaits if view.state is ChildState.STARTING else "",
    )


def _since(now: float, moment: float | None) -> float | None:
    return None if moment is None else max(0.0, now - moment)


def _until(now: float, view: ChildView | None) -> float | None:
    return None if view is None or view.next_try_at is None else max(0.0, view.next_try_at - now)


def _lines(node: Snapshot, indent: str) -> list[str]:
    if isinstance(node, ChildSnapshot):
        return [indent + _child_line(node)]
    line = f"{node.name} ({node.strategy.value}) {node.phase.value}, {node.window}"
    if node.spares:
        line += f", {node.spares} spare"
    if node.shared_values:
        line += f", {node.shared_values} shared values of {node.shared_bytes} bytes"
    if node.store_failure is not None:
        line += f", its store fails: {node.store_failure}"
    return [indent + line, *(text for child in node.children for text in _lines(child, indent + "  "))]


def _child_line(node: ChildSnapshot) -> str:
    what = node.name if node.kind == "actor" else f"{node.name} ({node.kind})"
    parts = [f"{what} {node.state.value}, life {node.life}"]
    if node.pid is not None:
        parts.append(f"pid {node.pid}" if node.node is None else f"pid {node.pid} on {node.node}")
    if node.successor is not None:
        parts.append(f"life {node.successor} starts beside it")
    if node.uptime is not None:
        parts.append(f"up {node.uptime:.1f} s")
    if node.next_try is not None:
        parts.append(f"starts in {node.next_try:.1f} s")
    if node.port is not None:
        parts.append(f"port {node.port}")
    if node.awaits:
        parts.append(node.awaits)
    parts += _work_of(node)
    if node.last_exit is not None:
        parts.append(f"last exit: {node.last_exit.reason}")
    return ", ".join(parts)


def _work_of(node: ChildSnapshot) -> list[str]:
    """What an actor does, and how it is."""
    parts = [f"mailbox {node.mailbox}"] if node.kind == "actor" else []
    if node.handling is not None:
        parts.append(f"handling {node.handling} for {node.handling_for or 0:.1f} s")
    if node.health in (Health.OVER, Health.STOPPED):
        parts.append(node.health.value)
    if node.degraded is not None:
        parts.append(f"degraded: {node.degraded}")
    return parts
