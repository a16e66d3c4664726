"""Mailbox: one actor's messages, from the sender's call to their fate; it outlives every life of the actor.

Law: the mailbox belongs to the daemon. Whatever ends, each message ends as one fate, and each asker hears of it.
May import: core.delivery, ports, and the words of `actors`.

Runs on the loop's thread; nothing here blocks.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

import msgspec

from actors import envelope as wire
from actors.actor import ActorProtocol
from actors.codec import ReplyCodec, reply_codec
from actors.envelope import ASK, TELL, Failure, Outcome, Outcomes
from actors.errors import (
    ActorCrashed,
    ActorsError,
    ActorStopped,
    AskTimeout,
    HandlerError,
    MailboxFull,
    Rejected,
    UndecodableMessage,
    UsageError,
    WireError,
)
from actors.exits import ExitReport
from actors.messages import Message, reply_type
from actors.ref import ASK_TIMEOUT, ActorRef, WhenDown
from supervisor.core.delivery import Delivery, Fate, Loss, Posted
from supervisor.ports import Life

R = TypeVar("R")

WINDOW: Final = 1024  # messages in the hands of a life: what it works on while the daemon hears of the last batch
POOL_WINDOW: Final = 4  # the same for a member of a pool: enough to stay busy, few enough to share fairly
WINDOW_BYTES: Final = 256 * 1024  # bytes in one batch
BURST: Final = 128  # messages after which a sender that never yields to the loop pays for a batch itself


_FATES: Final = {
    wire.REPLY: "handled",
    wire.DONE: "handled",
    wire.FAILED: "failed",
    wire.REJECTED: "rejected",
    wire.CANCELLED: "cancelled",
    wire.EXPIRED: "expired",
    wire.UNDECODABLE: "undecodable",
}


class DeadReason(StrEnum):
    """Why a message reached nobody."""

    ACTOR_STOPPED = "actor_stopped"
    CRASHED = "crashed_while_handling"
    POISON = "poison"
    MAILBOX_FULL = "mailbox_full"
    NO_SUCH_ACTOR = "no_such_actor"
    UNDECODABLE = "undecodable"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that reached nobody, and why.

    Attributes:
        actor: path of the actor it was for.
        message: the message itself; None when its type is not known here.
        message_type: its class name.
        sender: path of the actor that sent it, None when the daemon did.
        reason: why.
        detail: one line for a person.
        deliveries: how often a handler had begun it.
    """

    actor: str
    message: Message[Any] | None
    message_type: str
    sender: str | None
    reason: DeadReason
    detail: str
    deliveries: int


class Asker(Protocol):
    """Who waits for the end of one message."""

    def replied(self, payload: msgspec.Raw) -> None:
        """The handler's reply.

        Raises:
            UndecodableMessage: the bytes are not of the promised type.
        """

    def failed(self, error: ActorsError) -> None:
        """It ended otherwise."""


class FutureAsker:
    """A task of the daemon that awaits a reply."""

    __slots__ = ("codec", "future")

    def __init__(self, future: asyncio.Future[Any], codec: ReplyCodec) -> None:
        self.future = future
        self.codec = codec

    def replied(self, payload: msgspec.Raw) -> None:
        """See `Asker`."""
        if not self.future.done():
            self.future.set_result(self.codec.decode(payload))

    def failed(self, error: ActorsError) -> None:
        """See `Asker`."""
        if not self.future.done():
            self.future.set_exception(error)


class Mailbox:
    """The messages of one actor, or of one pool.

    Args:
        path: the actor's path.
        protocol: what it handles.
        capacity: how many messages may wait.
        max_deliveries: how often an idempotent message may be begun.
        pooled: whether several lives share it.
        on_dead_letter: told of each message that reached nobody.
    """

    def __init__(
        self,
        path: str,
        protocol: ActorProtocol,
        *,
        capacity: int,
        max_deliveries: int,
        pooled: bool,
        on_dead_letter: Callable[[DeadLetter], None],
    ) -> None:
        self.path = path
        self.protocol = protocol
        self.closed: str | None = None  # why, once it is
        self.fates: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._capacity = capacity
        self._window = POOL_WINDOW if pooled else WINDOW
        self._dead = on_dead_letter
        self._delivery = Delivery(max_deliveries)
        self._lives: dict[int, Life] = {}
        self._askers: dict[int, Asker] = {}
        self._impatient: set[int] = set()  # asks that end when nobody is there to serve them
        self._room: deque[asyncio.Future[None]] = deque()
        self._pump_due = False
        self._last_report: ExitReport | None = None

    # ---- senders

    def check_bytes(self, payload: bytes) -> None:
        """Make sure that bytes from an actor are a message that may be sent here now.

        Raises:
            UsageError: they are no message this actor handles.
            ActorStopped: the actor is down for good.
        """
        if self.closed is not None:
            raise ActorStopped(f"{self.path} is down for good ({self.closed}); the message was not sent")
        try:
            self.protocol.decode(payload)
        except msgspec.MsgspecError as error:
            raise UsageError(
                f"{self.path} does not handle this message, or a field has the wrong type: {error}"
            ) from error

    def check(self, message: Message[Any]) -> bytes:
        """The bytes of a message that may be sent here now.

        Raises:
            UsageError: the actor does not handle it, a field has the wrong type, or this is not the loop's thread.
            ActorStopped: the actor is down for good.
        """
        if threading.get_ident() != self._thread:
            raise UsageError(
                f"{self.path} was sent a message from another thread; refs belong to the thread of their "
                f"supervisor's loop: use asyncio.run_coroutine_threadsafe(ref.ask(...), loop)"
            )
        data = self.protocol.encode(message)
        if self.closed is not None:
            raise ActorStopped(f"{self.path} is down for good ({self.closed}); {_name(message)} was not sent")
        return data

    @property
    def full(self) -> bool:
        """Whether as many messages wait as may; one that a handler has begun waits no more."""
        unsettled = self._delivery.unsettled
        if unsettled < self._capacity:
            return False
        return unsettled - sum(len(life.progress().active) for life in self._lives.values()) >= self._capacity

    @property
    def depth(self) -> int:
        """How many messages wait or are being handled."""
        return self._delivery.unsettled

    @property
    def down(self) -> bool:
        """Whether no life serves it now."""
        return not self._lives

    def offer(
        self,
        kind: int,
        payload: bytes,
        *,
        sender: str | None = None,
        deadline: float | None = None,
        asker: Asker | None = None,
        impatient: bool = False,
    ) -> int:
        """Take a checked message; its sequence number. Room is the caller's concern."""
        seq = self._delivery.offer(kind, sender, deadline, payload)
        if asker is not None:
            self._askers[seq] = asker
            if impatient:
                self._impatient.add(seq)
        if self._delivery.queued >= BURST:
            self.pump()
        elif not self._pump_due:
            self._pump_due = True
            self._loop.call_soon(self.pump)
        return seq

    async def room(self, message: Message[Any], timeout: float | None = None) -> None:
        """Wait until there is room; in the order of arrival.

        Raises:
            TimeoutError: none in time.
            ActorStopped: the actor went down for good meanwhile.
        """
        queue_up = self._room.append
        while self.full:
            waiter: asyncio.Future[None] = self._loop.create_future()
            queue_up(waiter)
            queue_up = self._room.appendleft  # woken too early: the place in the line is kept
            try:
                async with asyncio.timeout(timeout):
                    await waiter
            except BaseException:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # the room was given to us, and we go: the next one may have it
                else:
                    with suppress(ValueError):
                        self._room.remove(waiter)
                raise
            if self.closed is not None:
                raise ActorStopped(f"{self.path} is down for good ({self.closed}); {_name(message)} was not sent")

    def withdraw(self, seq: int, fate: str) -> None:
        """The asker does not wait any more: a message that has not begun will not."""
        if self._askers.pop(seq, None) is None:
            return
        self._impatient.discard(seq)
        life = self._delivery.take_back(seq)
        if life is None:
            self._count(fate)
        elif life in self._lives:
            self._lives[life].cancel([seq])
        self._wake()

    def refuse_impatient(self) -> ActorsError:
        """The error for an ask that will not wait for an actor that is down."""
        report = self._last_report
        return ActorCrashed(
            f"{self.path} has no running process now, and the ask does not wait for one"
            + (f"; last: {report.reason}" if report is not None else ""),
            started=False,
            finished=False,
            report=report,
        )

    # ---- lives

    def connect(self, key: int, life: Life) -> None:
        """A life is ready to be served from here."""
        self._lives[key] = life
        self.pump()

    def heard(self, key: int, frame: Outcomes) -> None:
        """A life tells how messages ended.

        Raises:
            WireError: it tells of messages it was never given.
        """
        for outcome in frame.items:
            posted = self._delivery.finish(key, outcome.seq)
            if posted is None:
                raise WireError(f"it answered message {outcome.seq}, which it does not have")
            self._ended(posted, outcome)
        if frame.through:
            told = self._delivery.finish_through(key, frame.through)
            if told:
                self.fates["handled"] += told
        if self._room:
            self._wake()
        self.pump()

    def disconnect(self, key: int) -> None:
        """A life is not to be served any more."""
        self._lives.pop(key, None)

    def lost(self, key: int, life: Life, report: ExitReport) -> None:
        """A life is over: everything it had in its hands gets its fate, what may goes to the next one."""
        self.disconnect(key)
        self._last_report = report
        for loss in self._delivery.lose(key, life.progress(), self._idempotent):
            self._settle_loss(loss, report)
        if not self._lives:
            for seq in sorted(self._impatient):
                asker = self._askers.get(seq)
                self.withdraw(seq, "failed_when_down")
                if asker is not None:
                    asker.failed(self.refuse_impatient())
        self._wake()
        self.pump()

    def close(self, because: str) -> None:
        """The actor is down for good: what waits becomes dead letters, whoever asks or waits hears of it."""
        self.closed = because
        self._impatient.clear()
        for posted in self._delivery.drain():
            self._bury(posted, DeadReason.ACTOR_STOPPED, because)
            asker = self._askers.pop(posted.seq, None)
            if asker is not None:
                asker.failed(ActorStopped(f"{self.path} is down for good ({because}); the message had not begun"))
        while self._room:
            self._wake()

    def open(self) -> None:
        """The actor is started again after it was down for good."""
        self.closed = None

    # ---- inside

    def pump(self) -> None:
        """Give the lives what they can take; in a pool one message at a time, to the least loaded."""
        self._pump_due = False
        delivery = self._delivery
        while delivery.queued:
            able = [
                key
                for key, life in self._lives.items()
                if not life.congested and delivery.in_flight(key) < self._window
            ]
            if not able:
                return
            key = min(able, key=delivery.in_flight)
            most = self._window - delivery.in_flight(key) if len(self._lives) == 1 else 1
            batch = delivery.take(key, most, WINDOW_BYTES)
            if batch:
                self._lives[key].post(batch)

    def _ended(self, posted: Posted, outcome: Outcome) -> None:
        asker = self._askers.pop(posted.seq, None)
        self._impatient.discard(posted.seq)
        fate = _FATES.get(outcome.kind)
        if fate is None:
            raise WireError(f"it ended message {posted.seq} in a way that does not exist: {outcome.kind}")
        error = self._error(outcome)
        if outcome.kind == wire.UNDECODABLE:
            self._bury(posted, DeadReason.UNDECODABLE, str(error))
        else:
            self._count(fate)
        if asker is not None and error is not None:
            asker.failed(error)
        elif asker is not None and outcome.kind == wire.REPLY:
            self._reply(asker, outcome.payload)

    def _error(self, outcome: Outcome) -> ActorsError | None:
        """What an asker gets for an outcome that is no reply."""
        match outcome.kind:
            case wire.FAILED:
                failure = _payload(outcome, Failure)
                return HandlerError(failure.type_name, failure.message, failure.traceback)
            case wire.REJECTED:
                return Rejected(_payload(outcome, str))
            case wire.EXPIRED:
                return AskTimeout(f"{self.path} did not come to the message in time; it had not begun")
            case wire.UNDECODABLE:
                return UndecodableMessage(f"{self.path} cannot read the message: {_payload(outcome, str)}")
            case _:
                return None

    def _reply(self, asker: Asker, payload: msgspec.Raw) -> None:
        try:
            asker.replied(payload)
        except UndecodableMessage as error:
            asker.failed(ActorCrashed(f"{self.path}: {error}", started=True, finished=True))
            raise

    def _settle_loss(self, loss: Loss, report: ExitReport) -> None:
        if loss.fate is Fate.REQUEUED:
            return
        posted = loss.posted
        asker = self._askers.pop(posted.seq, None)
        self._impatient.discard(posted.seq)
        if loss.fate is Fate.UNWANTED:
            self._count("cancelled")
        elif loss.fate is Fate.FINISHED and posted.kind == TELL:
            self._count("handled")
        elif loss.fate is Fate.FINISHED:
            self._count("handled_unanswered")
        else:
            reason = DeadReason.POISON if loss.fate is Fate.POISON else DeadReason.CRASHED
            self._bury(posted, reason, str(report.reason), loss.deliveries)
        if asker is not None:
            asker.failed(self._crashed(loss, report))

    def _crashed(self, loss: Loss, report: ExitReport) -> ActorCrashed:
        name = _name(self.protocol.decode(loss.posted.message))
        if loss.finished:
            how = f"after it had handled {name}, before the reply was out; what the handler did is done"
        elif loss.fate is Fate.POISON:
            how = f"while handling {name} for time {loss.deliveries}; it is not delivered again"
        else:
            how = f"while handling {name}; it is not delivered again, since {name} is not idempotent"
        return ActorCrashed(
            f"{self.path} (life {report.life}) ended ({report.reason}) {how}",
            started=loss.started,
            finished=loss.finished,
            report=report,
        )

    def _idempotent(self, posted: Posted) -> bool:
        return type(self.protocol.decode(posted.message)).idempotent

    def _bury(self, posted: Posted, reason: DeadReason, detail: str, deliveries: int = 0) -> None:
        self._count(reason.value)
        try:
            message: Message[Any] | None = self.protocol.decode(posted.message)
        except msgspec.MsgspecError:
            message = None
        self._dead(
            DeadLetter(
                actor=self.path,
                message=message,
                message_type="?" if message is None else _name(message),
                sender=posted.sender,
                reason=reason,
                detail=detail,
                deliveries=deliveries,
            )
        )

    def _count(self, fate: str) -> None:
        self.fates[fate] += 1

    def _wake(self) -> None:
        """Tell those first in line that there may be room; each looks for itself."""
        free = max(1, self._capacity - self._delivery.unsettled)
        while self._room and free > 0:
            waiter = self._room.popleft()
            if not waiter.done():
                waiter.set_result(None)
                free -= 1


class MailboxRef(ActorRef):
    """An actor, as seen from the daemon."""

    __slots__ = ("_mailbox",)

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(mailbox.path)
        self._mailbox = mailbox

    async def ask(self, message: Message[R], *, timeout: float | None = ASK_TIMEOUT, when_down: WhenDown = "wait") -> R:
        """See `ActorRef.ask`."""
        mailbox = self._mailbox
        payload = mailbox.check(message)
        deadline = None if timeout is None else time.monotonic() + timeout
        impatient = when_down == "fail"
        if impatient and mailbox.down:
            raise mailbox.refuse_impatient()
        if mailbox.full:
            async with _in_time(mailbox, message, timeout):
                await mailbox.room(message, timeout)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        asker = FutureAsker(future, reply_codec(reply_type(type(message))))
        seq = mailbox.offer(ASK, payload, deadline=deadline, asker=asker, impatient=impatient)
        timer = None
        if deadline is not None:
            timer = loop.call_later(deadline - time.monotonic(), _expire, mailbox, seq, asker, message, timeout)
        try:
            return await future
        finally:
            if timer is not None:
                timer.cancel()
            if future.cancelled():
                mailbox.withdraw(seq, "cancelled")

    async def tell(self, message: Message[Any]) -> None:
        """See `ActorRef.tell`."""
        mailbox = self._mailbox
        payload = mailbox.check(message)
        if mailbox.full:
            await mailbox.room(message)
        mailbox.offer(TELL, payload)

    def tell_nowait(self, message: Message[Any]) -> None:
        """See `ActorRef.tell_nowait`."""
        mailbox = self._mailbox
        payload = mailbox.check(message)
        if mailbox.full:
            raise MailboxFull(
                f"{self.path} has {mailbox.depth} messages waiting, as many as its mailbox holds; {_name(message)} "
                f"was not sent. Wait with `await ref.tell(...)`, or raise `mailbox=` in its ChildSpec"
            )
        mailbox.offer(TELL, payload)


def _expire(mailbox: Mailbox, seq: int, asker: FutureAsker, message: Message[Any], timeout: float | None) -> None:
    mailbox.withdraw(seq, "expired")
    asker.failed(AskTimeout(f"{mailbox.path} did not answer {_name(message)} within {timeout} s"))


@asynccontextmanager
async def _in_time(mailbox: Mailbox, message: Message[Any], timeout: float | None) -> AsyncIterator[None]:
    try:
        yield
    except TimeoutError:
        raise AskTimeout(
            f"{mailbox.path} had no room for {_name(message)} within {timeout} s: {mailbox.depth} messages wait"
        ) from None


def _name(message: Message[Any]) -> str:
    return type(message).__qualname__


def _payload(outcome: Outcome, of: Any) -> Any:
    try:
        return msgspec.msgpack.decode(outcome.payload, type=of)
    except msgspec.MsgspecError as error:
        raise UndecodableMessage(f"the outcome of message {outcome.seq} does not decode: {error}") from error
