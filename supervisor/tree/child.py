"""Child: what an engine does with a child, whatever it is."""

from __future__ import annotations

from typing import Protocol

from actors.exits import ExitReport
from supervisor.core.tree.commands import ReportExit
from supervisor.specs import AnySpec


class Child(Protocol):
    """What an engine does with a child, whatever it is."""

    @property
    def spec(self) -> AnySpec:
        """What it is."""

    def start(self, life: int) -> None:
        """Begin a life."""

    def stop(self) -> None:
        """Ask the life to stop."""

    def kill(self) -> None:
        """End the life at once."""

    def retire(self, because: str) -> None:
        """It is down for good."""

    def forget(self) -> None:
        """Its spec is gone."""

    def ready(self, life: int) -> None:
        """Its readiness is to be told to the world."""

    def report(self, command: ReportExit) -> ExitReport:
        """The full report of the life that just ended; tells the world and settles its messages."""
