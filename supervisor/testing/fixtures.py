"""Fixtures: what the fixtures of `actors.pytest_plugin` do.

Runs on the thread of the test's loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Self, Unpack

from actors.errors import UsageError
from supervisor.root.options import Options
from supervisor.specs import AnySpec
from supervisor.supervisor import Supervisor
from supervisor.testing.clock import virtual_clock
from supervisor.testing.inline import InlineSupervisor


class Trees:
    """The trees of one test: `root = await tree(ChildSpec(Counter), ...)`.

    Args:
        inline: whether their actors run in the test's process; else each in a process of its own.

    Attributes:
        inline: the same.
    """

    def __init__(self, *, inline: bool) -> None:
        self.inline = inline
        self._stack: AsyncExitStack | None = None

    def __call__(self, *children: AnySpec, **options: Unpack[Options]) -> Coroutine[Any, Any, Supervisor]:
        """Start a tree; it is stopped when the test function ends. Arguments as in Supervisor.

        Raises:
            UsageError: the test function is not async, or has ended.
            StartFailed: an actor did not start.
        """
        if self._stack is None:
            raise UsageError(
                "`await tree(...)` works inside of an async test function; in a fixture write "
                "`async with tree.new(...) as root: yield root`"
            )
        return self._enter(self._stack, self.new(*children, **options))

    @staticmethod
    async def _enter(stack: AsyncExitStack, tree: Supervisor) -> Supervisor:
        return await stack.enter_async_context(tree)

    def new(self, *children: AnySpec, **options: Unpack[Options]) -> Supervisor:
        """A tree that is not started, for `async with`. Arguments as in Supervisor."""
        return (InlineSupervisor if self.inline else Supervisor)(*children, **options)

    async def __aenter__(self) -> Self:
        """The test function begins."""
        self._stack = AsyncExitStack()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """The test function has ended: stop its trees, the last one first."""
        stack, self._stack = self._stack, None
        return None if stack is None else await stack.__aexit__(kind, error, trace)


@asynccontextmanager
async def virtual_time() -> AsyncIterator[None]:
    """While inside, the running loop has a virtual clock."""
    with virtual_clock().running():
        yield
