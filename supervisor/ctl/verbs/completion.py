"""Completion: names of children for the shell, from the daemon that is meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from actors.errors import ActorsError
from supervisor.ctl.client import Client
from supervisor.ctl.daemons import chosen
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot

if TYPE_CHECKING:
    _ParamType = click.ParamType[str]
else:  # generic only in newer versions
    _ParamType = click.ParamType


class _Name(_ParamType):
    """The name of a child."""

    name = "name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - it is click's
        try:
            with Client(chosen(ctx.params.get("daemon")), timeout=1.0) as client:
                root = client.tree().root
        except ActorsError:
            return []
        return [CompletionItem(name) for name in names(root, incomplete)]


NAME = _Name()


def names(root: SupervisorSnapshot, begun: str) -> list[str]:
    """The names in a tree that begin so: whole paths after a slash, else paths below the root, else unique ends."""
    paths = list(dict.fromkeys(_paths(root)))
    if begun.startswith("/"):
        return [path for path in paths if path.startswith(begun)]
    below = [path.removeprefix(f"{root.path}/") for path in paths if path != root.path]
    ends = Counter(end for path in below for end in _ends(path))
    unique = [end for end, times in ends.items() if times == 1 and not end.isdigit()]
    return [path for path in below if path.startswith(begun)] or [end for end in unique if end.startswith(begun)]


def _ends(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[at:]) for at in range(1, len(parts)))


def _paths(node: SupervisorSnapshot | ChildSnapshot) -> Iterator[str]:
    above, _, last = node.path.rpartition("/")
    if last.isdigit():
        yield above  # the pool
    yield node.path
    if isinstance(node, SupervisorSnapshot):
        for child in node.children:
            yield from _paths(child)
