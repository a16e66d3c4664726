"""Slim: a snapshot without the long texts of its exit reports, so that a large tree is a small frame. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from actors.exits import ExitReport
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot


def slim(tree: SupervisorSnapshot) -> SupervisorSnapshot:
    """The same tree; its exit reports have no tracebacks, stacks and output."""
    children = tuple(slim(child) if isinstance(child, SupervisorSnapshot) else _slim(child) for child in tree.children)
    last_exit = None if tree.last_exit is None else without_texts(tree.last_exit)
    return replace(tree, children=children, last_exit=last_exit)


def without_texts(report: ExitReport) -> ExitReport:
    """The same report without traceback, stacks and output."""
    return replace(report, traceback=None, native_stack=None, stacks=None, stderr=())


def _slim(child: ChildSnapshot) -> ChildSnapshot:
    return child if child.last_exit is None else replace(child, last_exit=without_texts(child.last_exit))
