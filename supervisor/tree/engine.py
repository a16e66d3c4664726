"""Engine: carries out what one supervisor's machine decides.

    event ─▶ inbox ─▶ journal.handle (machine) ─▶ commands ─▶ _carry_out ─▶ Child.start / stop / kill / report, timers
               ▲                                                                    │
               └──────────── ChildReady, ChildExited, TimerFired, ... ◀─────────────┘

No choice is made here. Effects answer with events, in the order in which things happened. A command that fails
becomes an event or is logged; the commands after it are carried out.

Runs on the loop's thread. A supervisor inside a supervisor is a child whose life is another engine.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import assert_never

from actors.exits import ExitKind, ExitReason, ExitReport
from supervisor.core.delivery.fates import Fate
from supervisor.core.terms import ChildTerms
from supervisor.core.tree import commands as do
from supervisor.core.tree import events as happened
from supervisor.core.tree.commands import AnyCommand, Decision
from supervisor.core.tree.events import AnyEvent, Timer, TimerKind
from supervisor.core.tree.machine import SupervisorMachine
from supervisor.core.tree.states import SupervisorState
from supervisor.messaging.shared import TreeContext
from supervisor.observe.journal import Journal
from supervisor.specs import AnySpec, SupervisorSpec
from supervisor.tree.child import Child, ChildMaker
from supervisor.tree.pool_desk import PoolDesk, Resizing


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
        nested: whether another supervisor may start it again; then the mailboxes stay as they are at its end, until
            `retire_all`.
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
        self.last_failure: ExitReport | None = None  # the last death that was not asked for
        self.children: dict[str, Child] = {}
        terms = [terms for child in spec.children for terms in child.terms()]
        self.machine = SupervisorMachine(spec.own_terms(path), terms)
        self.journal = Journal(self.machine)
        self._nested = nested
        self._make = make_children(path, tree, self.post)
        self._left_open: set[str] = set()
        self._on_running = on_running
        self._on_gave_up = on_gave_up
        self._on_terminated = on_terminated
        self._inbox: deque[AnyEvent] = deque()
        self._working = False
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._tickets: dict[int, asyncio.Future[do.Answer]] = {}
        self._numbers = count(1)
        for child in spec.children:
            self._adopt(child)

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

    def shut_down(self, how: happened.StopRequested | happened.KillRequested) -> None:
        """Stop the tree; dead letters say SHUTDOWN unless it was already stopping."""
        if self.machine.phase not in (SupervisorState.STOPPING, SupervisorState.STOPPED):
            self.tree.stop_reason = Fate.SHUTDOWN
        self.post(how)

    def request(self, make: Callable[[int], AnyEvent]) -> int:
        """Post a request to the machine with a new ticket; `answer(ticket)` waits for its answer."""
        ticket = next(self._numbers)
        future = self._tickets[ticket] = self.tree.loop.create_future()
        if self.machine.phase is SupervisorState.STOPPED:
            future.set_result(do.Answer(ticket, do.Verdict.STOPPING, "the supervisor is down"))
        else:
            self.post(make(ticket))
        return ticket

    async def answer(self, ticket: int) -> do.Answer:
        """The answer to a request; a caller that is cancelled leaves the request as it is."""
        future = self._tickets[ticket]
        try:
            return await asyncio.shield(future)
        finally:
            del self._tickets[ticket]

    def begin_all(self, spec: AnySpec) -> list[int]:
        """Ask the machine to add and start every process of a spec, whose name is free; returns the tickets."""
        self._adopt(spec)
        return [self._begin(terms) for terms in spec.terms()]

    def resize(self, desk: PoolDesk, resizing: Resizing) -> list[int]:
        """Ask the machine to start and to stop these members of a pool; returns the tickets."""
        tickets = []
        for name in resizing.add:
            self.children[name] = self._make(desk.spec, name)
            tickets.append(self._begin(desk.spec.terms_of(name)))
        tickets += [self.request(_restarting(name)) for name in resizing.restart]
        tickets += [self.request(_ending(name)) for name in resizing.remove]
        return tickets

    def _begin(self, terms: ChildTerms) -> int:
        ticket = self.request(lambda ticket: happened.StartAsked(ticket, terms))
        if terms.name in self.children and not self.machine.has(terms.name):  # the machine did not take it
            self.children.pop(terms.name).forget()
        return ticket

    def _adopt(self, spec: AnySpec) -> None:
        for terms in spec.terms():
            self.children[terms.name] = self._make(spec, terms.name)

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
            case do.StartChild():
                self.children[command.child].start(command.life)
            case do.AwaitStreams():
                self.children[command.child].await_streams(command.life)
            case do.StopChild():
                recycled = self.machine.is_recycled(command.child)
                self.children[command.child].stop(command.life, recycled=recycled)
            case do.KillChild():
                self.children[command.child].kill(command.life)
            case do.SetTimer():
                self._set_timer(command.timer, command.after)
            case do.CancelTimer():
                self._cancel_timer(command.timer)
            case do.CloseMailbox():
                self._retire(command.child, command.because)
            case do.DeleteChild():
                self._left_open.discard(command.child)
                self.children.pop(command.child).forget()
            case do.ReportReady():
                self.children[command.child].ready(command.life)
            case do.ReportExit():
                report = self.children[command.child].report(command)
                if command.decision not in (Decision.EXPECTED, Decision.RECYCLE):
                    self.last_failure = report
                if command.decision is Decision.GIVE_UP:
                    self.tree.reports.supervisor_gave_up(self.path, command.child, command.restarts)
                    self._on_gave_up()
            case do.Answer():
                self._answer(command)
            case do.Running():
                self.running_at = self.tree.loop.time()
                self.tree.reports.supervisor_started(self.path)
                self._on_running()
            case do.Terminate():
                for timer in tuple(self._timers):
                    self._cancel_timer(timer)
                self.tree.reports.supervisor_stopped(self.path, command.reason)
                self._on_terminated(command)
            case _:
                assert_never(command)

    def retire_all(self, because: str) -> None:
        """Close every mailbox that the end of this supervisor left open."""
        for name in [name for name in self.children if name in self._left_open]:
            self._left_open.discard(name)
            self.children[name].retire(because)

    def hand_over(self, spec: SupervisorSpec) -> None:
        """Another engine of that spec follows: close and delete what it will not have, at every level below."""
        following = {terms.name: child for child in spec.children for terms in child.terms()}
        for name, child in tuple(self.children.items()):
            if child.spec is following.get(name):
                child.hand_over()
            else:
                self._left_open.discard(name)
                del self.children[name]
                child.retire("its supervisor was restarted without it")
                child.forget()

    def _retire(self, child: str, because: str) -> None:
        if self._nested and self.machine.phase in (SupervisorState.STOPPING, SupervisorState.STOPPED):
            self._left_open.add(child)
        else:
            self.children[child].retire(because)

    def _set_timer(self, timer: Timer, after: float) -> None:
        self._cancel_timer(timer)
        self._timers[timer] = self.tree.loop.call_later(after, self._fire, timer)

    def _cancel_timer(self, timer: Timer) -> None:
        handle = self._timers.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def _fire(self, timer: Timer) -> None:
        self._timers.pop(timer, None)
        if timer.kind is TimerKind.START:
            self.children[timer.child].examine(timer.life, lambda: self.post(happened.TimerFired(timer)))
        else:
            self.post(happened.TimerFired(timer))

    def _answer(self, answer: do.Answer) -> None:
        future = self._tickets.get(answer.ticket)
        if future is not None and not future.done():
            future.set_result(answer)


def _in_words(error: Exception) -> str:
    """The text of an error of the operating system; any other with its type."""
    return str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"


def _restarting(name: str) -> Callable[[int], AnyEvent]:
    return lambda ticket: happened.RestartAsked(ticket, name)


def _ending(name: str) -> Callable[[int], AnyEvent]:
    return lambda ticket: happened.TerminateAsked(ticket, name)
