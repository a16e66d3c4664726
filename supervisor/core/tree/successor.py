"""Successor: the life that is started beside the current one, to follow it. Pure.

It gets no messages before it is the current life. It is started, stopped and killed like any other life; a child has
at most one.
"""

from __future__ import annotations

from supervisor.core.terms import ChildTerms
from supervisor.core.tree.commands import CommandBuffer, KillChild, StartChild, StopChild
from supervisor.core.tree.events import Timer, TimerKind


class Successor:
    """One life beside the current one.

    Args:
        terms: of the child.
        number: of the life.
        out: where commands go.

    Attributes:
        number: of the life.
        ready_at: when it became ready, None before.
        late: whether it was killed because it was not ready in time.
        ending: whether it was asked to stop, or killed.
        killed: whether it was killed.
    """

    __slots__ = ("_out", "_terms", "ending", "killed", "late", "number", "ready_at")

    def __init__(self, terms: ChildTerms, number: int, out: CommandBuffer) -> None:
        self.number = number
        self.ready_at: float | None = None
        self.late = False
        self.ending = False
        self.killed = False
        self._terms = terms
        self._out = out
        out.say(StartChild(terms.name, number))
        out.arm(self.timer(TimerKind.START), terms.start_timeout)

    @property
    def ready(self) -> bool:
        """Whether it can take over."""
        return self.ready_at is not None and not self.ending

    def timer(self, kind: TimerKind) -> Timer:
        """The name of one of its timers."""
        return Timer(self._terms.name, self.number, kind)

    def became_ready(self, now: float) -> None:
        """It can take over."""
        self.ready_at = now
        self._out.disarm(self.timer(TimerKind.START))

    def stop(self) -> None:
        """Stop it: ask, grace, kill. No effect when it is being stopped already."""
        if self._terms.shutdown <= 0:
            self.kill()
        elif not self.ending:
            self._begin_ending()
            self._out.say(StopChild(self._terms.name, self.number))
            self._out.arm(self.timer(TimerKind.GRACE), self._terms.shutdown)

    def kill(self) -> None:
        """Kill it now."""
        self._begin_ending()
        self._out.disarm(self.timer(TimerKind.GRACE))
        if not self.killed:
            self.killed = True
            self._out.say(KillChild(self._terms.name, self.number))

    def ended(self) -> None:
        """It has ended."""
        self._out.disarm(self.timer(TimerKind.START))
        self._out.disarm(self.timer(TimerKind.GRACE))

    def _begin_ending(self) -> None:
        self.ending = True
        self._out.disarm(self.timer(TimerKind.START))
