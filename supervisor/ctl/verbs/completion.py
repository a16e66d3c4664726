"""Completion: names of children for the shell, from the daemon that is meant."""

from __future__ import annotations

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
                paths = list(_paths(client.tree().root))
        except ActorsError:
            return []
        ends = (path.removeprefix("/root/") if not incomplete.startswith("/") else path for path in paths)
        return [CompletionItem(end) for end in ends if end.startswith(incomplete)]


NAME = _Name()


def _paths(node: SupervisorSnapshot | ChildSnapshot) -> Iterator[str]:
    yield node.path
    if isinstance(node, SupervisorSnapshot):
        for child in node.children:
            yield from _paths(child)
