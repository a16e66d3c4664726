"""LoneChild: a child with one life at a time and no mailbox: what tasks, functions and commands have in common.

Runs on the loop's thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from actors.exits import ExitReport
from supervisor.core.health.hang_detector import Health
from supervisor.core.rules.down import Down
from supervisor.core.terms import LoneKind
from supervisor.core.tree import events as happened
from supervisor.core.tree.commands import ReportExit
from supervisor.core.tree.events import AnyEvent
from supervisor.messaging.tree_context import TreeContext
from supervisor.ports.launching import Expected
from supervisor.specs import LoneSpec

S = TypeVar("S", bound=LoneSpec)
Post = Callable[[AnyEvent], None]


class LoneChild(ABC, Generic[S]):
    """A child with one life at a time and no mailbox.

    Args:
        spec: its spec.
        path: its own.
        tree: what it shares with the rest of the tree.
        post: takes its events.

    Attributes:
        last_report: of the last life that ended.
    """

    kind: ClassVar[LoneKind]

    def __init__(self, spec: S, path: str, tree: TreeContext, post: Post) -> None:
        self.spec = spec
        self.path = path
        self.name = path.rpartition("/")[2]
        self.last_report: ExitReport | None = None
        self._tree = tree
        self._post = post
        self._since = 0.0

    @property
    def pid(self) -> int | None:
        """Its process id, None when it has no process."""
        return None

    @property
    def health(self) -> Health | None:
        """How it is at this moment, as far as its process shows; None where nothing is known of that."""
        return None

    @property
    def port(self) -> int | None:
        """The port that its supervisor has chosen for it, None without one."""
        return None

    @property
    def awaits(self) -> str:
        """What has to happen before it is ready, in words; empty where that is not known."""
        return ""

    @property
    def expected(self) -> Expected | None:
        """None: no process is spawned ahead for it."""
        return None

    @abstractmethod
    def start(self, life: int) -> None:
        """Start a life."""

    @abstractmethod
    def stop(self, life: int, *, recycled: bool) -> None:
        """Ask a life to stop."""

    @abstractmethod
    def kill(self, life: int) -> None:
        """End a life at once."""

    def examine(self, life: int, then: Callable[[], None]) -> None:  # noqa: ARG002 - it has one life at a time
        """Call `then`; a kind that knows where it waits says so first."""
        then()

    def await_streams(self, life: int) -> None:
        """It has no streams, and is never recycled."""
        self._post(happened.StreamsOver(self.name, life))

    def retire(self, down: Down) -> None:
        """It has no mailbox to close."""

    def forget(self) -> None:
        """It has no mailbox to delete."""

    def hand_over(self) -> None:
        """It has no mailbox to leave to the next engine."""

    def ready(self, life: int) -> None:
        """Report that a life is ready."""
        self._since = self._tree.loop.time()
        self._tree.reports.child_started(self.path, life, self.pid)

    def report(self, command: ReportExit) -> ExitReport:
        """The report of the life that just ended; publishes it."""
        report = self.last_report = self._report(command, self._tree.loop.time() - self._since)
        self._tree.reports.child_exited(report, command.policy.value, command.restarts)
        return report

    @abstractmethod
    def _report(self, command: ReportExit, uptime: float) -> ExitReport:
        """The report of the life that just ended."""
