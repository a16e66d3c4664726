"""Deaths: what follows from the end of a life that has no successor. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.exits import GAVE_UP, ExitKind, ExitReason
from supervisor.core.causes import Cause, RestartAction
from supervisor.core.rules import policy
from supervisor.core.rules.down import TERMINATED
from supervisor.core.rules.policy import Choice, scope
from supervisor.core.rules.states import SupervisorState
from supervisor.core.terms import Backoff, RestartPolicy
from supervisor.core.tree.child import Child, EndedLife, StopCause
from supervisor.core.tree.commands import Decision, ReportExit
from supervisor.core.tree.ending import Ending
from supervisor.core.tree.events import ChildExited, TimerKind
from supervisor.core.tree.plans import Plan
from supervisor.core.tree.starts import UNDONE, Starts
from supervisor.core.tree.supervision import Supervision

CAME: Final = "it stopped as idle, and a message came meanwhile"
SIBLING: Final = "stopped for the restart of a sibling"
_LEFT: Final = "the life before it ended for good"


class Deaths:
    """What follows from the ends of lives."""

    def __init__(self, supervision: Supervision, starts: Starts, ending: Ending) -> None:
        self._it = supervision
        self._starts = starts
        self._ending = ending

    def ended(self, child: Child, dead: EndedLife, event: ChildExited) -> None:
        """A life has ended, and there is no successor."""
        it = self._it
        choice = choice_of(child, dead, event)
        stopped_by_plan = it.plans.stops(child.name)
        if it.final_command is not None:
            self._ended_in_the_end(child, dead)
        elif dead.goal in (StopCause.CALL, StopCause.UNDO):
            self._ended_by_call(child, dead)
        elif dead.goal is StopCause.PLAN:
            self.report(child, dead, Decision.EXPECTED, SIBLING)
            self._await_plan(child, SIBLING)
        elif dead.goal is StopCause.LEFT:
            self.report(child, dead, Decision.EXPECTED, _LEFT)
            self._leave_down(child, _LEFT)
        elif (dead.made_room or event.wanted) and not stopped_by_plan:
            self.follow(child, dead, event)
        elif dead.failed_start and child.callers.start is not None:
            self._failed_its_caller(child, dead)
        elif stopped_by_plan:
            self._joined_a_plan(child, dead)
        elif self._booting(child, dead) and not choice.by_rule:
            self._failed_to_boot(child, dead)
        else:
            self.carry_out(
                choice,
                child,
                dead,
                restart=lambda: self._restart(child, dead, choice.because, event.roll),
                stop=lambda: self._leave_down(child, choice.because),
            )

    def carry_out(
        self, choice: Choice, child: Child, dead: EndedLife, *, restart: Callable[[], None], stop: Callable[[], None]
    ) -> None:
        """Do what a rule or the policy says."""
        match choice.action:
            case RestartAction.RESTART:
                if not self.exceeds(child, dead):
                    restart()
            case RestartAction.RESTART_UNCOUNTED:
                restart()
            case RestartAction.STOP:
                self.report(child, dead, Decision.LEAVE_DOWN, choice.because)
                stop()
            case RestartAction.ESCALATE:
                self._give_up(child, dead, choice.because)

    def follow(self, child: Child, dead: EndedLife, event: ChildExited) -> None:
        """A planned replacement: the next life follows whatever the policy, and no restart is counted."""
        child.attempt = self.attempt_after(child, dead)
        because = child.recycled_because if dead.made_room else event.because or CAME
        self.report(child, dead, Decision.RECYCLE, because, 0.0)
        if not child.alive:
            child.start()

    def exceeds(self, child: Child, dead: EndedLife) -> bool:
        """Count one restart; give up if that is one too many, and return whether it is."""
        it = self._it
        if not it.budgets.exceeded(child.terms, it.now):
            return False
        allowed = it.terms.intensity
        whose = f" of {child.name!r}" if child.terms.own_budget else ""
        needed = f"restart {it.budgets.held(child.terms, it.now)}{whose}"
        self._give_up(child, dead, f"{needed} within {allowed.period:g} s, where {allowed.max_restarts} are allowed")
        return True

    def report(
        self, child: Child, dead: EndedLife, decision: Decision, because: str, delay: float | None = None
    ) -> None:
        """Report an end of a life and what follows."""
        it = self._it
        it.out.say(
            ReportExit(
                child=child.name,
                life=dead.life,
                reason=dead.reason,
                policy=child.terms.restart,
                decision=decision,
                because=because,
                delay=delay,
                restarts=it.budgets.held(child.terms, it.now),
            )
        )

    def attempt_after(self, child: Child, dead: EndedLife) -> int:
        """The number of the restart that follows a life of a child."""
        healthy = policy.healthy_after(self._backoff(child), self._it.terms.intensity)
        return policy.attempt_after(child.attempt, dead.uptime, healthy)

    def pause(self, child: Child, roll: float) -> float:
        """Seconds before the next restart of a child."""
        return policy.delay(child.attempt, roll, self._backoff(child))

    def down_by_call(self, child: Child) -> None:
        """A terminated child is down: keep its spec, unless it is temporary or its start was still awaited."""
        if child.callers.adding or child.terms.restart is RestartPolicy.TEMPORARY:
            self._starts.forget(child, TERMINATED)
        else:
            child.retire(TERMINATED)
        self._starts.failed(child, f"{child.name!r} was terminated before it was ready")
        child.callers.down()

    def _ended_in_the_end(self, child: Child, dead: EndedLife) -> None:
        self.report(child, dead, Decision.EXPECTED, self._it.ending_because)
        self._ending.leave_closed(child)
        child.callers.down()

    def _ended_by_call(self, child: Child, dead: EndedLife) -> None:
        if dead.goal is StopCause.UNDO:
            self.report(child, dead, Decision.EXPECTED, UNDONE)
            self._starts.undone(child)
        else:
            self.report(child, dead, Decision.EXPECTED, TERMINATED)
            self.down_by_call(child)

    def _joined_a_plan(self, child: Child, dead: EndedLife) -> None:
        """It ended by itself just before a plan would have stopped it: no restart of its own is counted."""
        because = "a restart under way was about to stop it"
        if child.terms.restart is RestartPolicy.TEMPORARY:
            self.report(child, dead, Decision.LEAVE_DOWN, because)
        else:
            self.report(child, dead, Decision.RESTART, because, self._delay(child))
        self._await_plan(child, because)

    def _await_plan(self, child: Child, because: str) -> None:
        if child.terms.restart is RestartPolicy.TEMPORARY:
            self._starts.forget(child, f"{because}; temporary children are not started again")
            self._starts.failed(child, f"{child.name!r} is temporary; {because}")
        else:
            child.wait()

    def _failed_its_caller(self, child: Child, dead: EndedLife) -> None:
        """A start requested by the API is not retried and does not count for the intensity."""
        because = "a start that was called for is not repeated"
        self.report(child, dead, Decision.LEAVE_DOWN, because)
        if child.callers.adding:
            self._starts.forget(child, because)
        else:
            child.leave()
            child.retire(because)
        self._starts.failed(child, f"{child.name!r} did not start: {dead.reason}")

    def _booting(self, child: Child, dead: EndedLife) -> bool:
        return dead.failed_start and not child.ever_ready and self._it.phase is SupervisorState.STARTING

    def _failed_to_boot(self, child: Child, dead: EndedLife) -> None:
        because = "a failing first start ends the supervisor"
        self.report(child, dead, Decision.LEAVE_DOWN, because)
        self._ending.begin(dead.reason, f"{child.name!r} did not start", failed=child.name)

    def _leave_down(self, child: Child, because: str) -> None:
        if child.terms.restart is RestartPolicy.TEMPORARY:
            self._starts.forget(child, because)
        else:
            child.leave()
            child.retire(because)
        self._ending.left_down(child.terms)

    def _restart(self, child: Child, dead: EndedLife, because: str, roll: float) -> None:
        it = self._it
        child.attempt = self.attempt_after(child, dead)
        delay = self.pause(child, roll)
        child.attempt += 1
        at_once = delay <= 0 and not dead.failed_start  # a failed start always yields to other events
        order = [sibling.terms for sibling in it.children.values()]
        it.plans.begin(
            Plan(
                scope(it.terms.strategy, order, child.name),
                child.timer(TimerKind.BACKOFF),
                None if at_once else it.now + delay,
            )
        )
        child.wait()
        self.report(child, dead, Decision.RESTART, because, self._delay(child))

    def _backoff(self, child: Child) -> Backoff:
        return policy.terms_for(child.terms.backoff, self._it.terms.intensity)

    def _delay(self, child: Child) -> float:
        """The least seconds before a child is started again."""
        due = self._it.plans.due(child.name)
        return 0.0 if due is None else max(0.0, due - self._it.now)

    def _give_up(self, child: Child, dead: EndedLife, because: str) -> None:
        self.report(child, dead, Decision.GIVE_UP, because)
        self._ending.begin(
            ExitReason(ExitKind.SHUTDOWN, f"{GAVE_UP}{because}"),
            "its supervisor gave up",
            failed=child.name,
            exceeded=True,
        )


def choice_of(child: Child, dead: EndedLife, event: ChildExited) -> Choice:
    """What the rules and the policy of a child say to an end."""
    causes = (*event.causes, Cause.failed_start) if dead.failed_start else event.causes
    return policy.choose(child.terms, dead.reason.kind, causes)
