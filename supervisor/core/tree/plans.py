"""Plans: the boot and restarts in progress, each taken as far as it can go without waiting. Pure.

Under one_for_one every restart is a plan of its own and none waits for another. Under the other strategies there is
one plan, and a new one absorbs what the former has left. No step loops until a child does something: an event
continues the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from supervisor.core.rules.policy import Scope
from supervisor.core.terms import Strategy, SupervisorTerms
from supervisor.core.tree.child import Child, StopCause
from supervisor.core.tree.commands import CommandBuffer
from supervisor.core.tree.events import Timer


def down_in_turn(children: Mapping[str, Child], names: Iterable[str], goal: StopCause) -> bool:
    """Whether all of them are down. Asks the first that is not to stop; the others wait for it.

    Members of a pool share one mailbox and do not depend on each other: they stop together, at the turn of the first.
    """
    alive = [child for child in map(children.__getitem__, names) if child.alive]
    if not alive:
        return True
    first = alive[0]
    for child in alive:
        if child is first or (child.terms.pool and child.terms.pool == first.terms.pool):
            child.stop(goal)
    return False


class Plans:
    """The boot and the restarts that are not finished.

    Args:
        terms: the supervisor's.
        children: by name, in order of start; owned by the machine.
        out: where commands go.
    """

    def __init__(self, terms: SupervisorTerms, children: Mapping[str, Child], out: CommandBuffer) -> None:
        self._grouped = terms.strategy is not Strategy.ONE_FOR_ONE
        self._parallel = terms.start == "parallel"
        self._children = children
        self._out = out
        self._plans: list[Plan] = []

    @property
    def grouped(self) -> bool:
        """Whether a restart of several children (or the boot of such a supervisor) is in progress."""
        return self._grouped and bool(self._plans)

    def begin(self, plan: Plan) -> None:
        """Add a plan. It starts with the next `advance`."""
        if self._grouped:
            for other in self._plans:
                self._unset(other)
                plan.absorb(other, self._children)
            self._plans.clear()
        self._plans.append(plan)

    def advance(self, now: float) -> None:
        """Take every plan as far as it goes without waiting."""
        for plan in self._plans:
            self._advance(plan, now)
        self._plans = [plan for plan in self._plans if not plan.done]

    def resume(self, timer: Timer) -> None:
        """The wait with this timer is over."""
        for plan in self._plans:
            if plan.timer == timer:
                plan.resume_at = None

    def over(self, name: str) -> None:
        """A child's start is decided: it is ready, or that life has ended."""
        for plan in self._plans:
            plan.pending.discard(name)

    def drop(self, name: str) -> None:
        """Do not start this child."""
        for plan in self._plans:
            if plan.timer is not None and plan.timer.child == name:
                self._unset(plan)
            plan.drop(name)

    def forget(self, name: str) -> None:
        """The child no longer exists."""
        for plan in self._plans:
            plan.forget(name)

    def clear(self) -> None:
        """Drop all plans."""
        for plan in self._plans:
            self._unset(plan)
        self._plans.clear()

    def stops(self, name: str) -> bool:
        """Whether this child must be down before some plan continues."""
        return any(name in plan.stop for plan in self._plans)

    def starts(self, name: str) -> bool:
        """Whether some plan will start this child."""
        return any(name in plan.start for plan in self._plans)

    @property
    def upcoming(self) -> tuple[str, ...]:
        """The children that are about to be started one after the other, in order; not those that wait for a time."""
        return tuple(name for plan in self._plans if plan.resume_at is None for name in plan.start)

    def due(self, name: str) -> float | None:
        """The earliest moment at which the child is started, None when no plan waits to start it."""
        for plan in self._plans:
            if name in plan.start:
                return plan.resume_at
        return None

    def _advance(self, plan: Plan, now: float) -> None:
        if not down_in_turn(self._children, plan.stop, StopCause.PLAN):
            return
        plan.stop.clear()
        if plan.timer is not None and plan.resume_at is not None:
            self._out.arm(plan.timer, max(0.0, plan.resume_at - now))
            return
        while plan.start and (self._parallel or not plan.pending):
            child = self._children[plan.start.pop(0)]
            plan.pending.add(child.name)
            child.start()

    def _unset(self, plan: Plan) -> None:
        if plan.timer is not None:
            self._out.disarm(plan.timer)


class Plan:
    """What is left of a restart, or of the boot. Stores only child names.

    Attributes:
        stop: names that must be down before anything is started, in the order to stop them.
        start: names still to be started, in order.
        pending: names that were started and are not ready yet.
        timer: the timer of its wait, named after the child whose end made the plan; None for the boot, which has
            none.
        resume_at: when the wait is over, None when it does not wait.
    """

    __slots__ = ("pending", "resume_at", "start", "stop", "timer")

    def __init__(self, scope: Scope, timer: Timer | None = None, resume_at: float | None = None) -> None:
        self.stop = list(scope.stop)
        self.start = list(scope.start)
        self.pending: set[str] = set()
        self.timer = timer
        self.resume_at = resume_at

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.stop or self.start or self.pending)

    def drop(self, child: str) -> None:
        """Do not start this child; if the plan's timer is this child's, the wait is over."""
        if child in self.start:
            self.start.remove(child)
        if self.timer is not None and self.timer.child == child:
            self.resume_at = None

    def forget(self, child: str) -> None:
        """The child no longer exists."""
        self.drop(child)
        self.pending.discard(child)
        if child in self.stop:
            self.stop.remove(child)

    def absorb(self, other: Plan, order: Iterable[str]) -> None:
        """Take over what another plan has left; of two waits the later end counts.

        Args:
            other: the plan that this one replaces; it must not be used any more.
            order: all names in order of start.
        """
        names = list(order)
        stop, start = {*self.stop, *other.stop}, {*self.start, *other.start}
        self.stop = [name for name in reversed(names) if name in stop]
        self.start = [name for name in names if name in start]
        self.pending |= other.pending - start
        if self.resume_at is None or (other.resume_at is not None and other.resume_at > self.resume_at):
            self.resume_at = other.resume_at
