"""Supervision machine: events in, commands out. Pure.

`handle` is the only way anything changes, and the same events at the same times give the same commands. An outdated
event (of another life, an unknown child, a cancelled timer) changes nothing. After `Terminate` no command follows.

    event ── _on_...: changes Child (its life) and Plans (boot, restarts)
                │
             _advance: each Plan goes as far as it can without waiting
                │
    commands ── CommandBuffer ──▶ engine

Each child keeps its own life (`child`), each boot or restart is a plan (`plans`), and ending is the last plan. No
step loops until a child does something: a later event continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

from actors.exits import ExitKind, ExitReason
from supervisor.core.causes import Cause, RestartAction
from supervisor.core.terms import Backoff, ChildTerms, RestartPolicy, SupervisorTerms
from supervisor.core.tree import policy, requests, restart_rate
from supervisor.core.tree.child import Caller, Child, ChildView, EndedLife, StopCause
from supervisor.core.tree.commands import (
    Answer,
    AnyCommand,
    AwaitStreams,
    CommandBuffer,
    Decision,
    ReportExit,
    ReportReady,
    Running,
    Terminate,
    Verdict,
)
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
    StartAsked,
    StopRequested,
    StreamsOver,
    TerminateAsked,
    Timer,
    TimerFired,
    TimerKind,
)
from supervisor.core.tree.plans import Plan, Plans, down_in_turn
from supervisor.core.tree.policy import Choice, Scope, scope
from supervisor.core.tree.restart_rate import Window
from supervisor.core.tree.states import ChildState, SupervisorState, SupervisorStep, supervisor_after
from supervisor.core.tree.successor import Successor
from supervisor.errors import NoSuchChild

_SHARED: Final = ""
_CAME: Final = "it stopped as idle, and a message came meanwhile"
_LEFT: Final = "the life before it ended for good"
_SIBLING: Final = "stopped for the restart of a sibling"
_TERMINATED: Final = "terminate_child was called"


class SupervisorMachine:
    """One supervisor and its children, as a pure state machine.

    Runs in the caller's thread, never waits, and has one caller at a time.
    """

    def __init__(self, terms: SupervisorTerms, children: Sequence[ChildTerms] = ()) -> None:
        self._terms = terms
        self._out = CommandBuffer()
        self._children = {child.name: Child(child, self._out) for child in children}  # in order of start
        self._phase = SupervisorState.NEW
        self._windows = {_SHARED: Window()}  # restarts that still count, by budget
        self._plans = Plans(terms, self._children, self._out)
        self._final_command: Terminate | None = None  # the command to give when all are down; None while not ending
        self._ending_because = ""
        self._significant_end: ChildTerms | None = None  # a significant child that was down for good before all were up
        self._deadlines = 0
        self._now = 0.0

    # -- what the engine may read --------------------------------------------------------------------------

    @property
    def phase(self) -> SupervisorState:
        """The state of the supervisor."""
        return self._phase

    def has(self, child: str) -> bool:
        """Whether there is a child of that name."""
        return child in self._children

    def is_recycled(self, child: str) -> bool:
        """Whether the current life of a child is being stopped to make room for its next one."""
        return child in self._children and self._children[child].goal is StopCause.RECYCLE

    def state(self, child: str) -> ChildState:
        """The state of a child.

        Raises:
            NoSuchChild: there is none of that name.
        """
        if child not in self._children:
            raise NoSuchChild(f"supervisor {self._terms.path!r} has no child {child!r}")
        return self._children[child].state

    def children(self) -> tuple[ChildView, ...]:
        """All children, in order of start."""
        return tuple(child.view(self._plans.due(name)) for name, child in self._children.items())

    def restarts(self, now: float) -> int:
        """How many restarts count now; where children have budgets of their own, the budget that is nearest its end."""
        return max(window.held(now, self._terms.intensity) for window in self._windows.values())

    # -- events in, commands out ---------------------------------------------------------------------------

    def handle(self, now: float, event: AnyEvent) -> tuple[AnyCommand, ...]:
        """Decide what to do about an event.

        Args:
            now: the moment, in seconds of any clock that never goes back.
            event: what happened.

        Raises:
            IllegalTransition: the supervisor was booted twice; nothing has changed.
        """
        if self._phase is SupervisorState.STOPPED:
            return ()
        self._now = now
        match event:
            case Boot():
                self._step(SupervisorStep.BOOT)
                self._plans.begin(Plan(Scope(stop=(), start=tuple(self._children))))
            case ChildReady():
                self._on_ready(event)
            case ChildExited():
                self._on_exited(event)
            case RecycleAsked() | StreamsOver():
                self._on_recycle(event)
            case TimerFired():
                self._on_timer(event.timer)
            case StopRequested():
                self._on_stop(event)
            case KillRequested():
                self._kill_all()
            case StartAsked() | TerminateAsked() | RestartAsked() | DeleteAsked() | RecycleCalled():
                self._on_call(event)
            case _:
                assert_never(event)
        self._advance()
        return self._out.take()

    def _on_ready(self, event: ChildReady) -> None:
        child = self._children.get(event.child)
        if child is not None and child.successor is not None and child.successor.number == event.life:
            self._successor_ready(child, child.successor)
            return
        if child is None or child.life != event.life or child.state is not ChildState.STARTING:
            return
        child.became_ready(self._now)
        self._plans.over(child.name)
        self._serves(child)
        self._answer_caller(child, Verdict.OK)

    def _on_exited(self, event: ChildExited) -> None:
        child = self._children.get(event.child)
        if child is not None and child.successor is not None and child.successor.number == event.life:
            self._successor_ended(child, child.successor_ended(event.reason, event.hung_in), event.roll)
            return
        if child is None or child.life != event.life or not child.alive:
            return
        dead = child.ended(self._now, event.reason, event.hung_in)
        self._plans.over(child.name)
        if child.successor is not None:
            self._succeeded(child, dead, event)
        else:
            self._ended(child, dead, event)
        if not child.alive:
            self._answer_recycle(child, Verdict.START_FAILED, f"{child.name!r} ended: {dead.reason}")

    def _ended(self, child: Child, dead: EndedLife, event: ChildExited) -> None:
        """A life has ended, and there is no successor."""
        choice = _choice(child, dead, event)
        if self._final_command is not None:
            self._ended_in_the_end(child, dead)
        elif dead.goal is StopCause.CALL:
            self._ended_by_call(child, dead)
        elif dead.goal is StopCause.PLAN:
            self._ended_by_plan(child, dead)
        elif dead.goal is StopCause.LEFT:
            self._report(child, dead, Decision.EXPECTED, _LEFT)
            self._leave_down(child, _LEFT)
        elif (dead.made_room or event.wanted) and not self._plans.stops(child.name):
            self._follow(child, dead, child.recycled_because if dead.made_room else event.because or _CAME)
        elif dead.failed_start and child.caller is not None:
            self._failed_its_caller(child, dead)
        elif self._plans.stops(child.name):
            self._joined_a_plan(child, dead)
        elif self._booting(child, dead) and not choice.by_rule:
            self._failed_to_boot(child, dead)
        else:
            self._carry_out(choice, child, dead, event.roll)

    def _booting(self, child: Child, dead: EndedLife) -> bool:
        return dead.failed_start and not child.ever_ready and self._phase is SupervisorState.STARTING

    def _carry_out(self, choice: Choice, child: Child, dead: EndedLife, roll: float) -> None:
        match choice.action:
            case RestartAction.RESTART:
                if self._exceeds(child):
                    self._give_up(child, dead, self._too_many(child))
                else:
                    self._restart(child, dead, choice.because, roll)
            case RestartAction.RESTART_UNCOUNTED:
                self._restart(child, dead, choice.because, roll)
            case RestartAction.STOP:
                self._report(child, dead, Decision.LEAVE_DOWN, choice.because)
                self._leave_down(child, choice.because)
            case RestartAction.ESCALATE:
                self._give_up(child, dead, choice.because)

    def _on_recycle(self, event: RecycleAsked | StreamsOver) -> None:
        """Start the next life; or stop the current one, whose successor is ready."""
        child = self._children.get(event.child)
        if child is None or child.life != event.life or not self._may_recycle(child):
            return
        if isinstance(event, RecycleAsked):
            child.recycle(event.because)
        elif child.successor is not None and child.successor.ready:
            child.stop(StopCause.RECYCLE)

    def _may_recycle(self, child: Child) -> bool:
        """Whether a child runs and is not about to be stopped anyway."""
        ending = self._final_command is not None or self._plans.stops(child.name)
        return child.state is ChildState.RUNNING and not ending

    def _on_timer(self, timer: Timer) -> None:
        if not self._out.fired(timer):
            return
        match timer.kind:
            case TimerKind.START:
                self._children[timer.child].out_of_time(timer, StopCause.LATE)
            case TimerKind.GRACE:
                self._children[timer.child].out_of_time(timer, StopCause.NONE)
            case TimerKind.RECYCLE:
                self._try_again(self._children[timer.child])
            case TimerKind.BACKOFF:
                self._plans.resume(timer)
            case TimerKind.DEADLINE:
                self._kill_all()

    def _on_stop(self, event: StopRequested) -> None:
        self._end(ExitReason(ExitKind.SHUTDOWN, "asked to stop"), "its supervisor was asked to stop")
        if event.deadline is not None:
            self._out.disarm(self._deadline())
            self._deadlines += 1
            self._out.arm(self._deadline(), event.deadline)

    def _kill_all(self) -> None:
        self._end(ExitReason(ExitKind.SHUTDOWN, "asked to stop at once"), "its supervisor was told to stop")
        for child in reversed(self._children.values()):
            if child.alive:
                child.kill(StopCause.END)

    # -- what follows from a death -------------------------------------------------------------------------

    def _ended_in_the_end(self, child: Child, dead: EndedLife) -> None:
        self._report(child, dead, Decision.EXPECTED, self._ending_because)
        child.retire(self._ending_because)
        self._answer_leavers(child)

    def _ended_by_call(self, child: Child, dead: EndedLife) -> None:
        self._report(child, dead, Decision.EXPECTED, _TERMINATED)
        self._down_by_call(child)

    def _down_by_call(self, child: Child) -> None:
        """A terminated child is down: keep its spec, unless it is temporary or its start was still awaited."""
        if child.just_added or child.terms.restart is RestartPolicy.TEMPORARY:
            self._forget(child, _TERMINATED)
        else:
            child.retire(_TERMINATED)
        self._answer_caller(child, Verdict.START_FAILED, f"{child.name!r} was terminated before it was ready")
        self._answer_leavers(child)

    def _ended_by_plan(self, child: Child, dead: EndedLife) -> None:
        self._report(child, dead, Decision.EXPECTED, _SIBLING)
        self._await_plan(child, _SIBLING)

    def _follow(self, child: Child, dead: EndedLife, because: str) -> None:
        """A planned replacement: the next life follows whatever the policy, and no restart is counted."""
        child.attempt = restart_rate.attempt_after(child.attempt, dead.uptime, self._healthy_after(child))
        self._report(child, dead, Decision.RECYCLE, because, 0.0)
        if not child.alive:
            child.start()

    def _joined_a_plan(self, child: Child, dead: EndedLife) -> None:
        """It ended by itself just before a plan would have stopped it: no restart of its own is counted."""
        because = "a restart under way was about to stop it"
        if child.terms.restart is RestartPolicy.TEMPORARY:
            self._report(child, dead, Decision.LEAVE_DOWN, because)
        else:
            self._report(child, dead, Decision.RESTART, because, self._delay(child))
        self._await_plan(child, because)

    def _await_plan(self, child: Child, because: str) -> None:
        if child.terms.restart is RestartPolicy.TEMPORARY:
            self._forget(child, f"{because}; temporary children are not started again")
            self._answer_caller(child, Verdict.START_FAILED, f"{child.name!r} is temporary; {because}")
        else:
            child.wait()

    def _failed_its_caller(self, child: Child, dead: EndedLife) -> None:
        """A start requested by the API is not retried and does not count for the intensity."""
        because = "a start that was called for is not repeated"
        self._report(child, dead, Decision.LEAVE_DOWN, because)
        if child.just_added:
            self._forget(child, because)
        else:
            child.leave()
            child.retire(because)
        self._answer_caller(child, Verdict.START_FAILED, f"{child.name!r} did not start: {dead.reason}")

    def _failed_to_boot(self, child: Child, dead: EndedLife) -> None:
        because = "a failing first start ends the supervisor"
        self._report(child, dead, Decision.LEAVE_DOWN, because)
        self._end(dead.reason, f"{child.name!r} did not start", failed=child.name)

    def _leave_down(self, child: Child, because: str) -> None:
        if child.terms.restart is RestartPolicy.TEMPORARY:
            self._forget(child, because)
        else:
            child.leave()
            child.retire(because)
        if self._phase is SupervisorState.STARTING:
            if child.terms.significant:
                self._significant_end = child.terms  # the boot is finished first (OTP)
        else:
            self._end_if_significant(child.terms)

    def _exceeds(self, child: Child) -> bool:
        """Count one restart; returns whether that is one too many."""
        window = self._windows.get(self._budget(child), Window()).add(self._now, self._terms.intensity)
        self._windows[self._budget(child)] = window
        return window.exceeds(self._terms.intensity)

    def _restart(self, child: Child, dead: EndedLife, because: str, roll: float) -> None:
        child.attempt = restart_rate.attempt_after(child.attempt, dead.uptime, self._healthy_after(child))
        delay = restart_rate.delay(child.attempt, roll, self._backoff(child))
        child.attempt += 1
        at_once = delay <= 0 and not dead.failed_start  # a failed start always yields to other events
        order = [sibling.terms for sibling in self._children.values()]
        plan = Plan(
            scope(self._terms.strategy, order, child.name),
            child.timer(TimerKind.BACKOFF),
            None if at_once else self._now + delay,
        )
        self._plans.begin(plan)
        child.wait()
        self._report(child, dead, Decision.RESTART, because, self._delay(child))

    def _too_many(self, child: Child) -> str:
        allowed = self._terms.intensity
        whose = f" of {child.name!r}" if child.terms.own_budget else ""
        needed = f"restart {self._counted(child)}{whose}"
        return f"{needed} within {allowed.period:g} s, where {allowed.max_restarts} are allowed"

    def _give_up(self, child: Child, dead: EndedLife, because: str) -> None:
        self._report(child, dead, Decision.GIVE_UP, because)
        self._end(
            ExitReason(ExitKind.SHUTDOWN, f"gave up: {because}"),
            "its supervisor gave up",
            failed=child.name,
            exceeded=True,
        )

    def _end_if_significant(self, ended: ChildTerms) -> None:
        up = [child.terms for child in self._children.values() if child.alive or self._plans.starts(child.name)]
        if policy.ends_supervisor(self._terms.auto_shutdown, ended, up):
            self._end(
                ExitReason(ExitKind.SHUTDOWN, f"auto_shutdown: significant child {ended.name!r} ended"),
                f"its supervisor ended with its significant child {ended.name!r}",
                failed=ended.name,
            )

    # -- successors ----------------------------------------------------------------------------------------

    def _successor_ready(self, child: Child, successor: Successor) -> None:
        if successor.ready_at is None and not successor.ending:
            successor.became_ready(self._now)
            if child.state is ChildState.RUNNING:
                self._out.say(AwaitStreams(child.name, child.life))

    def _successor_ended(self, child: Child, dead: EndedLife, roll: float) -> None:
        """It has ended and never served. The life before it continues, unless it is being stopped."""
        stops = child.goal > StopCause.RECYCLE or self._plans.stops(child.name) or self._final_command is not None
        if stops or not dead.failed_start:
            self._report(child, dead, Decision.EXPECTED, "it was stopped with the life that it was to follow")
            return
        goes_on = f"life {child.life} goes on" if child.state is ChildState.RUNNING else "another one follows"
        if child.callers_of_recycle:
            self._report(child, dead, Decision.LEAVE_DOWN, f"a recycle that was called for is not repeated; {goes_on}")
            self._answer_recycle(child, Verdict.START_FAILED, f"{child.name!r} did not start: {dead.reason}; {goes_on}")
        elif self._exceeds(child):
            self._give_up(child, dead, self._too_many(child))
        else:
            delay = restart_rate.delay(child.attempt, roll, self._backoff(child))
            child.attempt += 1
            if child.state is ChildState.RUNNING:
                child.recycle_later(delay)
            self._report(child, dead, Decision.RESTART, f"the next life did not start; {goes_on}", delay)

    def _try_again(self, child: Child) -> None:
        if self._may_recycle(child):
            child.recycle(child.recycled_because)

    def _succeeded(self, child: Child, dead: EndedLife, event: ChildExited) -> None:
        """A life has ended and its successor is the current one, whatever ended it. If need be, that ends, too."""
        child.succeed(dead)
        if self._final_command is not None:
            self._report(child, dead, Decision.EXPECTED, self._ending_because)
        elif dead.goal is StopCause.CALL:
            self._report(child, dead, Decision.EXPECTED, _TERMINATED)
        elif dead.goal is StopCause.PLAN:
            self._report(child, dead, Decision.EXPECTED, _SIBLING)
        elif self._plans.stops(child.name):
            self._report(child, dead, Decision.EXPECTED, "a restart under way was about to stop it")
        elif dead.made_room or event.wanted:
            self._follow(child, dead, child.recycled_because if dead.made_room else event.because or _CAME)
        else:
            self._carry_out_beside(_choice(child, dead, event), child, dead)
        if child.state is ChildState.RUNNING and self._final_command is None and not self._plans.stops(child.name):
            self._serves(child)

    def _carry_out_beside(self, choice: Choice, child: Child, dead: EndedLife) -> None:
        """The same as `_carry_out` where the next life has begun."""
        match choice.action:
            case RestartAction.RESTART:
                if self._exceeds(child):
                    self._give_up(child, dead, self._too_many(child))
                else:
                    self._replace(child, dead, choice.because)
            case RestartAction.RESTART_UNCOUNTED:
                self._replace(child, dead, choice.because)
            case RestartAction.STOP:
                self._report(child, dead, Decision.LEAVE_DOWN, choice.because)
                child.stop(StopCause.LEFT)
            case RestartAction.ESCALATE:
                self._give_up(child, dead, choice.because)

    def _replace(self, child: Child, dead: EndedLife, because: str) -> None:
        """A life died beside its successor. That is its restart; siblings follow by the strategy."""
        child.attempt = restart_rate.attempt_after(child.attempt, dead.uptime, self._healthy_after(child)) + 1
        order = [sibling.terms for sibling in self._children.values()]
        touched = scope(self._terms.strategy, order, child.name)
        plan = Plan(Scope(touched.stop, tuple(name for name in touched.start if name != child.name)))
        if child.state is not ChildState.RUNNING:
            plan.pending.add(child.name)
        self._plans.begin(plan)
        self._report(child, dead, Decision.RESTART, f"{because}; its next life had begun", 0.0)

    def _serves(self, child: Child) -> None:
        self._out.say(ReportReady(child.name, child.life))
        self._answer_recycle(child, Verdict.OK)

    def _answer_recycle(self, child: Child, verdict: Verdict, detail: str = "") -> None:
        for ticket in child.callers_of_recycle:
            self._out.say(Answer(ticket, verdict, detail))
        child.callers_of_recycle.clear()

    # -- calls ---------------------------------------------------------------------------------------------

    def _on_call(self, asked: requests.Call) -> None:
        name = asked.terms.name if isinstance(asked, StartAsked) else asked.child
        child = self._children.get(name)
        no = requests.refusal(asked, self._phase, child, self._terms, len(self._children))
        if no is not None:
            self._out.say(Answer(asked.ticket, no.verdict, no.detail))
            return
        match asked:
            case StartAsked():
                self._children[name] = Child(asked.terms, self._out)
                self._start_for(asked.ticket, self._children[name], added=True)
            case RestartAsked():
                self._start_for(asked.ticket, self._children[name], added=False)
            case TerminateAsked():
                self._terminate(asked.ticket, self._children[name])
            case RecycleCalled():
                self._children[name].callers_of_recycle.append(asked.ticket)
                self._children[name].recycle("recycle was called")
            case DeleteAsked():
                self._forget(self._children[name], "delete_child was called")
                self._out.say(Answer(asked.ticket, Verdict.OK))

    def _start_for(self, ticket: int, child: Child, *, added: bool) -> None:
        child.caller = Caller(ticket, added)
        child.attempt = 0
        child.start()

    def _terminate(self, ticket: int, child: Child) -> None:
        child.leavers.append(ticket)
        if child.alive:
            child.stop(StopCause.CALL)
            return
        self._plans.drop(child.name)
        child.give_up_waiting()
        self._down_by_call(child)

    def _answer_caller(self, child: Child, verdict: Verdict, detail: str = "") -> None:
        if child.caller is not None:
            self._out.say(Answer(child.caller.ticket, verdict, detail))
            child.caller = None

    def _answer_leavers(self, child: Child) -> None:
        for ticket in child.leavers:
            self._out.say(Answer(ticket, Verdict.OK))
        child.leavers.clear()

    # -- progress ------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Take every plan as far as it goes without waiting."""
        if self._final_command is None:
            self._plans.advance(self._now)
            self._settle()
        if self._final_command is not None and self._all_down():
            self._out.disarm(self._deadline())
            self._step(SupervisorStep.DOWN)
            self._out.say(self._final_command)

    def _settle(self) -> None:
        """Derive the supervisor's state from its plans."""
        if self._phase is SupervisorState.STARTING and all(child.booted for child in self._children.values()):
            self._step(SupervisorStep.UP)
            self._out.say(Running())
            if self._significant_end is not None:
                self._end_if_significant(self._significant_end)
        if self._phase is SupervisorState.RUNNING and self._plans.grouped:
            self._step(SupervisorStep.PLAN)
        elif self._phase is SupervisorState.RESTARTING and not self._plans.grouped:
            self._step(SupervisorStep.SETTLE)

    def _all_down(self) -> bool:
        return down_in_turn(self._children, reversed(self._children), StopCause.END)

    # -- the end -------------------------------------------------------------------------------------------

    def _end(self, reason: ExitReason, because: str, *, failed: str = "", exceeded: bool = False) -> None:
        """Begin to end; the first reason counts."""
        if self._final_command is not None:
            return
        started = self._phase in (SupervisorState.RUNNING, SupervisorState.RESTARTING)
        self._final_command = Terminate(reason, failed, exceeded, started)
        self._ending_because = because
        self._step(SupervisorStep.END)
        self._plans.clear()
        for child in self._children.values():
            self._answer_caller(child, Verdict.STOPPING, because)
            self._answer_recycle(child, Verdict.STOPPING, because)
            if not child.alive:
                child.give_up_waiting()
                child.retire(because)

    # -- helpers ----------------------------------------------------------------------------------------------

    def _report(
        self, child: Child, dead: EndedLife, decision: Decision, because: str, delay: float | None = None
    ) -> None:
        self._out.say(
            ReportExit(
                child=child.name,
                life=dead.life,
                reason=dead.reason,
                policy=child.terms.restart,
                decision=decision,
                because=because,
                delay=delay,
                restarts=self._counted(child),
            )
        )

    def _budget(self, child: Child) -> str:
        return child.name if child.terms.own_budget else _SHARED

    def _counted(self, child: Child) -> int:
        """How many restarts count against the budget of a child."""
        return self._windows.get(self._budget(child), Window()).held(self._now, self._terms.intensity)

    def _forget(self, child: Child, because: str) -> None:
        self._plans.forget(child.name)
        del self._children[child.name]
        if child.terms.own_budget:
            self._windows.pop(self._budget(child), None)
        child.forget(because)

    def _delay(self, child: Child) -> float:
        """The least seconds before the child is started again."""
        due = self._plans.due(child.name)
        return 0.0 if due is None else max(0.0, due - self._now)

    def _healthy_after(self, child: Child) -> float:
        return restart_rate.healthy_after(self._backoff(child), self._terms.intensity)

    def _backoff(self, child: Child) -> Backoff:
        return restart_rate.terms_for(child.terms.backoff, self._terms.intensity)

    def _deadline(self) -> Timer:
        return Timer("", self._deadlines, TimerKind.DEADLINE)

    def _step(self, step: SupervisorStep) -> None:
        self._phase = supervisor_after(self._terms.path, self._phase, step)


def _choice(child: Child, dead: EndedLife, event: ChildExited) -> Choice:
    """What follows from a death, if nothing but its cause and the policy decides."""
    causes = (*event.causes, Cause.failed_start) if dead.failed_start else event.causes
    return policy.choose(child.terms, dead.reason.kind, causes)
