"""Child: what an engine does with a child: an actor or another supervisor.

Called on the loop's thread.
"""

from __future__ import annotations

from typing import Protocol

from actors.exits import ExitReport
from supervisor.core.tree.commands import ReportExit
from supervisor.specs import AnySpec


class Child(Protocol):
    """What an engine does with a child."""

    @property
    def spec(self) -> AnySpec:
        """Its spec."""

    def start(self, life: int) -> None:
        """Start a life: the next one, or the successor of the current one."""

    def await_streams(self, life: int) -> None:
        """Post StreamsOver when a life has no stream or feed in flight."""

    def stop(self, life: int, *, recycled: bool) -> None:
        """Ask a life to stop; `recycled` when its next life is starting."""

    def kill(self, life: int) -> None:
        """Kill a life."""

    def retire(self, because: str) -> None:
        """It is down for good."""

    def forget(self) -> None:
        """Its spec is gone."""

    def ready(self, life: int) -> None:
        """Report that a life is ready."""

    def report(self, command: ReportExit) -> ExitReport:
        """The full report of the life that just ended; publishes it and settles its messages."""
