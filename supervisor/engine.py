"""Engine: carries out what one supervisor's machine decides.

Law: events in, commands out, deeds done; no choice is made here. Deeds answer with events, in the order in which
     things happened.
May import: core, journal, ports, mailbox, reports, specs.

Runs on the loop's thread. A supervisor inside a supervisor is a child whose life is another engine.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Container, Coroutine
from itertools import count
from typing import Any, Protocol, assert_never

import msgspec

from actors import envelope as wire
from actors.actor import protocol_of
from actors.codec import encode
from actors.envelope import (
    ASK,
    TELL,
    Answer,
    Failure,
    MoreItems,
    Outcomes,
    Part,
    Publish,
    Send,
    Subscribe,
    Watch,
    Withdraw,
)
from actors.errors import (
    ActorCrashed,
    ActorsError,
    ActorStopped,
    AskTimeout,
    CallCycle,
    HandlerError,
    MailboxFull,
    NoSuchActor,
    Rejected,
)
from actors.exits import ExitReport
from actors.messages import Message, Terminated
from supervisor.core import commands as do
from supervisor.core import events as happened
from supervisor.core.commands import AnyCommand, Decision, ReportExit
from supervisor.core.events import AnyEvent, Timer
from supervisor.core.machine import SupervisorMachine
from supervisor.core.routing import Router
from supervisor.core.states import SupervisorState
from supervisor.core.waits import Waits
from supervisor.directory import Directory
from supervisor.journal import Journal
from supervisor.mailbox import DeadLetter, DeadReason, Entry, Mailbox
from supervisor.ports import Launcher, Life, LifeEnd, Said
from supervisor.process import exit_reason, signal_name
from supervisor.reports import Reports
from supervisor.specs import AnySpec, ChildSpec, ChildTerms, SupervisorSpec
from supervisor.topics import Topics


def _nothing() -> None:
    pass


class House:
    """What all supervisors of one tree share."""

    def __init__(self, loop: asyncio.AbstractEventLoop, launcher: Launcher, reports: Reports) -> None:
        self.loop = loop
        self.launcher = launcher
        self.reports = reports
        self.directory = Directory()
        self.waits = Waits()
        self.topics = Topics()
        self.dice = random.Random()  # noqa: S311 - jitter is no secret
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on by itself, until the tree ends."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Child(Protocol):
    """What an engine does with a child, whatever it is."""

    def start(self, life: int) -> None:
        """Begin a life."""

    def stop(self) -> None:
        """Ask the life to stop."""

    def kill(self) -> None:
        """End the life at once."""

    def retire(self, because: str) -> None:
        """It is down for good."""

    def forget(self) -> None:
        """Its spec is gone."""

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
        on_terminated: told once, when all children are down.
        on_gave_up: told once, when the restart intensity is exceeded and the children begin to stop.
        nested: whether another supervisor decides if this one comes back; then what its end leaves in the mailboxes
            stays there until `retire_all`.
    """

    def __init__(
        self,
        spec: SupervisorSpec,
        path: str,
        house: House,
        *,
        on_running: Callable[[], None],
        on_terminated: Callable[[do.Terminate], None],
        on_gave_up: Callable[[], None] = _nothing,
        nested: bool = False,
    ) -> None:
        self.path = path
        self.spec = spec
        self.house = house
        self.running_at: float | None = None
        self.last_failure: ExitReport | None = None  # the last death nobody had asked for
        self.children: dict[str, Child] = {}
        terms = [terms for child in spec.children for terms in child.terms()]
        self.machine = SupervisorMachine(spec.own_terms(path), terms)
        self.journal = Journal(self.machine)
        self._nested = nested
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

    def request(self, make: Callable[[int], AnyEvent]) -> int:
        """Make a request of the machine, given a ticket for it; `answer(ticket)` waits for what becomes of it."""
        ticket = next(self._numbers)
        future = self._tickets[ticket] = self.house.loop.create_future()
        if self.machine.phase is SupervisorState.STOPPED:
            future.set_result(do.Answer(ticket, do.Verdict.STOPPING, "the supervisor is down"))
        else:
            self.post(make(ticket))
        return ticket

    async def answer(self, ticket: int) -> do.Answer:
        """What became of a request; a caller that is cancelled leaves the request as it is."""
        future = self._tickets[ticket]
        try:
            return await asyncio.shield(future)
        finally:
            del self._tickets[ticket]

    def begin_all(self, spec: AnySpec) -> list[int]:
        """Ask the machine to add and start every process of a spec; the tickets."""
        if not any(terms.name in self.children for terms in spec.terms()):
            self._adopt(spec)
        return [self._begin(terms) for terms in spec.terms()]

    def resize(self, spec_name: str, size: int) -> list[int]:
        """Ask the machine to start what a pool lacks and to stop what it has too much of; the tickets."""
        pool = [child for child in self.children.values() if isinstance(child, ActorChild)]
        desk = next(child.desk for child in pool if child.desk.spec.name == spec_name)
        names = [spec_name if spec_name in desk.members else desk.spec.member(0)]
        names += [desk.spec.member(index) for index in range(1, max(size, len(desk.members)))]
        tickets = []
        for name in names[:size]:
            if name not in desk.members:
                desk.members.add(name)
                self.children[name] = ActorChild(self, name, desk)
                tickets.append(self._begin(desk.spec.terms_of(name)))
        tickets += [self.request(_ending(name)) for name in reversed(names[size:]) if name in desk.members]
        return tickets

    def _begin(self, terms: ChildTerms) -> int:
        ticket = self.request(lambda ticket: happened.StartAsked(ticket, terms))
        if terms.name in self.children and not self.machine.has(terms.name):  # the machine did not take it
            self.children.pop(terms.name).forget()
        return ticket

    def _adopt(self, spec: AnySpec) -> None:
        if isinstance(spec, SupervisorSpec):
            self.children[spec.name] = TreeChild(self, spec)
            return
        path = f"{self.path}/{spec.name}"
        mailbox = self.house.directory.get(path)
        if mailbox is None:
            mailbox = Mailbox(
                path,
                protocol_of(spec.actor),
                capacity=spec.mailbox,
                capacity_bytes=spec.mailbox_bytes,
                overflow=spec.overflow,
                max_message_bytes=spec.max_message_bytes,
                max_deliveries=spec.max_deliveries,
                members=spec.members(),
                router=Router(spec.routing, spec.key),
                on_dead_letter=self.house.reports.message_buried,
                resolve=self.house.directory.ref,
            )
            self.house.directory.add(path, mailbox)
        desk = ActorDesk(mailbox, spec)
        for name in spec.members():
            self.children[name] = ActorChild(self, name, desk)

    def _do(self, command: AnyCommand) -> None:  # noqa: C901, PLR0912 - one line for each command
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
                self._retire(command.child, command.because)
            case do.Forget():
                self._left_open.discard(command.child)
                self.children.pop(command.child).forget()
            case do.ReportReady():
                self.children[command.child].ready(command.life)
            case do.ReportExit():
                report = self.children[command.child].report(command)
                if command.decision is not Decision.EXPECTED:
                    self.last_failure = report
                if command.decision is Decision.GIVE_UP:
                    self.house.reports.supervisor_gave_up(self.path, command.child, command.restarts)
                    self._on_gave_up()
            case do.Answer():
                self._answer(command)
            case do.Running():
                self.running_at = self.house.loop.time()
                self.house.reports.supervisor_started(self.path)
                self._on_running()
            case do.Terminate():
                for timer in tuple(self._timers):
                    self._cancel_timer(timer)
                self.house.reports.supervisor_stopped(self.path, command.reason)
                self._on_terminated(command)
            case _:
                assert_never(command)

    def retire_all(self, because: str, keep: Container[str] = ()) -> None:
        """What the end of this supervisor left open is closed, but for the children in `keep`."""
        for name in [name for name in self.children if name in self._left_open and name not in keep]:
            self._left_open.discard(name)
            self.children[name].retire(because)

    def _retire(self, child: str, because: str) -> None:
        if self._nested and self.machine.phase in (SupervisorState.STOPPING, SupervisorState.STOPPED):
            self._left_open.add(child)
        else:
            self.children[child].retire(because)

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
        future = self._tickets.get(answer.ticket)
        if future is not None and not future.done():
            future.set_result(answer)


def _ending(name: str) -> Callable[[int], AnyEvent]:
    return lambda ticket: happened.TerminateAsked(ticket, name)


class ActorDesk:
    """What the processes of one spec share: their mailbox."""

    def __init__(self, mailbox: Mailbox, spec: ChildSpec) -> None:
        self.mailbox = mailbox
        self.spec = spec
        self.members = set(spec.members())
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
        self.mailbox = desk.mailbox
        self.last_report: ExitReport | None = None
        self.desk = desk
        self._asking: dict[int, RouteAsker] = {}  # asks of its current life, by correlation
        self._house = engine.house
        self._end: LifeEnd | None = None

    # ---- deeds

    def start(self, life: int) -> None:
        """Begin a life."""
        spec = self.desk.spec
        self.desk.retired.discard(self._name)
        self.mailbox.open()
        self.mailbox.add_member(self._name)
        self.number = life
        self.started_at = self._house.loop.time()
        part = Part(self.path, life, spec.actor.__module__, spec.actor.__qualname__, spec.arguments)
        self.life = self._house.launcher.launch(part, spec.actor.concurrency, self)

    def stop(self) -> None:
        """Ask the life to stop; it gets no more messages."""
        self.mailbox.disconnect(self._name)
        if self.life is not None:
            self.life.stop()

    def kill(self) -> None:
        """End the life at once."""
        self.mailbox.disconnect(self._name)
        if self.life is not None:
            self.life.kill()

    def retire(self, because: str) -> None:
        """Down for good. A pool's mailbox closes with its last member; what waited for another goes to the rest."""
        self.desk.retired.add(self._name)
        if self.desk.retired >= self.desk.members:
            self.mailbox.close(because)
        else:
            self.mailbox.remove_member(self._name)

    def forget(self) -> None:
        """The spec is gone."""
        desk = self.desk
        desk.members.discard(self._name)
        desk.retired.discard(self._name)
        if desk.members:
            self.mailbox.remove_member(self._name)
        else:
            self._house.directory.remove(self.mailbox.path, self.mailbox)

    def ready(self, life: int) -> None:
        """Let messages flow."""
        self.started_at = self._house.loop.time()
        if self.life is not None:
            self._house.reports.child_started(self.path, life, self.life.pid)
            self.mailbox.connect(self._name, self.life)

    def report(self, command: ReportExit) -> ExitReport:
        """Tell the world of the life that ended, then each of its messages its fate."""
        life, end = self.life, self._end
        if life is None or end is None:
            raise AssertionError(f"{self.path} ended without a life")
        message, begun = self._last_message(life)
        report = ExitReport(
            actor=self.path,
            life=command.life,
            pid=end.pid,
            reason=command.reason,
            exit_code=end.exit_code if end.exit_code is not None and end.exit_code >= 0 else None,
            signal=signal_name(end.exit_code) if end.exit_code is not None and end.exit_code < 0 else None,
            traceback=end.last_words.failure.traceback if end.last_words is not None else None,
            last_message=message,
            last_message_begun=begun,
            uptime=self._house.loop.time() - self.started_at,
            decision=command.decision.value,
            because=command.because,
            delay=command.delay,
        )
        self.life = None
        for asker in tuple(self._asking.values()):
            asker.let_go()
        self.last_report = report
        self._house.reports.child_exited(report, command.policy.value, command.restarts)
        self.mailbox.lost(self._name, life, report)
        return report

    def asked(self, correlation: int) -> None:
        """An ask of this actor is over."""
        self._asking.pop(correlation, None)

    def handling(self) -> tuple[str | None, int | None]:
        """Type name of the message being handled now and time.monotonic_ns() of its beginning; None when idle."""
        if self.life is None:
            return None, None
        message, begun = self._last_message(self.life)
        return (message, self.life.progress().since) if begun else (None, None)

    def _last_message(self, life: Life) -> tuple[str | None, bool | None]:
        """Type name of the message a life began last, and whether it is still being handled."""
        progress = life.progress()
        handlers = tuple(self.mailbox.protocol.handlers)
        if not 0 <= progress.handler < len(handlers):
            return None, None
        return handlers[progress.handler].__qualname__, bool(progress.active)

    # ---- what its life tells (LifeListener)

    def life_ready(self) -> None:
        """See `LifeListener`."""
        self._engine.post(happened.ChildReady(self._name, self.number))

    def life_writable(self) -> None:
        """See `LifeListener`."""
        self.mailbox.pump()

    def life_said(self, frame: Said) -> None:
        """See `LifeListener`."""
        if isinstance(frame, Outcomes):
            self.mailbox.heard(self._name, frame)
        elif isinstance(frame, Send):
            self._route(frame)
        elif isinstance(frame, Withdraw):
            self._withdraw(frame)
        elif isinstance(frame, Subscribe):
            self._house.topics.subscribe(frame.topic, self.mailbox)
        elif isinstance(frame, Publish):
            self._house.topics.publish(frame.topic, bytes(frame.message), self.path)
        elif isinstance(frame, MoreItems):
            if frame.correlation in self._asking:
                self._asking[frame.correlation].credit(frame.count)
        elif isinstance(frame, Watch):
            self._watch(frame)
        else:
            self._house.reports.actor_said(self.path, self.number, frame)

    def life_exited(self, end: LifeEnd) -> None:
        """See `LifeListener`."""
        self._end = end
        self._engine.post(happened.ChildExited(self._name, self.number, exit_reason(end), self._house.dice.random()))

    # ---- its messages to others

    def _route(self, frame: Send) -> None:
        """Put a message of this actor into another's mailbox, without looking at what it says."""
        asker = RouteAsker(self, frame) if frame.correlation else None
        try:
            mailbox = self._house.directory.find(frame.to)
            payload = bytes(frame.message)
            message = mailbox.check_bytes(payload, frame.kind)
            if frame.kind == ASK and frame.impatient and mailbox.down:
                raise mailbox.refuse_impatient()
            if frame.blocking and mailbox.sequential:
                self._begin_wait(mailbox.path, asker)
            if frame.delay > 0:
                mailbox.offer_later(frame.delay, message, payload, self.path)
                entry = Entry.DROPPED
            elif not mailbox.full:
                entry = Entry.OPEN
            else:
                entry = mailbox.overflow(frame.kind, message, payload, self.path, patient=asker is not None)
        except ActorsError as error:
            self._refuse(frame, asker, error)
            return
        if entry is Entry.OPEN:
            self._deliver(frame, asker, mailbox, message, payload)
        elif entry is Entry.WAIT:
            self._house.keep(self._deliver_when_room(frame, asker, mailbox, message, payload))
        elif asker is not None:
            asker.accepted()

    def _deliver(
        self, frame: Send, asker: RouteAsker | None, mailbox: Mailbox, message: Message[Any], payload: bytes
    ) -> None:
        asks = frame.kind != TELL and asker is not None
        seq = mailbox.offer(
            frame.kind,
            message,
            payload,
            sender=self.path,
            deadline=frame.deadline,
            asker=asker if asks else None,
            impatient=frame.impatient,
        )
        if asker is not None and asks:
            self._asking[frame.correlation] = asker
            asker.withdraw = lambda: mailbox.withdraw(seq, "cancelled")
            asker.credit = lambda count: mailbox.credit(seq, count)
        elif asker is not None:
            asker.accepted()

    async def _deliver_when_room(
        self, frame: Send, asker: RouteAsker | None, mailbox: Mailbox, message: Message[Any], payload: bytes
    ) -> None:
        try:
            wait = None if frame.deadline is None else frame.deadline - time.monotonic()
            await mailbox.room(message, None if wait is None else self._house.loop.time() + wait)
        except (ActorsError, TimeoutError) as error:
            late = AskTimeout(f"{mailbox.path} had no room in time")
            self._refuse(frame, asker, error if isinstance(error, ActorsError) else late)
        else:
            self._deliver(frame, asker, mailbox, message, payload)

    def _begin_wait(self, target: str, asker: RouteAsker | None) -> None:
        cycle = self._house.waits.cycle(self.mailbox.path, target)
        if cycle is not None:
            raise CallCycle(f"a cycle of asks: {' waits for '.join(cycle)}; nobody would ever answer")
        if asker is not None:
            waiter = self.mailbox.path
            self._house.waits.begin(waiter, target)
            asker.over = lambda: self._house.waits.end(waiter, target)

    def _withdraw(self, frame: Withdraw) -> None:
        asker = self._asking.get(frame.correlation)
        if asker is not None:
            asker.let_go()

    def _refuse(self, frame: Send, asker: RouteAsker | None, error: ActorsError) -> None:
        if asker is not None:
            asker.failed(error)
        else:
            self._bury(frame, error)

    def _watch(self, frame: Watch) -> None:
        asker = RouteAsker(self, frame)
        told = asker.replied_with if frame.correlation else self._tell_terminated
        target = self._house.directory.get(frame.path)
        if target is None:
            told(Terminated(frame.path, "nobody has that path"))
        else:
            target.watch((self.path, frame.correlation), told)

    def _tell_terminated(self, end: Terminated) -> None:
        if self.mailbox.closed is None:
            self.mailbox.offer(TELL, end, encode(end), sender=end.path)

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
    """An actor that waits for the end of an ask, or for a tell to be taken; its life hears of it, or nobody does."""

    def __init__(self, child: ActorChild, frame: Send | Watch) -> None:
        self._child = child
        self._life = child.life
        self._correlation = frame.correlation
        self.withdraw: Callable[[], None] = _nothing
        self.credit: Callable[[int], None] = _no_credit
        self.over: Callable[[], None] = _nothing

    def replied(self, payload: msgspec.Raw) -> None:
        """See `Asker`."""
        self._send(wire.REPLY, bytes(payload))

    def replied_with(self, value: object) -> None:
        """A reply that the daemon itself makes."""
        self._send(wire.REPLY, encode(value))

    def accepted(self) -> None:
        """The tell is taken."""
        self._send(wire.ACCEPTED, encode(None))

    def failed(self, error: ActorsError) -> None:
        """See `Asker`."""
        if isinstance(error, HandlerError):
            failure = Failure(error.type_name, error.message, error.traceback_text)
            self._send(wire.FAILED, encode(failure))
        elif isinstance(error, ActorCrashed):
            self._send(wire.CRASHED, encode((str(error), error.started, error.finished)))
        else:
            self._send(_ANSWERS.get(type(error), wire.UNDECODABLE), encode(str(error)))

    def item(self, payload: msgspec.Raw) -> None:
        """See `Asker`."""
        self._post(wire.ITEM, bytes(payload))

    def wants(self, count: int) -> None:
        """Only the daemon feeds."""

    def let_go(self) -> None:
        """Nobody waits any more: the life gave up, or is over."""
        self._finish()
        self.withdraw()

    def _send(self, kind: int, payload: bytes) -> None:
        self._finish()
        self._post(kind, payload)

    def _post(self, kind: int, payload: bytes) -> None:
        if self._life is not None and self._life is self._child.life:
            self._life.answer(encode(Answer(self._correlation, kind, msgspec.Raw(payload))))

    def _finish(self) -> None:
        self._child.asked(self._correlation)
        over, self.over = self.over, _nothing
        over()


def _no_credit(count: int) -> None:
    del count


_ANSWERS: dict[type[ActorsError], int] = {
    Rejected: wire.REJECTED,
    ActorStopped: wire.STOPPED,
    NoSuchActor: wire.UNKNOWN,
    MailboxFull: wire.FULL,
    AskTimeout: wire.EXPIRED,
    CallCycle: wire.CYCLE,
}


class TreeChild:
    """A child that is a supervisor: each of its lives is another engine.

    The mailboxes below it belong to their paths: a subtree that is restarted takes them over with all that waits in
    them. They are closed when the parent says that the subtree is down for good.
    """

    def __init__(self, engine: Engine, spec: SupervisorSpec) -> None:
        self.path = f"{engine.path}/{spec.name}"
        self.last_report: ExitReport | None = None
        self._parent = engine
        self._spec = spec
        self._started_at = 0.0
        self.engine = self._fresh(1)

    def start(self, life: int) -> None:
        """Boot an engine: static children start, dynamic ones are forgotten (OTP)."""
        self._started_at = self._parent.house.loop.time()
        if life > 1:
            before, self.engine = self.engine, self._fresh(life)
            before.retire_all("its supervisor was restarted without it", keep=self.engine.children)
        self.engine.post(happened.Boot())

    def stop(self) -> None:
        """Ask the engine to stop its children in reverse order."""
        self.engine.post(happened.StopRequested())

    def kill(self) -> None:
        """Kill every process below."""
        self.engine.post(happened.KillRequested())

    def retire(self, because: str) -> None:
        """The whole subtree is down for good."""
        self.engine.retire_all(because)

    def forget(self) -> None:
        """The spec is gone."""
        for child in self.engine.children.values():
            child.forget()

    def ready(self, life: int) -> None:
        """The engine has told the world itself."""

    def report(self, command: ReportExit) -> ExitReport:
        """The end of a subtree, in the words of the last death in it."""
        inner = self.engine.last_failure
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
        self.last_report = report
        self._parent.house.reports.child_exited(report, command.policy.value, command.restarts)
        return report

    def _fresh(self, life: int) -> Engine:
        return Engine(
            self._spec,
            self.path,
            self._parent.house,
            on_running=lambda: self._parent.post(happened.ChildReady(self._spec.name, life)),
            on_terminated=lambda end: self._terminated(life, end),
            nested=True,
        )

    def _terminated(self, life: int, end: do.Terminate) -> None:
        roll = self._parent.house.dice.random()
        self._parent.post(happened.ChildExited(self._spec.name, life, end.reason, roll))
