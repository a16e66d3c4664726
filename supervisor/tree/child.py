"""Child: what an engine does with a child of any kind, and who makes it.

An engine knows children by this protocol alone. A kind of child is a class that has it, and a line in `child_factory`,
or in `supervisor.kinds.factory` for one without a mailbox.

Called on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from actors.exits import ExitReport
from supervisor.core.rules.down import Down
from supervisor.core.tree.commands import ReportExit
from supervisor.core.tree.events import AnyEvent
from supervisor.messaging.tree_context import TreeContext
from supervisor.ports.launching import Expected
from supervisor.specs import AnySpec

Post = Callable[[AnyEvent], None]
"""Gives an event to the machine of the supervisor: ChildReady and ChildExited of each life that was started."""


class Child(Protocol):
    """What an engine does with a child."""

    @property
    def spec(self) -> AnySpec:
        """Its spec; all members of a pool have the same."""

    @property
    def last_report(self) -> ExitReport | None:
        """The report of its last life that ended."""

    @property
    def expected(self) -> Expected | None:
        """What its next life needs of a process that is spawned ahead; None where that is not possible."""

    def start(self, life: int) -> None:
        """Start a life: the next one, or the successor of the current one. It posts ChildReady and ChildExited.

        Raises:
            Exception: it could not be started; that is a failed start.
        """

    def await_streams(self, life: int) -> None:
        """Post StreamsOver when a life has no stream or feed in flight."""

    def stop(self, life: int, *, recycled: bool) -> None:
        """Ask a life to stop; `recycled` when its next life is starting."""

    def examine(self, life: int, then: Callable[[], None]) -> None:
        """A life is not ready in time: find out where it waits, then call `then`; not if it ends or is ready before."""

    def kill(self, life: int) -> None:
        """Kill a life."""

    def retire(self, down: Down) -> None:
        """It stays down."""

    def forget(self) -> None:
        """Its spec is gone."""

    def hand_over(self) -> None:
        """Its supervisor was restarted: the next engine has a child of this spec, which takes over its mailboxes."""

    def ready(self, life: int) -> None:
        """Report that a life is ready."""

    def report(self, command: ReportExit) -> ExitReport:
        """The full report of the life that just ended; publishes it and settles its messages."""


class MakeChild(Protocol):
    """Makes the children of one supervisor."""

    def __call__(self, spec: AnySpec, name: str) -> Child:
        """The child of that name, not started yet: the spec's only one, or one member of its pool."""


ChildMaker = Callable[[str, TreeContext, Post], MakeChild]
"""What makes the children of a supervisor: from its path, its tree, and where the events of its children go."""
