"""Top lines: the rows of `actorctl top`, chosen, ordered and as text that fits the terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.exits import ExitReason
from supervisor.control.look.words import brief, count
from supervisor.ctl.cells import fitted, fitted_end, one_line, to_left, to_right
from supervisor.ctl.rows import Row
from supervisor.ctl.text import duration, state_of
from supervisor.tree.snapshot import ChildSnapshot, said

ORDERS: Final = ("tree", "queue", "rate", "cpu", "memory", "life")
_HEADS: Final = ("NAME", "STATE", "LIFE", "QUEUE", "RATE", "CPU", "MEM", "DOING", "LAST EXIT")
_NARROW: Final = (15, 9, 4, 5, 5, 4, 5)  # widths at 80 columns; what is left is for the last two
_KEYS: Final = "s stacks w why o order / filter r restart x stop ? help q quit"
_FEW_KEYS: Final = "? help q quit"
_RIGHT: Final = range(2, 7)
_WIDE: Final = 100  # columns from which names get more room
_CODES: Final = 8  # cells up to which a column is a number or a word of its own, which dots would hide


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


def foot(order: str, wanted: str, width: int) -> str:
    """The keys, in which order the rows are, and which part of a path they have; where that is too long, fewer keys."""
    said = f"by {order}{f', with {one_line(wanted)}' if wanted else ''}"
    keys = _KEYS if len(_KEYS) + 2 + len(said) <= width else _FEW_KEYS
    return fitted(f"{keys}  {said}", width)


def line(row: Row, order: str, width: int) -> str:
    """One row as a line of at most that many cells."""
    node = row.node
    name = " " * row.level + node.name if order == "tree" else fitted_end(node.path, _widths(width)[0])
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
        return f"in {duration(node.next_try)}"
    if state_of(node) == "degraded":
        return "" if node.degraded is None else said(node.degraded)
    return "" if node.handling is None else f"{node.handling} {duration(node.handling_for)}"


def _line(texts: Iterable[str], width: int) -> str:
    *first, doing, ended = map(one_line, texts)
    *widths, spare = _widths(width)
    parts = []
    for at, (text, size) in enumerate(zip(first, widths, strict=True)):
        short = fitted(text, size) if size > _CODES else text[:size]
        parts.append(to_right(short, size) if at in _RIGHT else to_left(short, size))
    if not ended:  # what it does has the room of both
        return " ".join((*parts, fitted(doing, spare + 1)))
    half = spare // 2
    return " ".join((*parts, to_left(fitted(doing, half), half), fitted(ended, spare - half)))


def _widths(width: int) -> tuple[int, ...]:
    """The cells of each column at a width of the terminal; the last number is what the last two have together."""
    spare = max(0, width - sum(_NARROW) - len(_HEADS) + 1)
    name = min(20, spare // 4) if width > _WIDE else 0
    return (_NARROW[0] + name, *_NARROW[1:], spare - name)


def _figure(row: Row, order: str) -> float:
    queue = row.node.mailbox if isinstance(row.node, ChildSnapshot) else 0
    return {"queue": queue, "rate": row.rate, "cpu": row.cpu, "memory": row.memory, "life": row.node.life}[order]
