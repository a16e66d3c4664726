"""Changes: start, stop, restart and resize a child, on an operator's request.

Runs on the loop's thread. A client that goes away leaves a change that has begun as it is.
"""

from __future__ import annotations

from actors.errors import UsageError
from supervisor.control.look.names import Named, named
from supervisor.core.rules.states import ChildState
from supervisor.tree import child_management
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.engine import Engine


async def start(root: Engine, name: str) -> str:
    """Start a child that is down; returns what was done."""
    child = _child(root, name)
    await child_management.change(root, child.path, child_management.restart)
    return f"{child.path} is ready"


async def stop(root: Engine, name: str) -> str:
    """Stop a child; returns what was done."""
    child = _child(root, name)
    await child_management.change(root, child.path, child_management.terminate, backwards=True)
    return f"{child.path} is down until it is started; what waited for it is in its dead letters"


async def restart(root: Engine, name: str) -> str:
    """Replace the processes of a child; returns what was done."""
    child = _child(root, name)
    if all(child.engine.machine.state(member) in _DOWN for member in child.members):
        return await start(root, name)
    if isinstance(child.engine.children[child.members[0]], ActorChild):
        await child_management.recycle(root, child.path)
        return f"{child.path} has a new process; its messages have stayed"
    await child_management.change(root, child.path, child_management.terminate, backwards=True)
    await child_management.change(root, child.path, child_management.restart)
    return f"{child.path} was stopped and is ready again"


async def resize(root: Engine, name: str, size: int) -> str:
    """Give a pool another size; returns what was done."""
    child = _child(root, name)
    await child_management.resize(root, child.path, size)
    return f"{child.path} has {size} process{'' if size == 1 else 'es'}"


_DOWN = (ChildState.STOPPED, ChildState.EXITED)


def _child(root: Engine, name: str) -> Named:
    """The child of that name.

    Raises:
        NoSuchChild: there is none.
        UsageError: it is the root.
    """
    child = named(root, name)
    if not child.members:
        raise UsageError(f"{child.path} is the whole tree, and ends with its daemon: send that SIGTERM to stop it")
    return child
