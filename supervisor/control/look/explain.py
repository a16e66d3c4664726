"""Explain: why the children that an operator names are as they are.

Runs on the loop's thread, in slices.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from supervisor.control.frames import Explanation
from supervisor.control.look.gathering import facts_of
from supervisor.control.look.history import History
from supervisor.control.look.names import named
from supervisor.control.look.samples import Samples
from supervisor.control.look.slices import in_slices
from supervisor.control.look.why.facts import Facts
from supervisor.control.look.why.verdict import Verdict
from supervisor.control.look.why.why import why
from supervisor.core.rules.states import SupervisorState
from supervisor.tree.engine import Engine
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot
from supervisor.tree.subtree import Subtree

Node = ChildSnapshot | SupervisorSnapshot


async def explain(
    root: Engine, tree: SupervisorSnapshot, name: str, history: History, samples: Samples
) -> tuple[Explanation, ...]:
    """Why the child of that name is as it is; with an empty name, each that is not well, or the root.

    Of a pool the processes that are not well are explained, and the first where all are. `tree` is the whole tree now.

    Raises:
        NoSuchChild: no child has this name, or several have.
    """
    child = named(root, name or root.path)
    nodes = {node.path: (node, engine) for node, engine in _all(tree, root)}
    if not name:
        unwell = await _explained(list(nodes.values()), history, samples)
        supervisors = [node for node, _ in nodes.values() if isinstance(node, SupervisorSnapshot)]
        return tuple(one for one in unwell if not _said_by_another(one, unwell, supervisors)) or (_root(root, tree),)
    if not child.members:
        return (_root(root, tree),)
    paths = [f"{child.engine.path}/{member}" for member in child.members]
    meant = [nodes[path] for path in paths if path in nodes]
    unwell = await _explained(meant, history, samples)
    return tuple(unwell) or tuple(_explanation(*one, history, samples) for one in meant[:1])


async def _explained(nodes: list[tuple[Node, Engine]], history: History, samples: Samples) -> list[Explanation]:
    """Explanations of those that are not well."""
    return await in_slices(_explaining(nodes, history, samples))


def _explaining(
    nodes: list[tuple[Node, Engine]], history: History, samples: Samples
) -> Generator[None, None, list[Explanation]]:
    unwell = []
    for node, engine in nodes:
        yield
        if node.name in engine.children:  # it was deleted meanwhile
            found = _explanation(node, engine, history, samples)
            if found.verdict != Verdict.HEALTHY:
                unwell.append(found)
    return unwell


def _said_by_another(one: Explanation, others: list[Explanation], supervisors: list[SupervisorSnapshot]) -> bool:
    """Whether it is not well only because of another one: a child below it, or a supervisor above it that is down."""
    down = {node.path: node.phase is SupervisorState.STOPPED for node in supervisors}
    if any(one.path.startswith(f"{path}/") for path, is_down in down.items() if is_down):
        return True
    runs = not down.get(one.path, True)
    return runs and any(other.path.startswith(f"{one.path}/") for other in others)


def _root(root: Engine, tree: SupervisorSnapshot) -> Explanation:
    intensity = root.spec.intensity
    facts = Facts(node=tree, phase=tree.phase, allowed=intensity.max_restarts, period=intensity.period)
    found = why(facts)
    return Explanation(tree.path, found.verdict, found.sentence(tree.path))


def _explanation(node: Node, engine: Engine, history: History, samples: Samples) -> Explanation:
    found = why(facts_of(node, engine, history, samples))
    report = None if node.last_exit is None else str(node.last_exit)
    return Explanation(node.path, found.verdict, found.sentence(node.path), report)


def _all(tree: SupervisorSnapshot, engine: Engine) -> Iterator[tuple[Node, Engine]]:
    """Each child below a supervisor, with the engine of its own supervisor."""
    for node in tree.children:
        yield node, engine
        if isinstance(node, SupervisorSnapshot):
            below = engine.children.get(node.name)
            if isinstance(below, Subtree):
                yield from _all(node, below.engine)
