"""Child: its terms, its current life, at most one successor beside it, and the calls that wait for it.

All beginnings and ends of lives go through here, and a life is always stopped the same way: asked, given its grace,
killed, awaited. Whether it should run is decided elsewhere. Pure.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from actors.exits import ExitKind, ExitReason
from supervisor.core.rules.states import ALIVE, CHILD_TRANSITIONS, ChildState, ChildStep, IllegalTransition
from supervisor.core.terms import ChildTerms
from supervisor.core.tree.commands import (
    Answer,
    CloseMailbox,
    CommandBuffer,
    DeleteChild,
    KillChild,
    StartChild,
    StopChild,
    Verdict,
)
from supervisor.core.tree.events import Timer, TimerKind
from supervisor.core.tree.successor import Successor

CALLED = "recycle was called"  # why a life is replaced, in words for the reports


class StopCause(IntEnum):
    """Why a life is being ended; when there are two reasons, the greater one counts."""

    NONE = 0  # it is not being ended
    RECYCLE = 1  # it makes room for the next life
    LEFT = 2  # the life before it ended, and the policy wants no other
    PLAN = 3  # a restart of several children begins with it
    LATE = 4  # it was not ready in time
    CALL = 5  # `terminate_child` was called
    UNDO = 6  # the call that added it was cancelled, or another member that it added did not start
    END = 7  # the supervisor ends


class Callers:
    """The calls that wait for one child.

    Args:
        out: where answers go.

    Attributes:
        start: ticket of the call that waits for the child to be ready, None without one.
        adds: whether that call has added the child, which is deleted when the start fails.
        stops: tickets of calls that wait for it to be down.
        recycles: tickets of calls that wait for a next life, each with the latest life that had begun when it came:
            that one may have read what the caller has changed since, so it does not answer the call.
    """

    __slots__ = ("_out", "adds", "recycles", "start", "stops")

    def __init__(self, out: CommandBuffer) -> None:
        self.start: int | None = None
        self.adds = False
        self.stops: list[int] = []
        self.recycles: dict[int, int] = {}
        self._out = out

    @property
    def adding(self) -> bool:
        """Whether the call that added the child still waits for it to be ready."""
        return self.start is not None and self.adds

    def down(self) -> None:
        """The child is down."""
        self._answer(self.stops, Verdict.OK, "")

    def called_before(self, life: int) -> list[int]:
        """Tickets of the recycles that this life answers: they came before it had begun."""
        return [ticket for ticket, begun in self.recycles.items() if begun < life]

    def recycled(self, life: int) -> None:
        """This life serves."""
        self._answer_recycles(self.called_before(life), Verdict.OK, "")

    def start_failed(self, life: int, why: str) -> None:
        """This life has ended, and never served."""
        self._answer_recycles(self.called_before(life), Verdict.START_FAILED, why)

    def recycle_failed(self, verdict: Verdict, detail: str) -> None:
        """There is no next life."""
        self._answer_recycles(list(self.recycles), verdict, detail)

    def _answer_recycles(self, tickets: list[int], verdict: Verdict, detail: str) -> None:
        for ticket in tickets:
            del self.recycles[ticket]
        self._answer(tickets, verdict, detail)

    def _answer(self, tickets: list[int], verdict: Verdict, detail: str) -> None:
        for ticket in tickets:
            self._out.say(Answer(ticket, verdict, detail))
        tickets.clear()


class EndedLife(msgspec.Struct, frozen=True):
    """A life that has ended.

    Attributes:
        child: its name.
        life: its number.
        reason: how it ended, as it is reported.
        goal: why it was being ended, NONE when it ended by itself.
        uptime: seconds it was ready, None when it never was.
        killed: whether its supervisor killed it.
    """

    child: str
    life: int
    reason: ExitReason
    goal: StopCause
    uptime: float | None
    killed: bool

    @property
    def failed_start(self) -> bool:
        """Whether it ended before it was ready, though it was not being ended."""
        return self.uptime is None and self.goal in (StopCause.NONE, StopCause.LATE)

    @property
    def made_room(self) -> bool:
        """Whether it ended because it was recycled: it stopped, or was killed for not stopping in time.

        It did not when it died, nor when it had stopped itself before the request reached it.
        """
        return self.goal is StopCause.RECYCLE and (
            self.killed or self.reason.kind in (ExitKind.SHUTDOWN, ExitKind.LOST)
        )


class ChildView(msgspec.Struct, frozen=True):
    """What the machine shows of a child.

    Attributes:
        name: unique under its supervisor.
        terms: as they were given.
        state: its state.
        life: the number of its current or last life, 0 before the first.
        ready_at: when the current life became ready, None when it is not.
        next_try_at: the earliest moment of its next start, None when none is planned.
        successor: the number of the life that was started beside the current one, None when there is none.
    """

    name: str
    terms: ChildTerms
    state: ChildState
    life: int
    ready_at: float | None
    next_try_at: float | None
    successor: int | None = None


class Child:
    """A child as the machine keeps it.

    Attributes:
        terms: as they were given.
        name: unique under its supervisor.
        added_by: the ticket of the call that added it, 0 for a static child.
        state: its state.
        life: the number of its current or last life.
        ready_at: when the current life became ready.
        goal: why the current life is being ended.
        attempt: how many restarts the current unhealthy stretch has had.
        ever_ready: whether any life of it was ever ready.
        retired: whether it was reported that it stays down.
        recycled_because: why it was recycled last.
        successor: the life that was started beside the current one, to follow it.
        callers: the calls that wait for it.
    """

    __slots__ = (
        "_begun",
        "_killed",
        "_out",
        "added_by",
        "attempt",
        "callers",
        "ever_ready",
        "goal",
        "life",
        "name",
        "ready_at",
        "recycled_because",
        "retired",
        "state",
        "successor",
        "terms",
    )

    def __init__(self, terms: ChildTerms, out: CommandBuffer, added_by: int = 0) -> None:
        self.terms = terms
        self.name = terms.name
        self.added_by = added_by
        self.state = ChildState.STOPPED
        self.life = 0
        self.ready_at: float | None = None
        self.goal = StopCause.NONE
        self.attempt = 0
        self.ever_ready = False
        self.retired = False
        self.recycled_because = ""
        self.successor: Successor | None = None
        self.callers = Callers(out)
        self._begun = 0  # the highest number of a life
        self._killed = False
        self._out = out

    @property
    def alive(self) -> bool:
        """Whether it has a life."""
        return self.state in ALIVE

    @property
    def booted(self) -> bool:
        """Whether the boot waits for it no more: it was ready, or a rule keeps it down."""
        return self.ever_ready or self.state is ChildState.EXITED

    def timer(self, kind: TimerKind) -> Timer:
        """The name of a timer of its current life."""
        return Timer(self.name, self.life, kind)

    def start(self) -> None:
        """Start the next life."""
        self._step(ChildStep.START)
        self.life = self._next_number()
        self.retired = False
        self._out.say(StartChild(self.name, self.life))
        self._out.arm(self.timer(TimerKind.START), self.terms.start_timeout)

    def became_ready(self, now: float) -> None:
        """The life is ready."""
        self._step(ChildStep.READY)
        self.ready_at = now
        self.ever_ready = True
        self._out.disarm(self.timer(TimerKind.START))

    def stop(self, goal: StopCause) -> None:
        """Stop the life: ask, grace, kill. Its successor too, unless the life makes room for it (RECYCLE).

        No effect on what is being stopped.
        """
        if self.successor is not None and goal is not StopCause.RECYCLE:
            self.successor.stop()
        self.goal = max(self.goal, goal)
        if self.state is ChildState.STOPPING:
            return
        if self.terms.shutdown <= 0:
            self.kill(goal)
            return
        self._begin_stopping()
        self._out.say(StopChild(self.name, self.life))
        self._out.arm(self.timer(TimerKind.GRACE), self.terms.shutdown)

    def recycle_for(self, ticket: int) -> None:
        """`recycle` was called: a life follows that begins from now on."""
        self.callers.recycles[ticket] = self._begun
        if self.state is not ChildState.STARTING:  # that life had begun: when it is ready, another one follows it
            self.recycle(CALLED)

    def recycle(self, because: str) -> None:
        """Let the next life follow the running one: with overlap it is started first."""
        self.recycled_because = because
        if not self.terms.overlap:
            self.stop(StopCause.RECYCLE)
        elif self.successor is None:
            self._out.disarm(self.timer(TimerKind.RECYCLE))
            self.successor = Successor(self.terms, self._next_number(), self._out)

    def recycle_later(self, delay: float) -> None:
        """Try the successor again after this many seconds."""
        self._out.arm(self.timer(TimerKind.RECYCLE), delay)

    def succeed(self, dead: EndedLife) -> None:
        """The successor becomes the current life: the one before it has ended. What ended that ends this one, too."""
        successor, self.successor = self.successor, None
        if successor is None:
            raise AssertionError(f"child {self.name!r} has no successor")
        self.life, self.ready_at, self._killed = successor.number, successor.ready_at, successor.killed
        self._step(ChildStep.START)
        if self.ready_at is not None:
            self._step(ChildStep.READY)
        if successor.ending:
            self._step(ChildStep.STOP)
            self.goal = max(dead.goal, StopCause.LATE if successor.late else StopCause.NONE)

    def out_of_time(self, timer: Timer, goal: StopCause) -> None:
        """One of its lives was not ready, or had not ended, in time: kill it."""
        if self.successor is not None and self.successor.number == timer.life:
            self.successor.late = goal is StopCause.LATE
            self.successor.kill()
        else:
            self.kill(goal)

    def kill(self, goal: StopCause) -> None:
        """Kill the life now, in whatever state it is; the end of the supervisor kills its successor, too."""
        if self.successor is not None and goal is StopCause.END:
            self.successor.kill()
        self.goal = max(self.goal, goal)
        if self.state is not ChildState.STOPPING:
            self._begin_stopping()
        self._out.disarm(self.timer(TimerKind.GRACE))
        if not self._killed:
            self._killed = True
            self._out.say(KillChild(self.name, self.life))

    def ended(self, now: float, reason: ExitReason, hung_in: str) -> EndedLife:
        """The life has ended; returns what is known of it. `hung_in` as in `ChildExited`."""
        self._step(ChildStep.END)
        self._out.disarm(self.timer(TimerKind.START))
        self._out.disarm(self.timer(TimerKind.GRACE))
        self._out.disarm(self.timer(TimerKind.RECYCLE))
        uptime = None if self.ready_at is None else now - self.ready_at
        goal, killed = self.goal, self._killed
        self.goal, self.ready_at, self._killed = StopCause.NONE, None, False
        return self._explained(EndedLife(self.name, self.life, reason, goal, uptime, killed), hung_in)

    def successor_ended(self, reason: ExitReason, hung_in: str) -> EndedLife:
        """The successor has ended and was never the current life: a failed start, unless it was asked to end."""
        over, self.successor = self.successor, None
        if over is None:
            raise AssertionError(f"child {self.name!r} has no successor")
        over.ended()
        goal = StopCause.LATE if over.late else StopCause.RECYCLE if over.ending else StopCause.NONE
        return self._explained(EndedLife(self.name, over.number, reason, goal, None, over.killed), hung_in)

    def _explained(self, dead: EndedLife, hung_in: str) -> EndedLife:
        """The same; one that was never ready has failed to start, and its reason says so."""
        crashed = dead.reason.kind is ExitKind.CRASHED
        if not dead.failed_start and not (crashed and dead.uptime is None):
            return dead
        left_before = dead.reason.kind in (ExitKind.CRASHED, ExitKind.NORMAL)  # and only its process was late
        if dead.goal is StopCause.LATE and not left_before:
            detail = f"not ready within {self.terms.start_timeout:g} s{hung_in and f', in {hung_in}'}"
        else:
            detail = dead.reason.detail or dead.reason.kind.value
        reason = ExitReason(ExitKind.UNSTARTED, detail)
        return msgspec.structs.replace(dead, reason=reason)

    def wait(self) -> None:
        """Another life will start later."""
        self._step(ChildStep.WAIT)

    def give_up_waiting(self) -> None:
        """Cancel the planned start, if there is one."""
        if self.state is ChildState.BACKOFF:
            self._step(ChildStep.STOP)

    def leave(self) -> None:
        """No other life will start, by its policy."""
        self._step(ChildStep.LEAVE)

    def retire(self, because: str) -> None:
        """Report that it stays down, once."""
        if not self.retired:
            self.retired = True
            self._out.say(CloseMailbox(self.name, because))

    def forget(self, because: str) -> None:
        """Report that its spec is gone."""
        self.retire(because)
        self._out.say(DeleteChild(self.name))

    def view(self, next_try_at: float | None) -> ChildView:
        """What the machine shows of it."""
        successor = None if self.successor is None else self.successor.number
        return ChildView(self.name, self.terms, self.state, self.life, self.ready_at, next_try_at, successor)

    def _next_number(self) -> int:
        self._begun += 1
        return self._begun

    def _step(self, step: ChildStep) -> None:
        """Go to the next state.

        Raises:
            IllegalTransition: the table has no such step.
        """
        try:
            self.state = CHILD_TRANSITIONS[self.state][step]
        except KeyError:
            raise IllegalTransition(f"child {self.name!r}", self.state, step) from None

    def _begin_stopping(self) -> None:
        self._step(ChildStep.STOP)
        self._out.disarm(self.timer(TimerKind.START))
        self._out.disarm(self.timer(TimerKind.RECYCLE))
