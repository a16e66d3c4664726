"""Look: what a running tree is at this moment: its snapshot, the children of a supervisor, and what has a path.

Looking changes nothing and waits for nothing.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import msgspec

from actors.exits import ExitReport
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.core.terms import LoneKind
from supervisor.core.tree.child import ChildView
from supervisor.kinds.lone_child import LoneChild
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.engine import Engine
from supervisor.tree.snapshot import ChildCounts, ChildInfo, ChildSnapshot, Snapshot, SupervisorSnapshot
from supervisor.tree.subtree import Subtree

_NAMED: Final = 5  # children of a supervisor that an error names

_TAKES_NONE: Final[dict[LoneKind, str]] = {
    "task": "it runs in the daemon, so call its code, or share a queue with it",
    "function": "make it an actor, ChildSpec(...), if it shall have some",
    "command": "it is a program; speak to it as that program expects, for instance over its port",
}


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
        return msgspec.structs.replace(_common(child, view, now), kind=child.kind, port=child.port, health=child.health)
    if not isinstance(child, ActorChild):
        raise TypeError(f"{view.name} is a child of no kind")
    handling, since = child.handling()
    first = view.name == (child.pool.first or view.name)  # the one that shows the pool's messages
    return msgspec.structs.replace(
        _common(child, view, now),
        mailbox=child.mailbox.depth if first else 0,
        fates={fate.value: count for fate, count in child.mailbox.fates.items()} if first else {},
        handling=handling,
        handling_for=None if since is None else max(0.0, (engine.tree.clock.monotonic_ns() - since) / 1e9),
        health=child.health(),
        successor=view.successor,
        degraded=child.degraded,
        node=child.node,
        resident=None if child.node is None else child.resident,
    )


def _common(child: ActorChild | LoneChild[Any], view: ChildView, now: float) -> ChildSnapshot:
    """What there is to say of every child that is no supervisor."""
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
        health=None,
        last_exit=child.last_report,
        awaits=child.awaits if view.state is ChildState.STARTING else "",
    )


def _since(now: float, moment: float | None) -> float | None:
    return None if moment is None else max(0.0, now - moment)


def _until(now: float, view: ChildView | None) -> float | None:
    return None if view is None or view.next_try_at is None else max(0.0, view.next_try_at - now)
