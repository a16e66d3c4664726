"""Top rows: two looks at a tree as lines of a table that fit the terminal. Pure but for `usage`, which reads /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from supervisor.control.frames import Tree
from supervisor.control.look.words import brief
from supervisor.ctl.text import Node, cut_keeping, duration, state_of
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot

ORDERS: Final = ("tree", "queue", "rate", "cpu", "memory", "life")
_HEADS: Final = ("NAME", "STATE", "LIFE", "RESTA", "QUEUE", "RATE", "CPU", "MEM", "DOING", "LAST EXIT")
_NARROW: Final = (15, 9, 4, 5, 5, 5, 4, 4)  # widths at 80 columns; what is left is for the last two
_RIGHT: Final = range(2, 8)


class Usage(NamedTuple):
    """What a process has used: seconds of CPU, bytes of memory."""

    cpu: float
    memory: int


class Look(NamedTuple):
    """A tree, and what its processes have used, by pid."""

    tree: Tree
    used: Mapping[int, Usage]


class Row(NamedTuple):
    """One child."""

    path: str
    name: str
    node: Node
    rate: float
    cpu: float
    memory: int


def usage(tree: Tree) -> dict[int, Usage]:
    """What the processes of a tree on this machine have used; those that are gone, or of elsewhere, are left out."""
    found: dict[int, Usage] = {}
    for _, node in _nodes(tree.root, ""):
        if isinstance(node, ChildSnapshot) and node.pid is not None and node.node is None:
            try:
                fields = Path(f"/proc/{node.pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            except OSError:
                continue
            ticks = int(fields[11]) + int(fields[12])
            found[node.pid] = Usage(ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
    return found


def rows(now: Look, before: Look | None, order: str, wanted: str) -> list[Row]:
    """The rows of a table.

    Args:
        now: the tree now.
        before: one look earlier; None at the first.
        order: one of `ORDERS`.
        wanted: part of the paths that are shown.
    """
    passed = 0.0 if before is None else max(0.0, now.tree.at - before.tree.at)
    counts = {} if before is None else {node.path: _ended(node) for _, node in _nodes(before.tree.root, "")}
    found = []
    for indent, node in _nodes(now.tree.root, ""):
        pid = node.pid if isinstance(node, ChildSnapshot) else None
        used = now.used.get(pid) if pid is not None else None
        earlier = before.used.get(pid) if pid is not None and before is not None else None
        rate = max(0, _ended(node) - counts.get(node.path, _ended(node))) / passed if passed else 0.0
        cpu = max(0.0, used.cpu - earlier.cpu) / passed * 100 if used and earlier and passed else 0.0
        name = indent + node.name if order == "tree" else node.path
        memory = used.memory if used else 0
        if isinstance(node, ChildSnapshot) and node.resident is not None:
            memory = node.resident
        found.append(Row(node.path, name, node, rate, cpu, memory))
    found = [row for row in found if wanted.lower() in row.path.lower()]
    return found if order == "tree" else sorted(found, key=lambda row: -_figure(row, order))


def heading(width: int) -> str:
    """The heading."""
    return _line(_HEADS, width)


def line(row: Row, width: int) -> str:
    """One row as a line of at most that many characters."""
    node = row.node
    doing = ""
    if isinstance(node, ChildSnapshot):
        queue = str(node.mailbox) if node.kind == "actor" else ""
        if node.next_try is not None:
            doing = f"starts in {duration(node.next_try)}"
        elif node.handling is not None:
            doing = f"{node.handling} {duration(node.handling_for)}"
        elif node.degraded is not None:
            doing = node.degraded
        restarts, rate = "", f"{row.rate:.0f}" if queue else ""
        process = (f"{row.cpu:.0f}%", f"{row.memory >> 20}M") if row.memory else ("", "")
    else:
        restarts = f"{node.restarts}/{'-' if node.budget is None else node.budget}"
        queue, rate, process = "", "", ("", "")
    ended = "" if node.last_exit is None else brief(node.last_exit.reason)
    return _line((row.name, state_of(node), str(node.life), restarts, queue, rate, *process, doing, ended), width)


def _line(cells: Iterable[str], width: int) -> str:
    spare = max(0, width - sum(_NARROW) - len(_HEADS) + 1)
    name = min(20, spare // 4 if width > 100 else 0)
    doing = (spare - name) // 2
    widths = (_NARROW[0] + name, *_NARROW[1:], doing, spare - name - doing)
    parts = []
    for at, (cell, size) in enumerate(zip(cells, widths, strict=True)):
        short = cell if len(cell) <= size else cut_keeping(cell, size) if size > 8 else cell[:size]
        parts.append(short.rjust(size) if at in _RIGHT else short.ljust(size))
    return " ".join(parts)[:width]


def _nodes(node: Node, indent: str) -> Iterable[tuple[str, Node]]:
    yield indent, node
    if isinstance(node, SupervisorSnapshot):
        for child in node.children:
            yield from _nodes(child, indent + " ")


def _ended(node: Node) -> int:
    return sum(node.fates.values()) if isinstance(node, ChildSnapshot) else 0


def _figure(row: Row, order: str) -> float:
    queue = row.node.mailbox if isinstance(row.node, ChildSnapshot) else 0
    return {"queue": queue, "rate": row.rate, "cpu": row.cpu, "memory": row.memory, "life": row.node.life}[order]
