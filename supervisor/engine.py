"""Engine: carries out what one supervisor's machine decides.

Law: events in, commands out, deeds done; no choice is made here. Deeds answer with events, in the order in which
     things happened.
May import: core, journal, ports, mailbox, reports, specs.

Runs on the loop's thread. A supervisor inside a supervisor is a child whose life is another engine.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Protocol, assert_never

import msgspec

from actors import envelope as wire
from actors.actor import protocol_of
from actors.codec import encode
from actors.envelope import ASK, TELL, Answer, Failure, Outcomes, Part, Record, Send
from actors.errors import (
    ActorCrashed,
    ActorsError,
    ActorStopped,
    AskTimeout,
    HandlerError,
    MailboxFull,
    NoSuchActor,
    Rejected,
    WireError,
)
from actors.exits import ExitKind, ExitReason, ExitReport
from supervisor.core import commands as do
from supervisor.core import events as happened
from supervisor.core.commands import AnyCommand, Decision, ReportExit, Verdict
from supervisor.core.events import AnyEvent, Timer
from supervisor.core.machine import SupervisorMachine
from supervisor.directory import Directory
from supervisor.journal import Journal
from supervisor.mailbox import DeadLetter, DeadReason, Mailbox
from supervisor.ports import Launcher, Life, LifeEnd
from supervisor.process import exit_reason, signal_name
from supervisor.reports import Reports
from supervisor.specs import AnySpec, ChildSpec, SupervisorSpec


class House:
    """What all supervisors of one tree share."""

    def __init__(self, loop: asyncio.AbstractEventLoop, launcher: Launcher, reports: Reports) -> None:
        self.loop = loop
        self.launcher = launcher
        self.reports = reports
        self.directory = Directory()
        self.dice = random.Random()  # noqa: S311 - jitter is no secret


class Child(Protocol):
    """What an engine does with a child, whatever it is."""

    def start(self, life: int) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def retire(self, because: str) -> None: ...
    def forget(self) -> None: ...
    def ready(self, life: int) -> None:
        """Its readiness is to be told to the world."""

    def report(self, command: ReportExit) -> ExitReport:
        """The full report of the life that just ended; tells the world and settles its messages."""


class Engine:
    """One supervisor at work.

    Args:
        spec: what it supervises.
        path: its own path.
        house: what it shares with the rest of the tree.
        on_running: told once, when all static children are ready.
        on_terminated: told once, when all children are down for good.
    """

    def __init__(
        self,
        spec: SupervisorSpec,
        path: str,
        house: House,
        *,
        on_running: Callable[[], None],
        on_terminated: Callable[[do.Terminate], None],
    ) -> None:
        self.path = path
        self.house = house
        self.last_failure: ExitReport | None = None  # the last death nobody had asked for
        self.children: dict[str, Child] = {}
        terms = [terms for child in spec.children for terms in child.terms()]
        self.machine = SupervisorMachine(spec.own_terms(path), terms)
        self.journal = Journal(self.machine)
        self._on_running = on_running
        self._on_terminated = on_terminated
        self._inbox: deque[AnyEvent] = deque()
        self._working = False
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._tickets: dict[int, asyncio.Future[do.Answer]] = {}
        for child in spec.children:
            self._adopt(child)

    def post(self, event: AnyEvent) -> None:
        """Something happened: decide, and do. What the deeds cause is handled before this returns, in order."""
        self._inbox.append(event)
        if self._working:
            return
        self._working = True
        try:
            while self._inbox:
                now = self.house.loop.time()
                for command in self.journal.handle(now, self._inbox.popleft()):
                    self._do(command)
        finally:
            self._working = False

    async def call(self, spec: AnySpec | None, make: Callable[[int], AnyEvent]) -> do.Answer:
        """Make a request of the machine and wait for its answer.

        Args:
            spec: of a child to be added, or None.
            make: the event, given the ticket.
        """
        ticket = max(self._tickets, default=0) + 1
        future: asyncio.Future[do.Answer] = self.house.loop.create_future()
        self._tickets[ticket] = future
        if spec is not None:
            self._adopt(spec)
        self.post(make(ticket))
        return await future

    def _adopt(self, spec: AnySpec) -> None:
        if isinstance(spec, SupervisorSpec):
            self.children[spec.name] = TreeChild(self, spec)
            return
        path = f"{self.path}/{spec.name}"
        mailbox = Mailbox(
            path,
            protocol_of(spec.actor),
            capacity=spec.mailbox,
            max_deliveries=spec.max_deliveries,
            pooled=spec.size > 1,
            on_dead_letter=self.house.reports.message_buried,
        )
        self.house.directory.add(path, mailbox)
        desk = ActorDesk(mailbox, spec, members=set(spec.members()))
        for name in spec.members():
            self.children[name] = ActorChild(self, name, desk)

    def _do(self, command: AnyCommand) -> None:
        match command:
            case do.StartChild():
                self.children[command.child].start(command.life)
            case do.StopChild():
                self.children[command.child].stop()
            case do.KillChild():
                self.children[command.child].kill()
            case do.SetTimer():
                self._set_timer(command.timer, command.after)
            case do.CancelTimer():
                self._cancel_timer(command.timer)
            case do.Retire():
                self.children[command.child].retire(command.because)
            case do.Forget():
                self.children.pop(command.child).forget()
            case do.ReportReady():
                self.children[command.child].ready(command.life)
            case do.ReportExit():
                report = self.children[command.child].report(command)
                if command.decision is not Decision.EXPECTED:
                    self.last_failure = report
                if command.decision is Decision.GIVE_UP:
                    self.house.reports.supervisor_gave_up(self.path, command.child, command.restarts)
            case do.Answer():
                self._answer(command)
            case do.Running():
                self.house.reports.supervisor_started(self.path)
                self._on_running()
            case do.Terminate():
                for timer in tuple(self._timers):
                    self._cancel_timer(timer)
                self.house.reports.supervisor_stopped(self.path, command.reason)
                self._on_terminated(command)
            case _:
                assert_never(command)

    def _set_timer(self, timer: Timer, after: float) -> None:
        self._cancel_timer(timer)
        self._timers[timer] = self.house.loop.call_later(after, self._fire, timer)

    def _cancel_timer(self, timer: Timer) -> None:
        handle = self._timers.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def _fire(self, timer: Timer) -> None:
        self._timers.pop(timer, None)
        self.post(happened.TimerFired(timer))

    def _answer(self, answer: do.Answer) -> None:
        future = self._tickets.pop(answer.ticket, None)
        if future is not None and not future.done():
            future.set_result(answer)


class ActorDesk:
    """What the processes of one spec share: their mailbox."""

    def __init__(self, mailbox: Mailbox, spec: ChildSpec, members: set[str]) -> None:
        self.mailbox = mailbox
        self.spec = spec
        self.members = members
        self.retired: set[str] = set()


class ActorChild:
    """A child that is an actor in a process: its current life, and the way of its messages."""

    def __init__(self, engine: Engine, name: str, desk: ActorDesk) -> None:
        self.path = f"{engine.path}/{name}"
        self.life: Life | None = None
        self.number = 0
        self.started_at = 0.0
        self._engine = engine
        self._name = name
        self._desk = desk
        self._mailbox = desk.mailbox
        self._house = engine.house
        self._end: LifeEnd | None = None
        self._key = id(self)

    # ---- deeds

    def start(self, life: int) -> None:
        """Begin a life."""
        spec = self._desk.spec
        self._desk.retired.discard(self._name)
        self._mailbox.open()
        self.number = life
        self.started_at = self._house.loop.time()
        part = Part(self.path, life, spec.actor.__module__, spec.actor.__qualname__, spec.arguments)
        self.life = self._house.launcher.launch(part, spec.actor.concurrency, self)

    def stop(self) -> None:
        """Ask the life to stop; it gets no more messages."""
        self._mailbox.disconnect(self._key)
        if self.life is not None:
            self.life.stop()

    def kill(self) -> None:
        """End the life at once."""
        self._mailbox.disconnect(self._key)
        if self.life is not None:
            self.life.kill()

    def retire(self, because: str) -> None:
        """Down for good. A pool's mailbox closes with its last member."""
        self._desk.retired.add(self._name)
        if self._desk.retired >= self._desk.members:
            self._mailbox.close(because)

    def forget(self) -> None:
        """The spec is gone."""
        self._desk.members.discard(self._name)
        if not self._desk.members:
            self._house.directory.remove(self._mailbox.path, self._mailbox)

    def ready(self, life: int) -> None:
        """Let messages flow."""
        self.started_at = self._house.loop.time()
        if self.life is not None:
            self._house.reports.child_started(self.path, life, self.life.pid)
            self._mailbox.connect(self._key, self.life)

    def report(self, command: ReportExit) -> ExitReport:
        """Tell the world of the life that ended, then each of its messages its fate."""
        life, end = self.life, self._end
        if life is None or end is None:
            raise AssertionError(f"{self.path} ended without a life")
        progress = life.progress()
        handlers = tuple(self._mailbox.protocol.handlers)
        known = 0 <= progress.handler < len(handlers)
        report = ExitReport(
            actor=self.path,
            life=command.life,
            pid=end.pid,
            reason=command.reason,
            exit_code=end.exit_code if end.exit_code is not None and end.exit_code >= 0 else None,
            signal=signal_name(end.exit_code) if end.exit_code is not None and end.exit_code < 0 else None,
            traceback=end.last_words.failure.traceback if end.last_words is not None else None,
            last_message=handlers[progress.handler].__qualname__ if known else None,
            last_message_begun=bool(progress.active) if known else None,
            uptime=self._house.loop.time() - self.started_at,
            decision=command.decision.value,
            because=command.because,
            delay=command.delay,
        )
        self.life = None
        self._house.reports.child_exited(report, command.policy.value, command.restarts)
        self._mailbox.lost(self._key, life, report)
        return report

    # ---- what its life tells (LifeListener)

    def life_ready(self) -> None:
        """See `LifeListener`."""
        self._engine.post(happened.ChildReady(self._name, self.number))

    def life_writable(self) -> None:
        """See `LifeListener`."""
        self._mailbox.pump()

    def life_said(self, frame: Outcomes | Send | Record) -> None:
        """See `LifeListener`."""
        if isinstance(frame, Outcomes):
            self._mailbox.heard(self._key, frame)
        elif isinstance(frame, Send):
            self._route(frame)
        else:
            self._house.reports.actor_said(self.path, self.number, frame)

    def life_exited(self, end: LifeEnd) -> None:
        """See `LifeListener`."""
        self._end = end
        self._engine.post(
            happened.ChildExited(self._name, self.number, exit_reason(end), self._house.dice.random())
        )

    # ---- its messages to others

    def _route(self, frame: Send) -> None:
        asker = RouteAsker(self.life, frame.correlation) if frame.correlation else None
        try:
            mailbox = self._house.directory.find(frame.to)
            payload = bytes(frame.message)
            mailbox.check_bytes(payload)
            if asker is not None and frame.fail_when_down and mailbox.down:
                raise mailbox.refuse_impatient()
            if mailbox.full:
                raise MailboxFull(f"{frame.to} has {mailbox.depth} messages waiting, as many as its mailbox holds")
        except ActorsError as error:
            if asker is not None:
                asker.failed(error)
            self._bury(frame, error)
            return
        mailbox.offer(
            TELL if asker is None else ASK,
            payload,
            sender=self.path,
            deadline=frame.deadline,
            asker=asker,
            impatient=frame.fail_when_down,
        )

    def _bury(self, frame: Send, error: ActorsError) -> None:
        reason = DeadReason.UNDECODABLE
        for cls, known in _DEAD_REASONS.items():
            if isinstance(error, cls):
                reason = known
        self._house.reports.message_buried(
            DeadLetter(
                actor=frame.to,
                message=None,
                message_type="?",
                sender=self.path,
                reason=reason,
                detail=str(error),
                deliveries=0,
            )
        )


_DEAD_REASONS: dict[type[ActorsError], DeadReason] = {
    NoSuchActor: DeadReason.NO_SUCH_ACTOR,
    MailboxFull: DeadReason.MAILBOX_FULL,
    ActorStopped: DeadReason.ACTOR_STOPPED,
    ActorCrashed: DeadReason.ACTOR_STOPPED,
}


class RouteAsker:
    """An actor that awaits a reply of another; the answer goes to the life that asked, or nowhere."""

    def __init__(self, life: Life | None, correlation: int) -> None:
        self._life = life
        self._correlation = correlation

    def replied(self, payload: msgspec.Raw) -> None:
        """See `Asker`."""
        self._send(wire.REPLY, bytes(payload))

    def failed(self, error: ActorsError) -> None:
        """See `Asker`."""
        if isinstance(error, HandlerError):
            failure = Failure(error.type_name, error.message, error.traceback_text)
            self._send(wire.FAILED, encode(failure))
        elif isinstance(error, ActorCrashed):
            self._send(wire.CRASHED, encode((str(error), error.started, error.finished)))
        else:
            self._send(_ANSWERS.get(type(error), wire.UNDECODABLE), encode(str(error)))

    def _send(self, kind: int, payload: bytes) -> None:
        if self._life is not None:
            self._life.answer(encode(Answer(self._correlation, kind, msgspec.Raw(payload))))


_ANSWERS: dict[type[ActorsError], int] = {
    Rejected: wire.REJECTED,
    ActorStopped: wire.STOPPED,
    NoSuchActor: wire.UNKNOWN,
    MailboxFull: wire.FULL,
    AskTimeout: wire.EXPIRED,
}


class TreeChild:
    """A child that is a supervisor: its life is another engine."""

    def __init__(self, engine: Engine, spec: SupervisorSpec) -> None:
        self.path = f"{engine.path}/{spec.name}"
        self.engine: Engine | None = None
        self.number = 0
        self._parent = engine
        self._spec = spec
        self._report: ExitReport | None = None
        self._started_at = 0.0

    def start(self, life: int) -> None:
        """Begin a new engine: static children start, dynamic ones are forgotten (OTP)."""
        self.number = life
        self._started_at = self._parent.house.loop.time()
        self.engine = Engine(
            self._spec,
            self.path,
            self._parent.house,
            on_running=lambda: self._parent.post(happened.ChildReady(self._spec.name, life)),
            on_terminated=lambda end: self._terminated(life, end),
        )
        self.engine.post(happened.Boot())

    def stop(self) -> None:
        """Ask the engine to stop its children in reverse order."""
        if self.engine is not None:
            self.engine.post(happened.StopRequested())

    def kill(self) -> None:
        """Kill every process below."""
        if self.engine is not None:
            self.engine.post(happened.KillRequested())

    def retire(self, because: str) -> None:
        """Nothing is left to close: the engine retired its own children."""

    def forget(self) -> None:
        """The spec is gone."""

    def ready(self, life: int) -> None:
        """The engine has told the world itself."""

    def report(self, command: ReportExit) -> ExitReport:
        """The death of a whole subtree."""
        inner = None if self.engine is None else self.engine.last_failure
        self.engine = None
        report = ExitReport(
            actor=self.path,
            life=command.life,
            pid=None,
            reason=command.reason,
            traceback=None if inner is None else inner.traceback,
            last_message=None if inner is None else inner.last_message,
            last_message_begun=None if inner is None else inner.last_message_begun,
            uptime=self._parent.house.loop.time() - self._started_at,
            decision=command.decision.value,
            because=command.because,
            delay=command.delay,
        )
        self._parent.house.reports.child_exited(report, command.policy.value, command.restarts)
        return report

    def _terminated(self, life: int, end: do.Terminate) -> None:
        roll = self._parent.house.dice.random()
        self._parent.post(happened.ChildExited(self._spec.name, life, end.reason, roll))

