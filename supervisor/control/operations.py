"""Operations: what the daemon does for each request.

Runs on the loop's thread.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from supervisor.control.frames import (
    AnyRequest,
    Failed,
    Identify,
    Identity,
    Reply,
    Request,
    ShowTree,
    Tree,
    Trouble,
)
from supervisor.control.slim import slim
from supervisor.core.rules.states import ChildState
from supervisor.tree.engine import Engine
from supervisor.tree.health import health_of
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot, tree_of


class Operations:
    """What the daemon does for each request.

    Args:
        engine: of the root supervisor.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._started = time.time()

    def close(self) -> None:
        """The tree is down."""

    async def serve(self, request: Request) -> AsyncIterator[Reply]:
        """The replies to a request, the last of which ends it. What fails changes nothing and is a reply, too."""
        try:
            async for reply in self._replies(request):  # type: ignore[arg-type]
                yield reply
        except Exception as error:
            context = {"message": f"the control request {type(request).__name__} failed", "exception": error}
            self._engine.tree.loop.call_exception_handler(context)
            yield Failed(Trouble.FAILED, f"error in the daemon: {type(error).__name__}: {error}; see its log")

    async def _replies(self, request: AnyRequest) -> AsyncIterator[Reply]:
        match request:
            case Identify():
                yield self._identity()
            case ShowTree():
                yield Tree(time.time(), slim(tree_of(self._engine)))

    def _identity(self) -> Identity:
        tree = tree_of(self._engine)
        leaves = list(_leaves(tree))
        return Identity(
            pid=os.getpid(),
            tree=tree.path,
            argv=tuple(sys.orig_argv),
            cwd=str(Path.cwd()),
            python=platform.python_version(),
            started=self._started,
            health=health_of(tree),
            children=len(leaves),
            running=sum(leaf.state is ChildState.RUNNING for leaf in leaves),
        )


def _leaves(node: SupervisorSnapshot | ChildSnapshot) -> Iterator[ChildSnapshot]:
    if isinstance(node, ChildSnapshot):
        yield node
        return
    for child in node.children:
        yield from _leaves(child)
