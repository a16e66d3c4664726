"""A plan under way: whom to stop, until when to wait, whom to start.

Law: a plan stops before it waits and waits before it starts. It names children and holds no opinion on
them: the boot is a plan that only starts, a one_for_one restart one that only waits and starts.
May import: events and strategy.
"""

from __future__ import annotations

from collections.abc import Iterable

from supervisor.core.events import Timer
from supervisor.core.strategy import Scope


class Plan:
    """What is left of a restart, or of the boot.

    Attributes:
        stop: names that must be down before anything is started, in the order to stop them.
        start: names still to be started, in order.
        pending: names that were started and are not ready yet.
        timer: the name of the wait, after the child whose end made the plan; None for the boot, which has
            none.
        resume_at: when the wait is over, None when there is nothing to wait for (any more).
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
        """Start this child no more; if its wait is the plan's, the wait is over."""
        if child in self.start:
            self.start.remove(child)
        if self.timer is not None and self.timer.child == child:
            self.resume_at = None

    def forget(self, child: str) -> None:
        """There is no such child any more."""
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
