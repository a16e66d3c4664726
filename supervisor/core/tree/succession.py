"""Succession: the successor of a life: when it takes over, and what follows when either of the two ends. Pure."""

from __future__ import annotations

from supervisor.core.rules.down import TERMINATED
from supervisor.core.rules.policy import Scope, scope
from supervisor.core.rules.states import ChildState
from supervisor.core.tree.child import Child, EndedLife, StopCause
from supervisor.core.tree.commands import AwaitStreams, Decision
from supervisor.core.tree.deaths import SIBLING, Deaths, choice_of
from supervisor.core.tree.events import ChildExited, RecycleAsked, StreamsOver
from supervisor.core.tree.plans import Plan
from supervisor.core.tree.starts import UNDONE
from supervisor.core.tree.successor import Successor
from supervisor.core.tree.supervision import Supervision


class Succession:
    """What concerns the successors of lives."""

    def __init__(self, supervision: Supervision, deaths: Deaths) -> None:
        self._it = supervision
        self._deaths = deaths

    def recycle(self, event: RecycleAsked | StreamsOver) -> None:
        """Start the next life; or stop the current one, whose successor is ready."""
        child = self._it.children.get(event.child)
        if child is None or child.life != event.life or not self._it.runs_on(child):
            return
        if isinstance(event, RecycleAsked):
            child.recycle(event.because)
        elif child.successor is not None and child.successor.ready:
            child.stop(StopCause.RECYCLE)

    def try_again(self, child: Child) -> None:
        """The pause after a successor that did not start is over."""
        if self._it.runs_on(child):
            child.recycle(child.recycled_because)

    def ready(self, child: Child, successor: Successor) -> None:
        """A successor is ready."""
        if successor.ready_at is None and not successor.ending:
            successor.became_ready(self._it.now)
            if child.state is ChildState.RUNNING:
                self._it.out.say(AwaitStreams(child.name, child.life))

    def successor_ended(self, child: Child, dead: EndedLife, roll: float) -> None:
        """It has ended and never served. The life before it continues, unless it is being stopped."""
        it = self._it
        stops = child.goal > StopCause.RECYCLE or it.plans.stops(child.name) or it.final_command is not None
        if stops or not dead.failed_start:
            self._deaths.report(child, dead, Decision.EXPECTED, "it was stopped with the life that it was to follow")
            return
        goes_on = f"life {child.life} goes on" if child.state is ChildState.RUNNING else "another one follows"
        if child.callers.called_before(dead.life):
            self._deaths.report(
                child, dead, Decision.LEAVE_DOWN, f"{goes_on}; a recycle that was called for is not repeated"
            )
            why = f"{child.name!r} did not start: {dead.reason}; {goes_on}"
            child.callers.start_failed(dead.life, why)
        elif not self._deaths.exceeds(child, dead):
            delay = self._deaths.pause(child, roll)
            child.attempt += 1
            if child.state is ChildState.RUNNING:
                child.recycle_later(delay)
            self._deaths.report(child, dead, Decision.RESTART, f"the next life did not start; {goes_on}", delay)
        it.recycle_again(child)

    def succeeded(self, child: Child, dead: EndedLife, event: ChildExited) -> None:
        """A life has ended and its successor is the current one, whatever ended it. If need be, that ends, too."""
        it = self._it
        child.succeed(dead)
        because = self._expected(child, dead)
        if because:
            self._deaths.report(child, dead, Decision.EXPECTED, because)
        elif dead.made_room or event.wanted:
            self._deaths.follow(child, dead, event)
        else:
            choice = choice_of(child, dead, event)
            self._deaths.carry_out(
                choice,
                child,
                dead,
                restart=lambda: self._replace(child, dead, choice.because),
                stop=lambda: child.stop(StopCause.LEFT),
            )
        if it.runs_on(child):
            it.serves(child)

    def _expected(self, child: Child, dead: EndedLife) -> str:
        """Why the end was expected, in words; empty when it was not."""
        if self._it.final_command is not None:
            return self._it.ending_because
        match dead.goal:
            case StopCause.CALL:
                return TERMINATED
            case StopCause.UNDO:
                return UNDONE
            case StopCause.PLAN:
                return SIBLING
        return "a restart under way was about to stop it" if self._it.plans.stops(child.name) else ""

    def _replace(self, child: Child, dead: EndedLife, because: str) -> None:
        """A life died beside its successor. That is its restart; siblings follow by the strategy."""
        it = self._it
        child.attempt = self._deaths.attempt_after(child, dead) + 1
        order = [sibling.terms for sibling in it.children.values()]
        touched = scope(it.terms.strategy, order, child.name)
        plan = Plan(Scope(touched.stop, tuple(name for name in touched.start if name != child.name)))
        if child.state is not ChildState.RUNNING:
            plan.pending.add(child.name)
        it.plans.begin(plan)
        self._deaths.report(child, dead, Decision.RESTART, f"{because}; its next life had begun", 0.0)
