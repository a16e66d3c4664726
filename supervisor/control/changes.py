"""Changes: start, stop, restart and resize a child, on an operator's request.

Runs on the loop's thread. A client that goes away leaves a change that has begun as it is.
"""

from __future__ import annotations

from actors.errors import UsageError
from actors.exits import ExitReport
from supervisor.control.look.names import Named, named
from supervisor.core.rules.states import ChildState
from supervisor.core.terms import RestartPolicy
from supervisor.errors import SupervisorBusy
from supervisor.tree import child_management
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.child import Child
from supervisor.tree.engine import Engine
from supervisor.tree.subtree import Subtree


async def start(root: Engine, name: str) -> str:
    """Start a child that is down; returns what was done.

    Raises:
        UsageError: it runs.
        SupervisorError: it cannot be started now; the text says why.
    """
    child = _child(root, name)
    try:
        await child_management.change(root, child.path, child_management.restart)
    except SupervisorBusy as busy:
        if busy.answer == "running":
            raise UsageError(f"{child.path} is running; a new process: actorctl restart {child.path}") from None
        raise
    return f"{child.path} is ready"


async def stop(root: Engine, name: str) -> str:
    """Stop a child; returns what was done."""
    child = _child(root, name)
    first = child.engine.children[child.members[0]]
    await child_management.terminate(root, child.path)
    kept = child.members[0] in child.engine.children
    down = "is down until it is started" if kept else "is down and no child of the tree any more: it is temporary"
    return f"{child.path} {down}{_what_waited(first)}"


async def restart(root: Engine, name: str) -> str:
    """Replace the processes of a child; returns what was done.

    Raises:
        UsageError: it is temporary, and no actor.
    """
    child = _child(root, name)
    if all(child.engine.machine.state(member) in _DOWN for member in child.members):
        return await start(root, name)
    if isinstance(child.engine.children[child.members[0]], ActorChild):
        before = _last_reports(child)
        await child_management.recycle(root, child.path)
        ended = [report for report in _last_reports(child) if report is not None and report not in before]
        new = "a new process" if len(child.members) == 1 else "new processes"
        return "; ".join((f"{child.path} has {new}", "what waited has stayed", *filter(None, map(_cut, ended))))
    if _is_temporary(child):
        raise UsageError(
            f"{child.path} is temporary: once it is stopped the tree has it no more, and nothing could start it again"
        )
    await child_management.terminate(root, child.path)
    await child_management.change(root, child.path, child_management.restart)
    return f"{child.path} was stopped and is ready again"


async def resize(root: Engine, name: str, size: int) -> str:
    """Give a pool another size; returns what was done.

    Raises:
        UsageError: it is no actor and no pool.
    """
    child = _child(root, name)
    if not isinstance(child.engine.children[child.members[0]], ActorChild):
        raise UsageError(f"{child.path} is neither an actor nor a pool, and has no size")
    await child_management.resize(root, child.path, size)
    return f"{child.path} has {size} process{'' if size == 1 else 'es'}"


def _is_temporary(child: Named) -> bool:
    spec = child.engine.children[child.members[0]].spec
    return any(terms.restart is RestartPolicy.TEMPORARY for terms in spec.terms())


def _what_waited(child: Child) -> str:
    """Where the messages of a stopped child are."""
    match child:
        case ActorChild() if child.mailbox.closed is None:
            return "; what waits is for the other processes of its pool"
        case ActorChild() if child.mailbox.durable:
            return "; what waits for it is in the store"
        case ActorChild():
            return "; what waited for it is in its dead letters"
        case Subtree():
            return "; what waited for its actors is in their dead letters, of durable ones in the store"
        case _:
            return ""


def _last_reports(child: Named) -> list[ExitReport | None]:
    found = (child.engine.children.get(member) for member in child.members)
    return [one.last_report if isinstance(one, ActorChild) else None for one in found]


def _cut(report: ExitReport) -> str:
    """What a life that was killed had not ended; empty where it had."""
    if not (report.last_message_begun and report.reason.abnormal):
        return ""
    what = f"{report.last_message} had not ended within shutdown= and was cut off"
    return f"{what}, which only an idempotent message survives"


_DOWN = (ChildState.STOPPED, ChildState.EXITED)


def _child(root: Engine, name: str) -> Named:
    """The child of that name.

    Raises:
        NoSuchChild: there is none.
        UsageError: it is the root.
    """
    child = named(root, name)
    if not child.members:
        raise UsageError(
            f"{child.path} is the whole tree, and ends with its daemon: name one of its children, or send the daemon "
            "SIGTERM"
        )
    return child
