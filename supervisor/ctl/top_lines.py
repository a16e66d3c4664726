"""Top lines: the rows of `actorctl top`, chosen, ordered and as text that fits the terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.exits import ExitReason
from supervisor.control.look.words import brief, count
from supervisor.ctl.rows import Row
from supervisor.ctl.text import cut_keeping, duration, state_of
from supervisor.tree.snapshot import ChildSnapshot

ORDERS: Final = ("tree", "queue", "rate", "cpu", "memory", "life")
_HEADS: Final = ("NAME", "STATE", "LIFE", "QUEUE", "RATE", "CPU", "MEM", "DOING", "LAST EXIT")
_NARROW: Final = (15, 9, 4, 5, 5, 4, 5)  # widths at 80 columns; what is left is for the last two
_RIGHT: Final = range(2, 7)
_WIDE: Final = 100  # columns from which names get more room


def chosen(found: Iterable[Row], order: str, wanted: str) -> list[Row]:
    """The rows whose path has a part, in an order.

    Args:
        found: the rows of a tree.
        order: one of `ORDERS`.
        wanted: the part; case does not matter.
    """
    rows = [row for row in found if wanted.lower() in row.node.path.lower()]
    return rows if order == "tree" else sorted(rows, key=lambda row: -_figure(row, order))


def heading(width: int) -> str:
    """The heading."""
    return _line(_HEADS, width)


def line(row: Row, order: str, width: int) -> str:
    """One row as a line of at most that many characters."""
    node = row.node
    name = " " * row.level + node.name if order == "tree" else node.path
    queue = rate = ""
    if isinstance(node, ChildSnapshot) and node.kind == "actor":
        queue, rate = str(node.mailbox), f"{row.rate:.0f}"
    process = (f"{row.cpu:.0f}%", f"{row.memory >> 20}M") if row.memory else ("", "")
    ended = "" if node.last_exit is None else _short(node.last_exit.reason)
    return _line((name, state_of(node), str(node.life), queue, rate, *process, _doing(row), ended), width)


def _short(reason: ExitReason) -> str:
    """A reason by its detail, which says more than its kind."""
    return brief(reason).removeprefix(f"{reason.kind}: ")


def _doing(row: Row) -> str:
    node = row.node
    if not isinstance(node, ChildSnapshot):
        left = "" if node.budget is None else f", {node.budget} left"
        return count(node.restarts, "restart") + left if node.restarts or left else ""
    if node.next_try is not None:
        return f"starts in {duration(node.next_try)}"
    if node.handling is not None:
        return f"{node.handling} {duration(node.handling_for)}"
    return node.degraded or ""


def _line(cells: Iterable[str], width: int) -> str:
    *first, doing, ended = cells
    spare = max(0, width - sum(_NARROW) - len(_HEADS) + 1)
    name = min(20, spare // 4) if width > _WIDE else 0
    widths = (_NARROW[0] + name, *_NARROW[1:])
    parts = []
    for at, (cell, size) in enumerate(zip(first, widths, strict=True)):
        short = cell if len(cell) <= size else cut_keeping(cell, size) if size > 8 else cell[:size]
        parts.append(short.rjust(size) if at in _RIGHT else short.ljust(size))
    left = spare - name
    if not ended:  # what it does has the room of both
        return " ".join((*parts, cut_keeping(doing, left + 1)))[:width]
    half = left // 2
    return " ".join((*parts, cut_keeping(doing, half).ljust(half), cut_keeping(ended, left - half)))[:width]


def _figure(row: Row, order: str) -> float:
    queue = row.node.mailbox if isinstance(row.node, ChildSnapshot) else 0
    return {"queue": queue, "rate": row.rate, "cpu": row.cpu, "memory": row.memory, "life": row.node.life}[order]
