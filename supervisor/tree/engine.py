"""Engine: carries out what one supervisor's machine decides.

    event ─▶ inbox ─▶ journal.handle (machine) ─▶ commands ─▶ _carry_out ─▶ Child.start / stop / kill / report, timers
               ▲                                                                    │
               └──────────── ChildReady, ChildExited, TimerFired, ... ◀─────────────┘

No choice about restarts is made here. Effects answer with events, in the order in which things happened. A command
that fails becomes an event or is logged; the commands after it are carried out. Two guards are its own: the time of a
life begins anew where the daemon itself was stopped, and a life that is not ready in time is examined before the
machine hears of it.

Runs on the loop's thread. A supervisor inside a supervisor is a child whose life is another engine.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, assert_never

from msgspec.structs import replace

from actors.exits import ExitKind, ExitReason, ExitReport
from supervisor.core.delivery.fates import Fate
from supervisor.core.rules.down import Down
from supervisor.core.rules.states import SupervisorState
from supervisor.core.terms import ChildTerms
from supervisor.core.tree import commands as do
from supervisor.core.tree import events as happened
from supervisor.core.tree.commands import AnyCommand, Decision
from supervisor.core.tree.events import AnyEvent, Timer, TimerKind
from supervisor.core.tree.machine import SupervisorMachine
from supervisor.messaging.tree_context import TreeContext
from supervisor.observe.journal import Journal
from supervisor.specs import AnySpec, ChildSpec, SupervisorSpec
from supervisor.tree.calls import Call, Calls
from supervisor.tree.child import Child, ChildMaker
from supervisor.tree.pool import Resizing

_FOR_A_LIFE: Final = (TimerKind.START, TimerKind.GRACE)  # the times that a life has
_STARTS: Final = (SupervisorState.STARTING, SupervisorState.RUNNING)  # the phases in which it starts children
_STOPPED: Final = 2.0  # seconds by which a timer is late when the daemon was stopped (SIGSTOP, a machine that is held)


class Engine:
    """One supervisor at work.

    Args:
        spec: what it supervises.
        path: its own path.
        tree: what it shares with the rest of the tree.
        make_children: makes its children, see `ChildMaker`.
        on_running: called once, when all static children are ready.
        on_terminated: called once, when all children are down.
        on_gave_up: called once, when the restart intensity is exceeded and the children begin to stop.
        nested: whether another supervisor may start it again; then its mailboxes stay open at its end, until
            `RetireAsked`.
    """

    def __init__(
        self,
        spec: SupervisorSpec,
        path: str,
        tree: TreeContext,
        make_children: ChildMaker,
        *,
        on_running: Callable[[], None],
        on_terminated: Callable[[do.Terminate], None],
        on_gave_up: Callable[[], None] = lambda: None,
        nested: bool = False,
    ) -> None:
        self.path = path
        self.spec = spec
        self.tree = tree
        self.running_at: float | None = None
        self._down: Down | None = None  # why the supervisor above starts this one no more
        self.last_failure: ExitReport | None = None  # the last death that was not asked for
        own = replace(spec.own_terms(path), nested=nested)
        members = [(child, terms) for child in spec.children for terms in child.terms()]
        self.journal = Journal(partial(SupervisorMachine, own, tuple(terms for _, terms in members)))
        self.machine = self.journal.machine
        self._make = make_children(path, tree, self.post)
        self._on_running = on_running
        self._on_gave_up = on_gave_up
        self._on_terminated = on_terminated
        self._inbox: deque[AnyEvent] = deque()
        self._working = False
        self._expects = False  # whether processes may have been spawned ahead
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._calls = Calls(tree.loop)
        self.children: dict[str, Child] = {terms.name: self._make(child, terms.name) for child, terms in members}

    def post(self, event: AnyEvent) -> None:
        """Handle an event: decide, and carry out. Events caused by that are handled before this returns, in order."""
        self._inbox.append(event)
        if self._working:
            return
        self._working = True
        try:
            while self._inbox:
                now = self.tree.loop.time()
                for command in self.journal.handle(now, self._inbox.popleft()):
                    self._carry_out(command)
        finally:
            self._working = False
        self._expect()

    def _expect(self) -> None:
        """Let processes of children that are about to be started be spawned ahead; the order of starts stays."""
        upcoming = self.machine.upcoming
        if upcoming or self._expects:
            self._expects = bool(upcoming)
            lives = (self.children[name].expected for name in upcoming if name in self.children)
            self.tree.launcher.expect(self.path, [life for life in lives if life is not None])

    def shut_down(self, how: happened.StopRequested | happened.KillRequested) -> None:
        """Stop the tree; dead letters say SHUTDOWN unless it was already stopping."""
        if self.machine.phase not in (SupervisorState.STOPPING, SupervisorState.STOPPED):
            self.tree.stop_reason = Fate.SHUTDOWN
        self.post(how)

    def retire(self, down: Down) -> None:
        """The supervisor above starts this one no more: its end has left mailboxes open, which are closed now."""
        self._down = down
        self.post(happened.RetireAsked(down.because))

    def request(self, make: Callable[[int], AnyEvent]) -> Call:
        """Give the machine a request, made with its ticket."""
        return self._ask(self._calls.new(), make)

    def start_child(self, spec: AnySpec) -> Call:
        """Ask the machine to add all children of a spec and to start them."""
        first, *others = spec.terms()
        return self._ask(
            self._calls.new(spec), lambda ticket: happened.StartAsked(ticket, first, spec.name, tuple(others))
        )

    def resize(self, spec: ChildSpec, resizing: Resizing) -> list[Call]:
        """Ask the machine to start and to stop these members of a pool."""
        return [
            *(self._ask(self._calls.new(spec), _adding(spec.terms_of(name))) for name in resizing.add),
            *(self.request(_restarting(name)) for name in resizing.restart),
            *(self.request(_ending(name)) for name in resizing.remove),
        ]

    def _ask(self, call: Call, make: Callable[[int], AnyEvent]) -> Call:
        self.post(make(call.ticket))
        return call

    def _carry_out(self, command: AnyCommand) -> None:
        """Carry out one command. A start that raises is a failed start; any other error goes to the loop's handler."""
        try:
            self._do(command)
        except Exception as error:
            if isinstance(command, do.StartChild):
                reason = ExitReason(ExitKind.UNSTARTED, f"its process could not be started: {_in_words(error)}")
                roll = self.tree.dice.random()
                self._inbox.append(happened.ChildExited(command.child, command.life, reason, roll))
            else:
                what = f"{self.path} could not carry out {command}; it continues"
                self.tree.loop.call_exception_handler({"message": what, "exception": error})

    def _do(self, command: AnyCommand) -> None:  # noqa: C901, PLR0912 - one line for each command
        match command:
            case do.AddChild():
                self.children[command.child] = self._make(self._calls.spec_of(command.ticket), command.child)
            case do.StartChild():
                self.children[command.child].start(command.life)
            case do.AwaitStreams():
                self.children[command.child].await_streams(command.life)
            case do.StopChild():
                self.children[command.child].stop(command.life, recycled=self.machine.is_recycled(command.child))
            case do.KillChild():
                self.children[command.child].kill(command.life)
            case do.SetTimer():
                self._set_timer(command.timer, command.after)
            case do.CancelTimer():
                self._cancel_timer(command.timer)
            case do.CloseMailbox():
                self.children[command.child].retire(Down(command.because, self._startable(command.child)))
            case do.DeleteChild():
                self._delete(command.child)
            case do.ReportReady():
                self.children[command.child].ready(command.life)
            case do.ReportExit():
                self._report(command)
            case do.Answer():
                self._calls.answered(command)
            case do.Running():
                self._running()
            case do.Terminate():
                self._terminated(command)
            case _:
                assert_never(command)

    def _startable(self, child: str) -> bool:
        """Whether a child that stays down may be started: its spec is kept, and so is this supervisor or its own."""
        if self._down is not None:
            return self._down.startable
        return self.machine.view(child) is not None and self.machine.phase in _STARTS

    def _report(self, command: do.ReportExit) -> None:
        """A life has ended."""
        child = self.children[command.child]
        report = child.report(command)
        if command.decision not in (Decision.EXPECTED, Decision.RECYCLE):
            self.last_failure = report
            if self._calls.waiting:
                self._calls.failed(child.spec, report)
        if command.decision is Decision.GIVE_UP:
            self.tree.reports.supervisor_gave_up(self.path, command.child, command.restarts)
            self._on_gave_up()

    def _running(self) -> None:
        """All static children are ready."""
        self.running_at = self.tree.loop.time()
        self.tree.reports.supervisor_started(self.path)
        self._on_running()

    def _terminated(self, command: do.Terminate) -> None:
        """All children are down."""
        for timer in tuple(self._timers):
            self._cancel_timer(timer)
        self.tree.reports.supervisor_stopped(self.path, command.reason)
        self._on_terminated(command)

    def _delete(self, name: str) -> None:
        """A child and its spec are gone for good."""
        self.children.pop(name).forget()
        self.tree.reports.deaths.forget(f"{self.path}/{name}")

    def hand_over(self, spec: SupervisorSpec) -> None:
        """Another engine of that spec follows: close and delete what it will not have, at every level below."""
        following = {terms.name: child for child in spec.children for terms in child.terms()}
        for name, child in tuple(self.children.items()):
            if child.spec is following.get(name):
                child.hand_over()
            else:
                child.retire(Down("its supervisor was restarted without it"))
                self._delete(name)

    def _set_timer(self, timer: Timer, after: float) -> None:
        self._cancel_timer(timer)
        loop = self.tree.loop
        self._timers[timer] = loop.call_later(after, self._fire, timer, after, loop.time() + after)

    def _cancel_timer(self, timer: Timer) -> None:
        handle = self._timers.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def _fire(self, timer: Timer, after: float, due: float) -> None:
        """A timer is due; where the daemon was stopped, its children may have been, too: they get it once more."""
        if timer.kind in _FOR_A_LIFE and self.tree.loop.time() - due > _STOPPED:
            self._timers[timer] = self.tree.loop.call_later(after, self._over, timer)
        else:
            self._over(timer)

    def _over(self, timer: Timer) -> None:
        self._timers.pop(timer, None)
        if timer.kind is TimerKind.START:
            self.children[timer.child].examine(timer.life, lambda: self.post(happened.TimerFired(timer)))
        else:
            self.post(happened.TimerFired(timer))


def _in_words(error: Exception) -> str:
    """The text of an error of the operating system; any other with its type."""
    return str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"


def _adding(terms: ChildTerms) -> Callable[[int], AnyEvent]:
    return lambda ticket: happened.StartAsked(ticket, terms)


def _restarting(name: str) -> Callable[[int], AnyEvent]:
    return lambda ticket: happened.RestartAsked(ticket, name)


def _ending(name: str) -> Callable[[int], AnyEvent]:
    return lambda ticket: happened.TerminateAsked(ticket, name)
