"""Desk: what one life of an actor works with, and the driver that needs no event loop.

Law: one message at a time in the order of the mailbox; what happens to a message is in the black box before it
     happens; an answer leaves before the next message begins, unless both are quick and the batch is young.
May import: everything below.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import heapq
import os
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from itertools import count
from typing import Any, Final

import msgspec

from actors import envelope as wire
from actors.actor import Actor, ActorProtocol, Handler
from actors.blackbox import BlackBox
from actors.channel import EXIT_ORPHANED, Channel
from actors.codec import RESOLVE, decoder_of, encode
from actors.envelope import (
    NOTHING,
    Answer,
    Cancel,
    Deliver,
    Envelope,
    Failure,
    LastWords,
    Outcome,
    Outcomes,
    Part,
    Stop,
    Watch,
)
from actors.errors import Rejected, UsageError
from actors.event import SafeEvent
from actors.exits import ExitKind, ExitReason
from actors.messages import Message, Terminated
from actors.post import PostRef
from actors.ref import ActorRef
from actors.relay import RelayLog

BATCH_AGE: Final = 1_000_000  # ns an answer may wait for company; about what a person cannot notice
QUICK: Final = 200_000  # ns; only a message whose last of its kind took less may begin while answers wait
ACK_EVERY: Final = 256  # messages; a quarter of the daemon's window, so that it never runs dry

_SENDER: Final[ContextVar[str | None]] = ContextVar("sender", default=None)

_OURS: Final = {__file__, __file__.replace("runtime.py", "runtime_async.py")}

Work = Callable[[Message[Any]], Any]


class ActorFailed(Exception):
    """The actor's code raised and this life must end. Carries the words to leave behind."""

    def __init__(self, where: str, error: BaseException) -> None:
        super().__init__(where)
        self.last_words = LastWords(where, failure_of(error))


class Desk:
    """One life's in-tray, out-tray and surroundings. It is also the actor's `context`."""

    def __init__(self, part: Part, protocol: ActorProtocol, channel: Channel, box: BlackBox, stop: SafeEvent) -> None:
        self.path = part.path
        self.name = part.path.rpartition("/")[2]
        self.incarnation = part.life
        self.ref: ActorRef = PostRef(part.path, self)
        self.log = RelayLog(channel.send)

        self.channel = channel
        self.send = channel.send
        self.box = box
        self.protocol = protocol
        self.pending: deque[Envelope[Message[Any]]] = deque()
        self.stopping: ExitReason | None = None
        self.waiters: dict[int, Callable[[Answer], None]] = {}
        self.expect: Callable[[float | None], tuple[int, Awaitable[Answer]]] = _cannot_wait
        self.correlations = count(1)
        RESOLVE.set(lambda path: PostRef(path, self))
        self._stop_event = stop
        self._rings = box.rung()
        self._cancelled: set[int] = set()
        self._timers: list[tuple[float, int, float | None, Message[Any]]] = []
        self._timer_ids = count()
        self._outcomes: list[Outcome] = []
        self._through = 0  # of a sequential actor: everything up to here is over
        self._unsent = 0  # messages over that the daemon has not heard of (an ask counts twice)
        self._oldest = 0  # ns at which the oldest of them began, 0 when there are none
        self._last: Handler | None = None
        self._last_began = 0
        self._cost: dict[str, int] = {}  # handler name to ns its last message took
        self._sequential = protocol.actor.concurrency == 1
        self._decode = decoder_of(Deliver[protocol.union] | Answer | Cancel | Stop).decode  # type: ignore[name-defined]
        self._decode_loosely = msgspec.msgpack.Decoder(Deliver[msgspec.Raw]).decode

    # ---- the actor's context

    @property
    def sender(self) -> ActorRef | None:
        """See `Context.sender`; each async handler under way has its own."""
        path = _SENDER.get()
        return None if path is None else PostRef(path, self)

    def actor(self, name: str) -> ActorRef:
        """See `Context.actor`."""
        return PostRef(name if name.startswith("/") else f"{self.path.rpartition('/')[0]}/{name}", self)

    def after(self, delay: float, message: Message[Any]) -> None:
        """See `Context.after`."""
        self._set_timer(delay, None, message)

    def every(self, period: float, message: Message[Any]) -> None:
        """See `Context.every`."""
        if period <= 0:
            raise UsageError(f"every({period}) of {self.path}: the period must be more than 0 seconds")
        self._set_timer(period, period, message)

    def watch(self, ref: ActorRef) -> None:
        """See `Context.watch`."""
        if Terminated not in self.protocol.handlers:
            raise UsageError(
                f"{self.path} watches {ref.path} but does not handle Terminated; add a method marked @handles with a "
                f"parameter annotated Terminated"
            )
        self.send(encode(Watch(ref.path, 0)))

    def stop(self) -> None:
        """See `Context.stop`."""
        self.stopping = self.stopping or ExitReason(ExitKind.NORMAL, "the actor stopped itself")

    def _set_timer(self, delay: float, period: float | None, message: Message[Any]) -> None:
        self.protocol.encode(message)  # the check of a sender
        due = time.monotonic() + delay
        heapq.heappush(self._timers, (due, next(self._timer_ids), period, message))

    # ---- in

    def take_in(self, frames: list[bytes]) -> None:
        """Sort what arrived; no frame at all means that the daemon is gone, and so this process has to go."""
        if not frames:
            os._exit(EXIT_ORPHANED)
        for data in frames:
            frame = self._read(data)
            if isinstance(frame, Deliver):
                self.pending.extend(frame.items)
            elif isinstance(frame, Answer):
                waiter = self.waiters.pop(frame.correlation, None)
                if waiter is not None:
                    waiter(frame)
            elif isinstance(frame, Cancel):
                self._cancelled.update(frame.seqs)
            else:
                self._asked_to_stop()

    def heed(self) -> None:
        """Let control overtake: when the daemon rang, read everything it has written before going on."""
        rings = self.box.rung()
        if rings == self._rings:
            return
        self._rings = rings
        if self._stop_event.is_set():
            self._asked_to_stop()
        while self.channel.readable(0):
            self.take_in(self.channel.receive())

    def take_due(self) -> float | None:
        """Move the messages of timers that are due to the in-tray; seconds to the next one, None without any."""
        while self._timers:
            due, _, period, message = self._timers[0]
            wait = due - time.monotonic()
            if wait > 0:
                return wait
            heapq.heappop(self._timers)
            self.pending.append(Envelope(0, wire.TELL, self.path, None, message))
            if period is not None:
                heapq.heappush(self._timers, (due + period, next(self._timer_ids), period, message))
        return None

    def next_wanted(self) -> Envelope[Message[Any]] | None:
        """The next message somebody still wants; None when the in-tray is empty."""
        while self.pending:
            envelope = self.pending.popleft()
            if self._cancelled and envelope.seq in self._cancelled:
                self._cancelled.discard(envelope.seq)
                self._skip(envelope, wire.CANCELLED)
            elif envelope.deadline is not None and time.monotonic() > envelope.deadline:
                self._skip(envelope, wire.EXPIRED)
            else:
                return envelope
        self._cancelled.clear()  # what is not here was over before it was taken back
        return None

    def _asked_to_stop(self) -> None:
        self.stopping = self.stopping or ExitReason(ExitKind.SHUTDOWN, "asked by the supervisor")

    def _skip(self, envelope: Envelope[Message[Any]], kind: int) -> None:
        self._put_out(envelope.seq, kind, NOTHING)
        if self._sequential:
            self._over(envelope.seq)

    def _read(self, data: bytes) -> Deliver[Message[Any]] | Answer | Cancel | Stop:
        try:
            frame: Deliver[Message[Any]] | Answer | Cancel | Stop = self._decode(data)
        except msgspec.MsgspecError:
            return Deliver(self._readable_ones(self._decode_loosely(data)))
        return frame

    def _readable_ones(self, batch: Deliver[msgspec.Raw]) -> list[Envelope[Message[Any]]]:
        """The good messages of a batch with a bad one in it; each bad one is answered for itself."""
        good = []
        for envelope in batch.items:
            try:
                message = self.protocol.decode(envelope.message)
            except msgspec.MsgspecError as error:
                self._put_out(envelope.seq, wire.UNDECODABLE, msgspec.Raw(encode(str(error))))
            else:
                good.append(Envelope(envelope.seq, envelope.kind, envelope.sender, envelope.deadline, message))
        return good

    # ---- at work

    def begin(self, envelope: Envelope[Message[Any]], handler: Handler, lane: int) -> None:
        """Note that a handler is about to be called; answers that should not wait for it leave first."""
        now = time.monotonic_ns()
        if self._last is not None:
            self._cost[self._last.name] = now - self._last_began
        if self._oldest:
            quick = self._cost.get(handler.name, QUICK) < QUICK
            young = now - self._oldest < BATCH_AGE
            if not (quick and young and self._unsent < ACK_EVERY):
                self.flush()
        self._last, self._last_began = handler, now
        if envelope.seq:
            self.box.begin(envelope.seq, handler.index, now, lane)
        _SENDER.set(envelope.sender)

    def finish(self, envelope: Envelope[Message[Any]], kind: int, payload: msgspec.Raw, lane: int) -> None:
        """Note that a handler is over, and what its sender gets."""
        seq = envelope.seq
        if not seq:
            return
        self.box.done(seq, lane)
        if not (envelope.kind == wire.TELL and kind == wire.REPLY):
            self._put_out(seq, kind, payload)
        elif not self._sequential:
            self._put_out(seq, wire.DONE, NOTHING)
        if self._sequential:
            self._over(seq)

    def verdict(self, error: Exception) -> tuple[int, msgspec.Raw]:
        """What a sender gets for an exception."""
        if isinstance(error, Rejected):
            return wire.REJECTED, msgspec.Raw(encode(_words(error)))
        return wire.FAILED, msgspec.Raw(encode(failure_of(error)))

    def crashes(self, error: Exception) -> bool:
        """Whether an exception in a handler ends this life."""
        return self.protocol.actor.on_error == "crash" and not isinstance(error, Rejected)

    def where(self, handler: Handler) -> str:
        """Where an exception came from, in words."""
        return f"in {self.protocol.actor.__qualname__}.{handler.name}"

    # ---- out

    def flush(self) -> None:
        """Send every answer made so far, and how far the in-tray was worked through."""
        if self._oldest:
            self.send(encode(Outcomes(self._through, self._outcomes)))
            self._outcomes.clear()
            self._oldest = self._unsent = 0

    def _put_out(self, seq: int, kind: int, payload: msgspec.Raw) -> None:
        self._outcomes.append(Outcome(seq, kind, payload))
        self._note_unsent()

    def _over(self, seq: int) -> None:
        self._through = seq
        self._note_unsent()

    def _note_unsent(self) -> None:
        self._unsent += 1
        if not self._oldest:
            self._oldest = self._last_began or time.monotonic_ns()


def run(actor: Actor, desk: Desk) -> ExitReason:
    """Serve an actor whose handlers are all sync, until it is asked to stop or stops itself.

    Raises:
        ActorFailed: a handler raised and the class does not say `on_error = "reply"`.
    """
    work: dict[type[Message[Any]], tuple[Handler, Work]] = {
        message: (handler, getattr(actor, handler.name)) for message, handler in desk.protocol.handlers.items()
    }
    while True:
        desk.heed()
        if desk.stopping is not None:
            return desk.stopping
        envelope = desk.next_wanted()
        if envelope is not None:
            handler, method = work[type(envelope.message)]
            _handle(desk, handler, method, envelope)
        wait = desk.take_due()
        if not desk.pending:
            desk.flush()
            if desk.stopping is None and (wait is None or desk.channel.readable(wait)):
                desk.take_in(desk.channel.receive())


def _handle(desk: Desk, handler: Handler, method: Work, envelope: Envelope[Message[Any]]) -> None:
    desk.begin(envelope, handler, 0)
    try:
        reply = method(envelope.message)
        payload = msgspec.Raw(handler.reply.encode(reply)) if envelope.kind == wire.ASK else NOTHING
    except Exception as error:
        desk.finish(envelope, *desk.verdict(error), 0)
        if desk.crashes(error):
            desk.flush()
            raise ActorFailed(desk.where(handler), error) from error
    else:
        desk.finish(envelope, wire.REPLY, payload, 0)


def failure_of(error: BaseException) -> Failure:
    """An exception as text; the frames of this package at the top of its traceback are left out."""
    trace = error.__traceback__
    while trace and trace.tb_next and trace.tb_frame.f_code.co_filename in _OURS:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    cls = type(error)
    name = cls.__qualname__ if cls.__module__ in ("builtins", "__main__") else f"{cls.__module__}.{cls.__qualname__}"
    return Failure(name, _words(error), text.encode("utf-8", "backslashreplace").decode())


def _words(error: BaseException) -> str:
    """Its text, whatever its class makes of it: a file name that is no UTF-8 is quoted, a broken __str__ is named."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception:
        return f"<no text: {type(error).__qualname__}.__str__ raised>"


def _cannot_wait(timeout: float | None) -> tuple[int, Awaitable[Answer]]:
    del timeout
    raise UsageError(
        "an actor with sync handlers only cannot await an ask; make the handler `async def`, or use tell_nowait"
    )
