"""Desk: the state of one life in its process: inbox, outgoing answers, and the actor's context.

    Channel ─▶ take_in ─▶ pending ─▶ next_wanted ─▶ begin ─▶ handler ─▶ finish ─▶ flush ─▶ Channel
                  └─▶ Cancel, Recall, Credit, Items, Stop: control, read first when the daemon rings

Messages are handled in the order of the mailbox. The black box is written before a handler is called. A reply is
sent before any other code of the actor runs; only acknowledgements of tells wait for each other.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import heapq
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import cache
from itertools import count
from typing import Any, Final, TypeVar

import msgspec

from actors.bounds import LEAST_SECONDS, check_time
from actors.child.remote_ref import LargeAnswer, RemoteRef
from actors.child.tracebacks import ActorFailed, failure_of, words_of
from actors.errors import Rejected, UsageError
from actors.event import SafeEvent
from actors.exits import EXIT_ORPHANED, ExitKind, ExitReason
from actors.ipc.blackbox import DECODING, DOORBELL, BlackBox
from actors.ipc.channel import Channel
from actors.messages import Message, Terminated
from actors.output.capture import Output
from actors.output.log import ActorLog
from actors.process.memory import Reserve
from actors.process.time_limit import TimeLimit
from actors.protocol import ActorProtocol, Handler, published
from actors.ref import STREAM_CREDIT, ActorRef
from actors.topics import Topic
from actors.wire import frames as wire
from actors.wire.attachments import fill
from actors.wire.codec import RESOLVE, decoder_of, encode
from actors.wire.frames import (
    NOTHING,
    Answer,
    Cancel,
    Credit,
    Deliver,
    Envelope,
    Items,
    Outcome,
    Outcomes,
    Publish,
    Recall,
    StartActor,
    Stop,
    Subscribe,
    TellBatch,
    Watch,
    Withdraw,
)
from actors.wire.framing import Attachment, Frame

ACK_AGE: Final = 1_000_000  # ns; an older acknowledgement does not wait for the next handler
ACK_EVERY: Final = 1024  # messages; a quarter of the daemon's window, so that it never runs dry


M = TypeVar("M", bound=Message[Any])

Payload = msgspec.Raw | Attachment


_MESSAGES: Final = frozenset({Deliver.__struct_config__.tag, TellBatch.__struct_config__.tag})  # of frames, byte 1
_read_loosely: Final = msgspec.msgpack.Decoder(Deliver[msgspec.Raw] | TellBatch[msgspec.Raw]).decode


@cache
def reader_of(protocol: ActorProtocol) -> Callable[[bytes | memoryview], Any]:
    """A decoder of the daemon's frames, messages included; made once for an actor class."""
    messages = protocol.union
    frames = Deliver[messages] | TellBatch[messages] | Answer | Cancel | Recall | Credit | Items | Stop  # type: ignore[valid-type]
    return decoder_of(frames).decode


class FlowEnded(Exception):
    """A stream or a feed is ended early."""

    def __init__(self, kind: int) -> None:
        super().__init__(kind)
        self.kind = kind


class PendingTells:
    """A batch of tells in the inbox: those that have not begun.

    Attributes:
        seq: number of the next one.
        messages: the remaining messages.
    """

    __slots__ = ("messages", "seq")

    def __init__(self, tells: TellBatch[Message[Any]]) -> None:
        self.seq = tells.first
        self.messages = deque(tells.messages)

    def next(self) -> Envelope[Message[Any]]:
        """Take the next one."""
        seq = self.seq
        self.seq = seq + 1
        return Envelope(seq, wire.TELL, None, None, self.messages.popleft())


class Desk:
    """The inbox, the outgoing answers and the context of one life. It is also the actor's `context`."""

    def __init__(
        self,
        part: StartActor,
        protocol: ActorProtocol,
        channel: Channel,
        box: BlackBox,
        stop: SafeEvent,
        *,
        reserve: Reserve,
        output: Output,
    ) -> None:
        self.path = part.path
        self.incarnation = part.life
        self.ref: ActorRef = RemoteRef(part.address or part.path, self)
        self.name = part.path.removeprefix(self.ref.path.rpartition("/")[0] + "/")
        self.log = ActorLog(output.output_pipe)
        self.output = output

        self.channel = channel
        channel.limit(part.max_frame)
        self.send = channel.send
        self.box = box
        self.reserve = reserve
        self.protocol = protocol
        self.pending: deque[Envelope[Message[Any]] | PendingTells] = deque()
        self.stopping: ExitReason | None = None
        self.stops_if_idle = False  # whether the actor has asked for that
        self._cancelled: set[int] = set()
        self._credits: dict[int, int] = {}  # of running streams: items their readers still take
        self._followers: dict[int, deque[msgspec.Raw | None]] = {}  # items that follow messages; None is the end
        self.on_news: Callable[[int], None] = _nothing  # called with the stream or feed that has new credit or items
        self.waiters: dict[int, Callable[[Answer], None]] = {}
        self.answer: Callable[[int, float | None], Coroutine[Any, Any, Answer]] = _cannot_wait
        self.answers: Callable[[int, float | None], AsyncGenerator[Answer, None]] = _cannot_stream
        self.block: Callable[[int, float | None], Answer] = self._block
        self.correlations = count(1)
        self.current: Envelope[Message[Any]] | None = None
        self.handled: Callable[[], Envelope[Message[Any]] | None] = lambda: self.current  # what the caller handles
        self.revoke: Callable[[int], None] = self._cancelled.add
        self.blocks: Callable[[], bool] = lambda: True
        RESOLVE.set(lambda path: RemoteRef(path, self))
        self._stop_event = stop
        self.cells = box.cells
        self.rings = box.cells[DOORBELL]
        self.time_limit = TimeLimit(box, part.handler_timeout)
        self.extend = self.time_limit.extend
        self._attachments: list[Attachment] = []  # attachments whose frame has not come yet
        self.timers: list[tuple[float, int, float | None, Message[Any]]] = []
        self._timer_ids = count()
        self._outcomes: list[Outcome] = []
        self._through = 0  # of a sequential actor: everything up to here has ended
        self._unsent = 0  # ended messages that the daemon does not know of yet
        self._oldest = 0  # ns at which the oldest of them began, 0 when there are none
        self._urgent = False  # whether a sender waits for one of them
        self._began = 0  # ns at which the last handler began
        self._sequential = protocol.actor.concurrency == 1
        self._decode = reader_of(protocol)
        self._takers: dict[type, Callable[[Any], None]] = {
            Deliver: self._take_delivery,
            TellBatch: lambda tells: self.pending.append(PendingTells(tells)),
            Answer: self._take_answer,
            Cancel: self._take_back,
            Recall: self._give_back,
            Credit: self.grant,
            Items: self.follow,
            Stop: self._asked_to_stop,
        }

    # ---- the actor's context

    @property
    def sender(self) -> ActorRef | None:
        """See `Context.sender`."""
        envelope = self.handled()
        return None if envelope is None or envelope.sender is None else RemoteRef(envelope.sender, self)

    def actor(self, name: str) -> ActorRef:
        """See `Context.actor`."""
        return RemoteRef(name if name.startswith("/") else f"{self.ref.path.rpartition('/')[0]}/{name}", self)

    def after(self, delay: float, message: Message[Any]) -> None:
        """See `Context.after`."""
        check_time(f"the delay of context.after in {self.path}", delay)
        self._set_timer(delay, None, message)

    def every(self, period: float, message: Message[Any]) -> None:
        """See `Context.every`."""
        check_time(f"the period of context.every in {self.path}", period, LEAST_SECONDS)
        self._set_timer(period, period, message)

    def watch(self, ref: ActorRef) -> None:
        """See `Context.watch`."""
        if Terminated not in self.protocol.handlers:
            raise UsageError(
                f"{self.path} watches {ref.path} but does not handle Terminated; add a method marked @handles with a "
                f"parameter annotated Terminated"
            )
        self.send(encode(Watch(ref.path, 0)))

    def subscribe(self, topic: Topic[Any]) -> None:
        """See `Context.subscribe`."""
        if topic.message not in self.protocol.handlers:
            raise UsageError(
                f"{self.path} subscribes to {topic.name!r} but does not handle {topic.message.__qualname__}; add a "
                f"method marked @handles with a parameter annotated {topic.message.__qualname__}"
            )
        self.send(encode(Subscribe(topic.name)))

    def publish(self, topic: Topic[M], message: M) -> None:
        """See `Context.publish`."""
        self.send(encode(Publish(topic.name, msgspec.Raw(published(topic, message)))))

    def stop(self, *, if_idle: bool = False) -> None:
        """See `Context.stop`."""
        if if_idle:
            self.stops_if_idle = True
            return
        if self.stopping is None:
            self.box.leave()
        self.stopping = self.stopping or ExitReason(ExitKind.NORMAL, "the actor stopped itself")

    def stop_if_idle(self) -> None:
        """Stop, as the actor asked, unless a message waits here or in the channel; all handlers have returned."""
        self.stops_if_idle = False
        if self.stopping is None and not self.pending and not self.channel.readable(0):
            self.box.leave_idle()
            self.stopping = ExitReason(ExitKind.NORMAL, "the actor stopped itself, as no message waited")

    def _set_timer(self, delay: float, period: float | None, message: Message[Any]) -> None:
        self.protocol.encode(message)  # the check of a sender
        due = time.monotonic() + delay
        heapq.heappush(self.timers, (due, next(self._timer_ids), period, message))

    # ---- waiting for others (PostOffice)

    def deadline(self) -> float | None:
        """Until when the result of the current handler is wanted."""
        envelope = self.handled()
        return None if envelope is None else envelope.deadline

    def correlate(self) -> int:
        """A fresh correlation number."""
        return next(self.correlations)

    def _block(self, correlation: int, until: float | None) -> Answer:
        """Read the channel until the answer arrives; other messages are queued meanwhile."""
        arrived: list[Answer] = []
        self.waiters[correlation] = arrived.append
        self.flush()  # an asker that waits for an earlier answer must not wait for this one
        try:
            while not arrived:
                if not self.channel.readable(None if until is None else until - time.monotonic()):
                    self.send(encode(Withdraw(correlation)))
                    raise TimeoutError
                self.take_in(self.channel.receive())
        finally:
            self.waiters.pop(correlation, None)
        return arrived[0]

    # ---- in

    def take_in(self, frames: list[Frame]) -> None:
        """Sort the arrived frames. No frame means that the daemon is gone: this process exits."""
        if not frames:
            os._exit(EXIT_ORPHANED)
        cells = self.cells
        for data in frames:
            if isinstance(data, Attachment):
                self._attachments.append(data)
                continue
            cells[DECODING] = data[1] in _MESSAGES
            try:
                frame = self._decode(data)
            except Exception:  # a __post_init__ may raise anything
                frame = self._decoded_loosely(data)
            if type(frame) is Deliver and not self._attachments:
                self.pending.extend(frame.items)  # the common case
            else:
                self._takers[type(frame)](frame)
            cells[DECODING] = 0

    def _take_delivery(self, deliver: Deliver[Message[Any]]) -> None:
        if self._attachments:
            attachments, self._attachments = self._attachments, []
            whose = next((envelope for envelope in deliver.items if envelope.beside is not None), None)
            if whose is not None and whose.beside is not None:
                fill(whose.message, whose.beside, attachments)
        self.pending.extend(deliver.items)

    def _take_answer(self, answer: Answer) -> None:
        if answer.kind == wire.BESIDE:
            attachment = self._attachments.pop()
            answer = LargeAnswer(answer.correlation, answer.kind, answer.payload, attachment.value)
        take = self.waiters.get if answer.kind == wire.ITEM else self.waiters.pop
        waiter = take(answer.correlation, None)
        if waiter is not None:
            waiter(answer)

    def _take_back(self, cancel: Cancel) -> None:
        for seq in cancel.seqs:
            self.revoke(seq)

    def _give_back(self, recall: Recall) -> None:
        """Skip what has not begun; what has begun is no longer in the inbox."""
        waiting = {envelope.seq for envelope in self.pending if isinstance(envelope, Envelope)}
        self._cancelled.update(waiting.intersection(recall.seqs))

    def check_control(self) -> None:
        """Let control overtake: when the daemon has rung, read everything it has written first."""
        rings = self.cells[DOORBELL]
        if rings == self.rings:
            return
        self.rings = rings
        if self._stop_event.is_set():
            self._asked_to_stop()
        while self.channel.readable(0):
            self.take_in(self.channel.receive())

    def take_due(self) -> float | None:
        """Move messages of due timers to the inbox; returns seconds to the next one, None without any."""
        while self.timers:
            due, _, period, message = self.timers[0]
            wait = due - time.monotonic()
            if wait > 0:
                return wait
            heapq.heappop(self.timers)
            self.pending.append(Envelope(0, wire.TELL, self.path, None, message))
            if period is not None:
                heapq.heappush(self.timers, (due + period, next(self._timer_ids), period, message))
        return None

    def next_wanted(self) -> Envelope[Message[Any]] | None:
        """The next message that is not cancelled; None when the inbox is empty."""
        pending = self.pending
        while pending:
            envelope = pending.popleft()
            if isinstance(envelope, PendingTells):
                one = envelope.next()
                if envelope.messages:
                    pending.appendleft(envelope)
                return one
            if self._cancelled and envelope.seq in self._cancelled:
                self._cancelled.discard(envelope.seq)
                self._skip(envelope, wire.CANCELLED)
            elif envelope.deadline is not None and time.monotonic() > envelope.deadline:
                self._skip(envelope, wire.EXPIRED)
            else:
                return envelope
        self._cancelled.clear()  # a cancelled message that is not here ended before it was cancelled
        return None

    def _asked_to_stop(self, stop: Stop | None = None) -> None:
        del stop
        self.stopping = self.stopping or ExitReason(ExitKind.SHUTDOWN, "asked by the supervisor")

    def _skip(self, envelope: Envelope[Message[Any]], kind: int) -> None:
        self._put_out(envelope.seq, kind, NOTHING)
        if self._sequential:
            self._over(envelope.seq)

    def _decoded_loosely(self, data: bytes | memoryview) -> Deliver[Message[Any]]:
        """The good messages of a batch with a bad one in it; each bad one is answered by itself."""
        batch = _read_loosely(data)
        if isinstance(batch, TellBatch):
            items = [Envelope(seq, wire.TELL, None, None, raw) for seq, raw in enumerate(batch.messages, batch.first)]
        else:
            items = batch.items
        good = []
        for envelope in items:
            try:
                message = self.protocol.decode(envelope.message)
            except msgspec.MsgspecError as error:
                self._put_out(envelope.seq, wire.UNDECODABLE, msgspec.Raw(encode(str(error))))
            except Exception as error:  # of a __post_init__, or no memory
                self._put_out(envelope.seq, *self.verdict(error))
                self.reserve.fill()
            else:
                kept = (envelope.seq, envelope.kind, envelope.sender, envelope.deadline, message, envelope.beside)
                good.append(Envelope(*kept))
        return Deliver(good)

    # ---- at work

    def begin(self, envelope: Envelope[Message[Any]], handler: Handler, lane: int) -> None:
        """Record that a handler is about to be called; answers that should not wait for it leave first."""
        self._began = now = time.monotonic_ns()
        if self._oldest and (self._urgent or now - self._oldest > ACK_AGE or self._unsent >= ACK_EVERY):
            self.flush()
        self.current = envelope
        if envelope.seq:
            self.box.begin(envelope.seq, handler.index, now, lane)
        else:
            self.box.begin_own(handler.index, now, lane)

    def begin_run(self) -> None:
        """Tells of the daemon are about to be handled.

        Answers leave first, since it is not known how long these take.
        """
        self.flush()
        self.current = None

    def ack_up_to(self, seq: int) -> None:
        """Tell the daemon now that everything up to there has ended."""
        self._over(seq)
        self.flush()

    def fail_tell(self, seq: int, handler: Handler, error: BaseException) -> None:
        """As `fail`, for a tell of a batch; the daemon is told now.

        Raises:
            ActorFailed: this life must end.
        """
        if not isinstance(error, SystemExit):
            self.box.done(seq)
            self._put_out(seq, *self.verdict(error))
            self.ack_up_to(seq)
        self.crash_or_continue(error, handler)

    # ---- streams and feeds

    def grant(self, credit: Credit) -> None:
        """The reader of a stream takes more items; without effect once the stream has ended."""
        if credit.seq in self._credits:
            self._credits[credit.seq] += credit.count
            self.on_news(credit.seq)

    def follow(self, items: Items) -> None:
        """Items arrived for a running message; without effect once it has ended."""
        waiting = self._followers.get(items.seq)
        if waiting is not None:
            waiting.extend(items.items)
            if items.over:
                waiting.append(None)
            self.on_news(items.seq)

    def open_stream(self, seq: int) -> None:
        """A generator begins, with this much credit."""
        self._credits[seq] = STREAM_CREDIT

    def has_credit(self, seq: int) -> bool:
        """Whether the reader takes one more item."""
        return self._credits[seq] > 0

    def put_item(self, seq: int, payload: bytes) -> None:
        """Send an item at once: the next one may take long."""
        self._credits[seq] -= 1
        self._put_out(seq, wire.ITEM, msgspec.Raw(payload))
        self.flush()

    def open_feed(self, seq: int) -> None:
        """A handler of a fed message begins: the items may come."""
        self._followers[seq] = deque()
        self.want(seq, STREAM_CREDIT)

    def want(self, seq: int, count: int) -> None:
        """Let the sender send more items."""
        self._put_out(seq, wire.WANT, msgspec.Raw(encode(count)))
        self.flush()

    def arrived(self, seq: int) -> deque[msgspec.Raw | None]:
        """The items of a feed that have not been taken."""
        return self._followers[seq]

    def close_flows(self, seq: int) -> None:
        """The handler has ended: drop its credit and items."""
        self._credits.pop(seq, None)
        self._followers.pop(seq, None)

    def unwanted(self, seq: int) -> bool:
        """Whether a running message has been cancelled."""
        return seq in self._cancelled

    def finish(
        self,
        envelope: Envelope[Message[Any]],
        kind: int,
        payload: msgspec.Raw,
        lane: int,
        attachments: tuple[Attachment, ...] = (),
    ) -> None:
        """Record that a handler has ended, and send what its sender gets; the acknowledgement of a tell may wait."""
        seq = envelope.seq
        if not seq:
            self.box.done_own(lane)
            return
        self.box.done(seq, lane)
        if self._credits or self._followers:
            self.close_flows(seq)
        if self._sequential:
            self._through = seq
        if envelope.kind != wire.TELL or kind != wire.REPLY:
            if self._outcomes:
                self.flush()
            self.send(encode(Outcomes(self._through, [Outcome(seq, kind, payload)])), attachments)
            if self._sequential:
                self._oldest = self._unsent = 0
            return
        if not self._sequential:
            self._outcomes.append(Outcome(seq, wire.DONE, NOTHING))
        self._unsent += 1
        if not self._oldest:
            self._oldest = self._began

    def finish_well(self, envelope: Envelope[Message[Any]], payload: Payload, lane: int) -> None:
        """Record that a handler has returned, and send what its sender gets."""
        if isinstance(payload, Attachment):
            self.finish(envelope, wire.BESIDE, NOTHING, lane, (payload,))
        elif (
            self._sequential and envelope.kind != wire.TELL and not (self._outcomes or self._credits or self._followers)
        ):
            self._through = seq = envelope.seq
            self.box.done(seq, lane)
            self.send(encode(Outcomes(seq, [Outcome(seq, wire.REPLY, payload)])))
            self._oldest = self._unsent = 0
        else:
            self.finish(envelope, wire.REPLY, payload, lane)

    def verdict(self, error: BaseException) -> tuple[int, msgspec.Raw]:
        """The outcome for an exception."""
        if isinstance(error, MemoryError):
            self.reserve.release()
        if isinstance(error, Rejected):
            return wire.REJECTED, msgspec.Raw(encode(words_of(error)))
        return wire.FAILED, msgspec.Raw(encode(failure_of(error)))

    def fail(self, envelope: Envelope[Message[Any]], handler: Handler, error: BaseException, lane: int) -> None:
        """Record that a handler raised. An exit is no answer: the daemon decides the fate of its message.

        Raises:
            ActorFailed: this life must end.
        """
        if not isinstance(error, SystemExit):
            self.finish(envelope, *self.verdict(error), lane)
        self.crash_or_continue(error, handler)

    def crash_or_continue(self, error: BaseException, handler: Handler) -> None:
        """Continue, unless the exception ends this life; one that is no `Exception` always does.

        Raises:
            ActorFailed: it ends this life.
        """
        refusal = isinstance(error, Rejected)
        if not isinstance(error, Exception) or (self.protocol.actor.on_error == "crash" and not refusal):
            self.flush()
            raise ActorFailed(f"in {self.protocol.actor.__qualname__}.{handler.name}", error) from error
        self.reserve.fill()

    # ---- out

    def flush(self) -> None:
        """Send every answer made so far, and the acknowledgement."""
        if self._oldest:
            frame = encode(Outcomes(self._through, self._outcomes))
            if len(frame) <= self.channel.most:
                self.send(frame)
            else:  # each by itself fits
                for outcome in self._outcomes:
                    self.send(encode(Outcomes(0, [outcome])))
                self.send(encode(Outcomes(self._through, [])))
            self._outcomes.clear()
            self._oldest = self._unsent = 0
            self._urgent = False

    def _put_out(self, seq: int, kind: int, payload: msgspec.Raw) -> None:
        self._outcomes.append(Outcome(seq, kind, payload))
        self._urgent = True
        self._note_unsent()

    def _over(self, seq: int) -> None:
        self._through = seq
        self._note_unsent()

    def _note_unsent(self) -> None:
        self._unsent += 1
        if not self._oldest:
            self._oldest = self._began or time.monotonic_ns()


def _nothing(seq: int) -> None:
    del seq


def _cannot_stream(correlation: int, timeout: float | None) -> AsyncGenerator[Answer, None]:
    del correlation, timeout
    raise UsageError("a sync handler cannot read a stream; make it `async def`")


async def _cannot_wait(correlation: int, until: float | None) -> Answer:
    del correlation, until
    raise UsageError("a sync handler cannot await; use ref.call(...) and ref.tell_nowait(...), or make it `async def`")
