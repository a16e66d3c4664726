"""Supervision: what the parts of one machine share: its children, plans and budgets, and its state. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from supervisor.core.rules.policy import Budgets
from supervisor.core.rules.states import (
    SUPERVISOR_TRANSITIONS,
    ChildState,
    IllegalTransition,
    SupervisorState,
    SupervisorStep,
)
from supervisor.core.terms import ChildTerms, SupervisorTerms
from supervisor.core.tree.child import CALLED, Child
from supervisor.core.tree.commands import CommandBuffer, ReportReady, Terminate
from supervisor.core.tree.plans import Plans


class Supervision:
    """What the parts of one machine share.

    Attributes:
        terms: the supervisor's.
        now: the moment of the event that is being handled.
        phase: the state of the supervisor.
        final_command: the command to give when all children are down; None while the supervisor does not end.
        ending_because: why it ends, in words for the reports.
        out: where commands go.
        children: by name, in order of start.
        plans: the boot and the restarts that are not finished.
        budgets: the restarts that still count.
    """

    def __init__(self, terms: SupervisorTerms, children: Sequence[ChildTerms]) -> None:
        self.terms = terms
        self.now = 0.0
        self.phase = SupervisorState.NEW
        self.final_command: Terminate | None = None
        self.ending_because = ""
        self.out = CommandBuffer()
        self.children = {child.name: Child(child, self.out) for child in children}
        self.plans = Plans(terms, self.children, self.out)
        self.budgets = Budgets(terms.intensity)

    def step(self, step: SupervisorStep) -> None:
        """Go to the next state.

        Raises:
            IllegalTransition: the table has no such step.
        """
        try:
            self.phase = SUPERVISOR_TRANSITIONS[self.phase][step]
        except KeyError:
            raise IllegalTransition(f"supervisor {self.terms.path!r}", self.phase, step) from None

    def serves(self, child: Child) -> None:
        """A life of a child is ready and is its current one."""
        self.out.say(ReportReady(child.name, child.life))
        child.callers.recycled(child.life)
        self.recycle_again(child)

    def recycle_again(self, child: Child) -> None:
        """Start the life for those who called `recycle` when the last one had begun."""
        if child.callers.recycles and self.runs_on(child):
            child.recycle(CALLED)

    def forget(self, child: Child, because: str) -> None:
        """Delete a child."""
        self.plans.forget(child.name)
        del self.children[child.name]
        self.budgets.forget(child.terms)
        child.forget(because)

    def runs_on(self, child: Child) -> bool:
        """Whether a child runs and is not about to be stopped anyway."""
        ending = self.final_command is not None or self.plans.stops(child.name)
        return child.state is ChildState.RUNNING and not ending
