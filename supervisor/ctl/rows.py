"""Rows: two looks at a tree as one row for each child, with its rates. Pure but for `usage`, which reads /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from supervisor.control.frames import Tree
from supervisor.ctl.text import Node
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot


class Usage(NamedTuple):
    """What a process has used: seconds of CPU, bytes of memory."""

    cpu: float
    memory: int


class Look(NamedTuple):
    """A tree, and what its processes have used, by pid."""

    tree: Tree
    used: Mapping[int, Usage]


class Row(NamedTuple):
    """One child.

    Attributes:
        level: how many supervisors are above it.
        node: what the daemon says of it.
        rate: messages that ended a second.
        cpu: percent of one processor.
        memory: bytes, 0 where that is not known.
    """

    level: int
    node: Node
    rate: float
    cpu: float
    memory: int


def usage(tree: Tree) -> dict[int, Usage]:
    """What the processes of a tree on this machine have used; those that are gone, or of elsewhere, are left out."""
    found: dict[int, Usage] = {}
    for _, node in _nodes(tree.root):
        if isinstance(node, ChildSnapshot) and node.pid is not None and node.node is None:
            try:
                fields = Path(f"/proc/{node.pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            except OSError:
                continue
            ticks = int(fields[11]) + int(fields[12])
            found[node.pid] = Usage(ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
    return found


def rows(now: Look, before: Look | None) -> list[Row]:
    """The rows of a tree, each supervisor before what is below it.

    Args:
        now: the tree now.
        before: one look earlier; None at the first.
    """
    passed = 0.0 if before is None else max(0.0, now.tree.at - before.tree.at)
    counts = {} if before is None else {node.path: _ended(node) for _, node in _nodes(before.tree.root)}
    found = []
    for level, node in _nodes(now.tree.root):
        pid = node.pid if isinstance(node, ChildSnapshot) else None
        used = now.used.get(pid) if pid is not None else None
        earlier = before.used.get(pid) if pid is not None and before is not None else None
        rate = max(0, _ended(node) - counts.get(node.path, _ended(node))) / passed if passed else 0.0
        cpu = max(0.0, used.cpu - earlier.cpu) / passed * 100 if used and earlier and passed else 0.0
        memory = used.memory if used else 0
        if isinstance(node, ChildSnapshot) and node.resident is not None:
            memory = node.resident
        found.append(Row(level, node, rate, cpu, memory))
    return found


def _nodes(node: Node, level: int = 0) -> Iterable[tuple[int, Node]]:
    yield level, node
    if isinstance(node, SupervisorSnapshot):
        for child in node.children:
            yield from _nodes(child, level + 1)


def _ended(node: Node) -> int:
    return sum(node.fates.values()) if isinstance(node, ChildSnapshot) else 0
