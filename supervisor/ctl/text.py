"""Text: what `actorctl` prints, as lines for a terminal of 80 columns or more. Pure."""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Iterable, Sequence
from typing import Final

from supervisor.control.frames import Letter, Occurred, ProcessStacks
from supervisor.control.look.words import brief, seconds
from supervisor.core.health.hang_detector import Health
from supervisor.core.rules.states import ChildState
from supervisor.ctl.cells import cells, fitted, one_line, to_left, to_right
from supervisor.observe.broadcast import Missed
from supervisor.observe.happenings import (
    ChildExited,
    ChildStarted,
    HandlerSlow,
    Happening,
    HealthChanged,
    MailboxUnclaimed,
    StoreFailed,
    SuccessorBegun,
    SupervisorGaveUp,
    SupervisorStarted,
    SupervisorStopped,
)
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot, said

Node = ChildSnapshot | SupervisorSnapshot


def duration(value: float | None) -> str:
    """`0.3 s`, `42 s`, `5 min`, `3 h`, `2 d`; empty for None."""
    return "" if value is None else seconds(value)


def table(rows: Iterable[Sequence[str]], width: int, *, right: Sequence[int] = ()) -> list[str]:
    """Rows in columns, the first row being the heading; the last column takes what is left.

    Args:
        rows: all with the same number of cells.
        width: of the terminal.
        right: numbers of the columns that are aligned on the right.
    """
    texts = [list(map(one_line, row)) for row in rows]
    widths = [max(cells(row[column]) for row in texts) for column in range(len(texts[0]))]
    lines = []
    for row in texts:
        parts = [
            to_right(text, size) if column in right else to_left(text, size)
            for column, (text, size) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(fitted("  ".join(parts).rstrip(), width))
    return lines


def tree_lines(root: SupervisorSnapshot, width: int) -> list[str]:
    """A tree, one line for each child, as a table with branches."""
    nodes = list(_branches(root))
    elsewhere = any(_machine(node) for _, node in nodes)
    rows: list[tuple[str, ...]] = [("NAME", "STATE", "LIFE", "UP", "QUEUE", *(["NODE"] * elsewhere), "DOING")]
    for prefix, node in nodes:
        *cells, does = _row(prefix + node.name, node)
        rows.append((*cells, *([_machine(node)] * elsewhere), does))
    return table(rows, width, right=(2, 3, 4))


def _machine(node: Node) -> str:
    """Name of the other machine on which its process runs."""
    return node.node or "" if isinstance(node, ChildSnapshot) else ""


def _branches(root: SupervisorSnapshot) -> Iterable[tuple[str, Node]]:
    yield "", root
    yield from _below(root, "")


def _below(node: SupervisorSnapshot, indent: str) -> Iterable[tuple[str, Node]]:
    for at, child in enumerate(node.children):
        last = at == len(node.children) - 1
        yield indent + ("└─ " if last else "├─ "), child
        if isinstance(child, SupervisorSnapshot):
            yield from _below(child, indent + ("   " if last else "│  "))


def _row(name: str, node: Node) -> tuple[str, ...]:
    queue = str(node.mailbox) if isinstance(node, ChildSnapshot) and node.kind == "actor" else ""
    return (name, state_of(node), str(node.life), duration(node.uptime), queue, doing(node))


def state_of(node: Node) -> str:
    """The state of a child in one word: that of its process, or what is wrong while that runs."""
    if isinstance(node, SupervisorSnapshot):
        return node.phase.value
    if node.state is ChildState.RUNNING and node.health in (Health.OVER, Health.STOPPED):
        return "hung" if node.health is Health.OVER else "suspended"
    if node.state is ChildState.RUNNING and node.degraded is not None:
        return "degraded"
    return node.state.value


def doing(node: Node) -> str:
    """What it does, or why it does nothing."""
    if isinstance(node, SupervisorSnapshot):
        return f"{node.strategy.value}, {node.window}"
    if node.next_try is not None:
        reason = "" if node.last_exit is None else f" after {brief(node.last_exit.reason)}"
        return f"starts in {duration(node.next_try)}{reason}"
    if node.state is ChildState.RUNNING:
        if node.degraded is not None:
            return said(node.degraded)
        if node.handling is not None:
            return f"{node.handling} for {duration(node.handling_for)}"
        return "" if node.kind == "actor" else node.kind
    return node.awaits or ("" if node.last_exit is None else f"ended: {brief(node.last_exit.reason)}")


def event_line(occurred: Occurred) -> str:
    """An event as one line: when, who, what."""
    clock = time.strftime("%H:%M:%S", time.localtime(occurred.at))
    return f"{clock}.{int(occurred.at * 1000) % 1000:03} {event_text(occurred.event)}"


def event_text(event: Happening | Missed) -> str:  # noqa: C901, PLR0911 - one line for each event
    """What has happened, as one line."""
    match event:
        case ChildStarted(actor, life, pid, node):
            return f"{actor} life {life} is ready" + ("" if pid is None else f", pid {pid}{_on(node)}")
        case SuccessorBegun(actor, life):
            return f"{actor} life {life} starts, to follow the current one"
        case ChildExited(report):
            delay = "" if report.delay is None else f" in {seconds(report.delay)}"
            who = f"{report.actor} life {report.life}{_on(report.node)}"
            return f"{who} ended: {brief(report.reason)}; {report.follows}{delay}"
        case HandlerSlow(actor, life, handler, taken):
            return f"{actor} life {life} is slow: {handler} has taken {seconds(taken)}"
        case HealthChanged(actor, life, degraded):
            return f"{actor} life {life} " + ("is well again" if degraded is None else f"is degraded: {said(degraded)}")
        case MailboxUnclaimed(mailbox, waiting, dead):
            return f"{mailbox} is in the store and not in the tree: {waiting} messages, {dead} dead letters"
        case StoreFailed(mailbox, detail):
            return f"{mailbox} cannot be stored: {detail}"
        case SupervisorStarted(supervisor):
            return f"{supervisor} runs"
        case SupervisorGaveUp(supervisor, child, restarts):
            return f"{supervisor} gives up: {child} needed restart {restarts}"
        case SupervisorStopped(supervisor, reason):
            return f"{supervisor} has stopped: {reason}"
        case Missed(count):
            return f"{count} events are missing here: they came faster than they were read"


def _on(node: str | None) -> str:
    return "" if node is None else f" on {node}"


def stacks_text(one: ProcessStacks, *, full: bool = False) -> str:
    """Where the code of one process is, below a line that says which process it is and what it does."""
    where = "" if one.node is None else f" on {one.node}"
    who = one.path if one.pid is None else f"{one.path} (pid {one.pid}{where})"
    does = f" {one.doing}" if one.doing else ""
    return f"{who}{does}:\n{textwrap.indent(one.stacks if full else shortened(one.stacks), '  ')}"


def shortened(stacks: str) -> str:
    """Stacks without the frames that every process has around its own code, and with short file names.

    Tasks of the library alone are left out, where there is any other stack.
    """
    lines: list[str] = []
    parts = stacks.split("\n\n")
    for line in "\n\n".join([part for part in parts if not _of_the_library(part)] or parts).splitlines():
        if line.startswith(_IMPORTING) and lines and lines[-1].startswith(_FRAME):
            continue
        if _ASKED.match(line):
            continue
        if not line.startswith(_FRAME):
            _cut_surroundings(lines)
        lines.append(line)
    _cut_surroundings(lines)
    return _FILE.sub(r'File "\1"', "\n".join(lines)).rstrip()


def _of_the_library(stack: str) -> bool:
    """Whether no frame of a stack is another one's."""
    frames = [line for line in stack.splitlines() if line.startswith(_FRAME)]
    return bool(frames) and all(_AROUND.match(line) for line in frames)


def _cut_surroundings(lines: list[str]) -> None:
    """Cut the outermost frames of the last stack, which has its newest frame first; that one stays."""
    if not lines or not _START.match(lines[-1]):
        return
    while lines[-2].startswith(_FRAME) and _AROUND.match(lines[-1]):
        lines.pop()


_FRAME: Final = "  File "
_IMPORTING: Final = '  File "<frozen '  # the machinery of an import, between two modules
_ASKED: Final = re.compile(r'  File "[^"]*actors/process/diagnostics\.py"')  # in the handler of the signal that asked
_START: Final = re.compile(r'  File "(?:[^"]*(?:actors/child|multiprocessing)/\w+\.py|<string>)"')
_AROUND: Final = re.compile(
    r'  File "(?:[^"]*(?:actors/child|actors/child/runners|actors/jobs|multiprocessing|asyncio)/\w+\.py|<string>)"'
)
_FILE: Final = re.compile(r'File "[^"]*?([^"/]*/?[^"/]*)"')


def letter_rows(letters: Iterable[Letter]) -> list[tuple[str, ...]]:
    """Dead letters as rows of a table."""
    now = time.time()
    rows: list[tuple[str, ...]] = [("ID", "AGE", "ACTOR", "MESSAGE", "REASON")]
    rows += [
        (one.id, seconds(max(0.0, now - one.at)), one.actor, one.message_type, f"{one.reason}: {one.detail}")
        for one in letters
    ]
    return rows
