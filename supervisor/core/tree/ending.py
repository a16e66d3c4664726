"""Ending: the end of a supervisor: its cause, the stop of its children in reverse order, its last command. Pure."""

from __future__ import annotations

from actors.exits import ExitKind, ExitReason
from supervisor.core.rules import policy
from supervisor.core.rules.states import SupervisorState, SupervisorStep
from supervisor.core.terms import ChildTerms
from supervisor.core.tree.child import Child, StopCause
from supervisor.core.tree.commands import Terminate, Verdict
from supervisor.core.tree.events import StopRequested, Timer, TimerKind
from supervisor.core.tree.plans import down_in_turn
from supervisor.core.tree.starts import Starts
from supervisor.core.tree.supervision import Supervision


class Ending:
    """The end of one supervisor."""

    def __init__(self, supervision: Supervision, starts: Starts) -> None:
        self._it = supervision
        self._starts = starts
        self._deadlines = 0
        self._significant: ChildTerms | None = None  # a significant child that was down for good before all were up

    def begin(self, reason: ExitReason, because: str, *, failed: str = "", exceeded: bool = False) -> None:
        """Begin to end; the first reason counts."""
        it = self._it
        if it.final_command is not None:
            return
        started = it.phase in (SupervisorState.RUNNING, SupervisorState.RESTARTING)
        it.final_command = Terminate(reason, failed, exceeded, started)
        it.ending_because = because
        it.step(SupervisorStep.END)
        it.plans.clear()
        for child in it.children.values():
            self._starts.end(child, because)
            child.callers.recycle_failed(Verdict.STOPPING, because)
            if not child.alive:
                child.give_up_waiting()
                self.leave_closed(child)
        self._starts.end_undone()

    def stop(self, event: StopRequested) -> None:
        """The supervisor is asked to stop."""
        self.begin(ExitReason(ExitKind.SHUTDOWN, "asked to stop"), "its supervisor was asked to stop")
        if event.deadline is not None:
            self._it.out.disarm(self._deadline())
            self._deadlines += 1
            self._it.out.arm(self._deadline(), event.deadline)

    def kill(self) -> None:
        """Kill all children now."""
        self.begin(ExitReason(ExitKind.SHUTDOWN, "asked to stop at once"), "its supervisor was told to stop")
        for child in reversed(self._it.children.values()):
            if child.alive:
                child.kill(StopCause.END)

    def leave_closed(self, child: Child) -> None:
        """A child is down in the end; where the supervisor may be started again, its mailbox stays open."""
        if not self._it.terms.nested:
            child.retire(self._it.ending_because)

    def left_down(self, ended: ChildTerms) -> None:
        """A child has ended for good; a significant one may end its supervisor."""
        if self._it.phase is not SupervisorState.STARTING:
            self._end_if_significant(ended)
        elif ended.significant:
            self._significant = ended  # the boot is finished first (OTP)

    def booted(self) -> None:
        """All static children have been ready."""
        if self._significant is not None:
            self._end_if_significant(self._significant)

    def advance(self) -> None:
        """Stop the next child; after the last, give the last command."""
        it = self._it
        if it.final_command is not None and down_in_turn(it.children, reversed(it.children), StopCause.END):
            it.out.disarm(self._deadline())
            it.step(SupervisorStep.DOWN)
            it.out.say(it.final_command)

    def _end_if_significant(self, ended: ChildTerms) -> None:
        it = self._it
        up = [child.terms for child in it.children.values() if child.alive or it.plans.starts(child.name)]
        if policy.ends_supervisor(it.terms.auto_shutdown, ended, up):
            self.begin(
                ExitReason(ExitKind.SHUTDOWN, f"auto_shutdown: significant child {ended.name!r} ended"),
                f"its supervisor ended with its significant child {ended.name!r}",
                failed=ended.name,
            )

    def _deadline(self) -> Timer:
        return Timer("", self._deadlines, TimerKind.DEADLINE)
