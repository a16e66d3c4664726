"""Subtree: a child that is a supervisor; each of its lives is another engine.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.exits import ExitReport
from supervisor.core.rules.down import Down
from supervisor.core.tree import commands as do
from supervisor.core.tree import events as happened
from supervisor.core.tree.commands import Decision, ReportExit
from supervisor.messaging.tree_context import TreeContext
from supervisor.ports.launching import Expected
from supervisor.specs import SupervisorSpec
from supervisor.tree.child import ChildMaker, Post
from supervisor.tree.engine import Engine


class Subtree:
    """A child that is a supervisor: each of its lives is another engine.

    The mailboxes below it belong to their paths: a subtree that is restarted takes them over with all that waits in
    them. They are closed when the parent decides that the subtree is down for good.
    """

    def __init__(
        self, path: str, spec: SupervisorSpec, tree: TreeContext, post: Post, make_children: ChildMaker
    ) -> None:
        self.path = path
        self.last_report: ExitReport | None = None
        self.spec: Final = spec
        self._tree = tree
        self._post = post
        self._make_children = make_children
        self._started_at = 0.0
        self.engine = self._fresh(1)

    @property
    def expected(self) -> Expected | None:
        """None: see `Child`."""
        return None

    def start(self, life: int) -> None:
        """Boot an engine: static children start, dynamic ones are dropped (OTP)."""
        self._started_at = self._tree.loop.time()
        if life > 1:
            self.hand_over()
            self.engine = self._fresh(life)
        self.engine.post(happened.Boot())

    def await_streams(self, life: int) -> None:
        """A supervisor has no streams; it is never recycled."""
        self._post(happened.StreamsOver(self.spec.name, life))

    def stop(self, life: int, *, recycled: bool) -> None:  # noqa: ARG002 - it has one life at a time
        """Ask the engine to stop its children in reverse order."""
        self.engine.post(happened.StopRequested())

    def examine(self, life: int, then: Callable[[], None]) -> None:  # noqa: ARG002 - it has one life at a time
        """Its own children are examined when their time is over."""
        then()

    def kill(self, life: int) -> None:  # noqa: ARG002 - it has one life at a time
        """Kill every process below."""
        self.engine.post(happened.KillRequested())

    def retire(self, down: Down) -> None:
        """The whole subtree stays down."""
        self.engine.retire(down)

    def forget(self) -> None:
        """The spec is gone."""
        for child in self.engine.children.values():
            child.forget()

    def hand_over(self) -> None:
        """Another engine of its spec follows."""
        self.engine.hand_over(self.spec)

    def ready(self, life: int) -> None:
        """The engine has reported it itself."""

    def report(self, command: ReportExit) -> ExitReport:
        """The end of a subtree, with the text of the last death in it."""
        inner = None if command.decision is Decision.EXPECTED else self.engine.last_failure
        report = ExitReport(
            actor=self.path,
            life=command.life,
            pid=None,
            reason=command.reason,
            traceback=None if inner is None else inner.traceback,
            native_stack=None if inner is None else inner.native_stack,
            last_message=None if inner is None else inner.last_message,
            last_message_begun=None if inner is None else inner.last_message_begun,
            last_message_failed=False if inner is None else inner.last_message_failed,
            deliveries=None if inner is None else inner.deliveries,
            cause=None if inner is None else inner.headline,
            uptime=self._tree.loop.time() - self._started_at,
            decision=command.decision.value,
            because=command.because,
            delay=command.delay,
        )
        self.last_report = report
        self._tree.reports.child_exited(report, command.policy.value, command.restarts)
        return report

    def _fresh(self, life: int) -> Engine:
        return Engine(
            self.spec,
            self.path,
            self._tree,
            self._make_children,
            on_running=lambda: self._post(happened.ChildReady(self.spec.name, life)),
            on_terminated=lambda end: self._terminated(life, end),
            nested=True,
        )

    def _terminated(self, life: int, end: do.Terminate) -> None:
        roll = self._tree.dice.random()
        self._post(happened.ChildExited(self.spec.name, life, end.reason, roll))
