"""Supervision machine: events in, commands out. Pure.

`handle` is the only way anything changes, and the same events at the same times give the same commands. An outdated
event (of another life, an unknown child, a cancelled timer) changes nothing. After `Terminate` calls are refused,
and mailboxes that were left open are closed, at most.

    event ──▶ handle ──▶ deaths, succession, starts, ending: change Child (its life) and Plans (boot, restarts)
                │
             _advance: each Plan goes as far as it can without waiting
                │
    commands ── CommandBuffer ──▶ engine

No step loops until a child does something: a later event continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from supervisor.core.rules.policy import Scope
from supervisor.core.rules.states import ChildState, SupervisorState, SupervisorStep
from supervisor.core.terms import ChildTerms, SupervisorTerms
from supervisor.core.tree import requests
from supervisor.core.tree.child import Child, ChildView, EndedLife, StopCause
from supervisor.core.tree.commands import Answer, AnyCommand, Running, Verdict
from supervisor.core.tree.deaths import Deaths
from supervisor.core.tree.ending import Ending
from supervisor.core.tree.events import (
    AnyEvent,
    Boot,
    ChildExited,
    ChildReady,
    DeleteAsked,
    KillRequested,
    RecycleAsked,
    RecycleCalled,
    RestartAsked,
    RetireAsked,
    StartAsked,
    StopRequested,
    StreamsOver,
    TerminateAsked,
    Timer,
    TimerFired,
    TimerKind,
    UndoAsked,
)
from supervisor.core.tree.plans import Plan
from supervisor.core.tree.starts import Starts
from supervisor.core.tree.succession import Succession
from supervisor.core.tree.supervision import Supervision
from supervisor.errors import NoSuchChild

Happened = Boot | ChildReady | ChildExited | RecycleAsked | StreamsOver | TimerFired | StopRequested | KillRequested


class SupervisorMachine:
    """One supervisor and its children, as a pure state machine.

    Runs in the caller's thread, never waits, and has one caller at a time.
    """

    def __init__(self, terms: SupervisorTerms, children: Sequence[ChildTerms] = ()) -> None:
        self._it = Supervision(terms, children)
        self._starts = Starts(self._it)
        self._ending = Ending(self._it, self._starts)
        self._deaths = Deaths(self._it, self._starts, self._ending)
        self._succession = Succession(self._it, self._deaths)

    # -- what the engine may read --------------------------------------------------------------------------

    @property
    def phase(self) -> SupervisorState:
        """The state of the supervisor."""
        return self._it.phase

    def is_recycled(self, child: str) -> bool:
        """Whether the current life of a child is being stopped to make room for its next one."""
        return child in self._it.children and self._it.children[child].goal is StopCause.RECYCLE

    def state(self, child: str) -> ChildState:
        """The state of a child.

        Raises:
            NoSuchChild: there is none of that name.
        """
        if child not in self._it.children:
            raise NoSuchChild(f"supervisor {self._it.terms.path!r} has no child {child!r}")
        return self._it.children[child].state

    def children(self) -> tuple[ChildView, ...]:
        """All children, in order of start."""
        return tuple(child.view(self._it.plans.due(name)) for name, child in self._it.children.items())

    @property
    def upcoming(self) -> tuple[str, ...]:
        """The children that are about to be started one after the other, in order."""
        return self._it.plans.upcoming

    def view(self, child: str) -> ChildView | None:
        """One child, None when there is none of that name."""
        found = self._it.children.get(child)
        return None if found is None else found.view(self._it.plans.due(child))

    def restarts(self, now: float) -> int:
        """How many restarts count now; where children have budgets of their own, the budget that is nearest its end."""
        return self._it.budgets.most(now)

    # -- events in, commands out ---------------------------------------------------------------------------

    def handle(self, now: float, event: AnyEvent) -> tuple[AnyCommand, ...]:
        """Decide what to do about an event.

        Args:
            now: the moment, in seconds of any clock that never goes back.
            event: what happened.

        Raises:
            IllegalTransition: the supervisor was booted twice; nothing has changed.
        """
        self._it.now = now
        if isinstance(event, RetireAsked):
            self._retire(event.because)
        elif isinstance(event, requests.Call):
            self._on_call(event)
            self._advance()
        elif self._it.phase is not SupervisorState.STOPPED:
            self._handle(event)
            self._advance()
        return self._it.out.take()

    def _handle(self, event: Happened) -> None:
        match event:
            case Boot():
                self._it.step(SupervisorStep.BOOT)
                self._it.plans.begin(Plan(Scope(stop=(), start=tuple(self._it.children))))
            case ChildReady():
                self._on_ready(event)
            case ChildExited():
                self._on_exited(event)
            case RecycleAsked() | StreamsOver():
                self._succession.recycle(event)
            case TimerFired():
                self._on_timer(event.timer)
            case StopRequested():
                self._ending.stop(event)
            case KillRequested():
                self._ending.kill()
            case _:
                assert_never(event)

    def _on_ready(self, event: ChildReady) -> None:
        child = self._it.children.get(event.child)
        if child is not None and child.successor is not None and child.successor.number == event.life:
            self._succession.ready(child, child.successor)
            return
        if child is None or child.life != event.life or child.state is not ChildState.STARTING:
            return
        child.became_ready(self._it.now)
        self._it.plans.over(child.name)
        self._it.serves(child)
        if child.callers.start is not None:
            self._starts.ready(child)

    def _on_exited(self, event: ChildExited) -> None:
        child = self._it.children.get(event.child)
        if child is not None and child.successor is not None and child.successor.number == event.life:
            self._succession.successor_ended(child, child.successor_ended(event.reason, event.hung_in), event.roll)
            return
        if child is None or child.life != event.life or not child.alive:
            return
        dead = child.ended(self._it.now, event.reason, event.hung_in)
        self._it.plans.over(child.name)
        if child.successor is not None:
            self._succession.succeeded(child, dead, event)
        else:
            self._deaths.ended(child, dead, event)
        if child.callers.recycles and not child.alive:
            self._not_recycled(child, dead)

    def _on_timer(self, timer: Timer) -> None:
        if not self._it.out.fired(timer):
            return
        match timer.kind:
            case TimerKind.START:
                self._it.children[timer.child].out_of_time(timer, StopCause.LATE)
            case TimerKind.GRACE:
                self._it.children[timer.child].out_of_time(timer, StopCause.NONE)
            case TimerKind.RECYCLE:
                self._succession.try_again(self._it.children[timer.child])
            case TimerKind.BACKOFF:
                self._it.plans.resume(timer)
            case TimerKind.DEADLINE:
                self._ending.kill()

    def _on_call(self, asked: requests.Call) -> None:
        child = requests.child_of(asked, self._it.children)
        no = requests.refusal(asked, self._it.phase, child, self._it.terms, len(self._it.children))
        if no is not None:
            self._it.out.say(Answer(asked.ticket, no.verdict, no.detail))
            return
        match asked:
            case StartAsked():
                self._starts.add(asked.ticket, asked.members)
            case UndoAsked():
                self._starts.undo(asked.ticket, asked.start)
            case _ if child is not None:
                self._serve(asked, child)

    def _serve(self, asked: requests.ChildCall, child: Child) -> None:
        match asked:
            case RestartAsked():
                self._starts.start(asked.ticket, child)
            case TerminateAsked():
                self._terminate(asked.ticket, child)
            case RecycleCalled():
                child.recycle_for(asked.ticket)
            case DeleteAsked():
                self._starts.forget(child, "delete_child was called")
                self._it.out.say(Answer(asked.ticket, Verdict.OK))

    def _terminate(self, ticket: int, child: Child) -> None:
        child.callers.stops.append(ticket)
        if child.alive:
            child.stop(StopCause.CALL)
            return
        self._it.plans.drop(child.name)
        child.give_up_waiting()
        self._deaths.down_by_call(child)

    def _not_recycled(self, child: Child, dead: EndedLife) -> None:
        """A child that was to be recycled is down."""
        child.callers.start_failed(dead.life, f"{child.name!r} ended: {dead.reason}")
        if dead.failed_start and self._it.plans.starts(child.name):
            child.callers.recycle_failed(Verdict.RESTARTING, requests.AFRESH.format(child.name))
        else:
            child.callers.recycle_failed(Verdict.START_FAILED, f"{child.name!r} ended: {dead.reason}")

    def _retire(self, because: str) -> None:
        """Close the mailboxes that the end has left open."""
        for child in self._it.children.values():
            if not child.alive:
                child.retire(because)

    # -- progress ------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Take every plan as far as it goes without waiting."""
        if self._it.final_command is None:
            self._it.plans.advance(self._it.now)
            self._settle()
        if self._it.phase is SupervisorState.STOPPING:
            self._ending.advance()

    def _settle(self) -> None:
        """Derive the supervisor's state from its plans."""
        it = self._it
        if it.phase is SupervisorState.STARTING and all(child.booted for child in it.children.values()):
            it.step(SupervisorStep.UP)
            it.out.say(Running())
            self._ending.booted()
        if it.phase is SupervisorState.RUNNING and it.plans.grouped:
            it.step(SupervisorStep.PLAN)
        elif it.phase is SupervisorState.RESTARTING and not it.plans.grouped:
            it.step(SupervisorStep.SETTLE)
