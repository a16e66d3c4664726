"""Handling: the beginning and the end of each handler of one life, as the black box and the sender get to know them.

    begin: black box ─▶ handler ─▶ finish: black box, Outbox
                               └─▶ fail: the same, and the end of the life where its class says so

The black box is written before a handler is called, and when it has ended, before its sender hears of it.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.child.life import Life
from actors.child.messages.inbox import BulkEnvelope
from actors.errors import Rejected
from actors.messages import Message
from actors.process.tracebacks import ActorFailed
from actors.protocol.protocol import Handler
from actors.wire import kinds
from actors.wire.framing import Attachment, Carried
from actors.wire.kinds import NOTHING
from actors.wire.to_child import Envelope
from actors.wire.traces import is_sampled


class Sharing(msgspec.Struct, frozen=True, gc=False):
    """A reply with values in shared memory.

    Attributes:
        data: its bytes.
        attachments: the values.
    """

    data: msgspec.Raw
    attachments: tuple[Carried, ...]


Beside = Attachment | Sharing  # made once: a union in a function is made at each call
Payload = msgspec.Raw | Beside


class Handling:
    """The handlers of one life.

    Attributes:
        life: as given.
    """

    def __init__(self, life: Life) -> None:
        self.life = life
        self._protocol = life.protocol
        self._recorder = life.recorder
        self._outbox = life.outbox
        self._calls = life.calls
        self._copies = life.copies
        self._now_ns = life.clock.monotonic_ns

    def begin(self, envelope: Envelope[Message[Any]], handler: Handler, lane: int) -> None:
        """Record that a handler is about to be called; what senders wait for leaves first."""
        now = self._now_ns()
        if self._outbox.oldest:
            self._outbox.before_handler(now)
        if self._calls.spans is not None:
            self._calls.spans.enter(envelope.trace)
        if envelope.seq:
            self._recorder.begin(envelope.seq, handler.index, now, lane)
        else:
            self._recorder.begin_own(handler.index, now, lane)

    def finish(
        self,
        envelope: Envelope[Message[Any]],
        kind: int,
        payload: msgspec.Raw,
        lane: int,
        attachments: tuple[Carried, ...] = (),
    ) -> None:
        """Record that a handler has ended, and send what its sender gets; the acknowledgement of a tell may wait."""
        seq = envelope.seq
        if not seq:
            self._recorder.done_own(lane)
            self._outbox.own_ended()
            return
        self._recorder.done(seq, lane)
        began = self._recorder.since(lane)
        ended = 0 if envelope.trace is None else self._end_of(envelope.trace)
        if envelope.kind == kinds.TELL and kind == kinds.REPLY:
            self._outbox.acknowledge(seq, began, ended)
        else:
            self._outbox.reply(seq, kind, payload, began, attachments, ended)

    def finish_well(self, envelope: Envelope[Message[Any]], payload: Payload, lane: int) -> None:
        """Record that a handler has returned, and send what its sender gets."""
        if isinstance(payload, Beside):
            self._finish_beside(envelope, payload, lane)
        elif envelope.kind == kinds.TELL:
            self.finish(envelope, kinds.REPLY, payload, lane)
        else:  # the common case
            self._recorder.done(envelope.seq, lane)
            if type(envelope) is BulkEnvelope:
                self._outbox.hold(envelope.seq, payload, self._recorder.since(lane))
                self._outbox.before_handler(self._now_ns())  # on a loop, any code may be next
            elif envelope.trace is None:
                self._outbox.reply(envelope.seq, kinds.REPLY, payload, self._recorder.since(lane))
            else:
                ended = self._end_of(envelope.trace)
                self._outbox.reply(envelope.seq, kinds.REPLY, payload, self._recorder.since(lane), (), ended)

    def _finish_beside(self, envelope: Envelope[Message[Any]], payload: Beside, lane: int) -> None:
        """As `finish_well`, where the reply or a part of it travels beside its frame."""
        if isinstance(payload, Sharing):
            self.finish(envelope, kinds.SHARED_REPLY, payload.data, lane, payload.attachments)
            return
        to_actor = envelope.sender is not None and type(envelope) is not BulkEnvelope
        self.finish(envelope, kinds.BESIDE, NOTHING, lane, (_shared(payload) if to_actor else payload,))

    def _end_of(self, trace: str) -> int:
        """Now (ns), where the daemon makes a span of the message; else 0."""
        return self._now_ns() if is_sampled(trace) else 0

    def fail(self, envelope: Envelope[Message[Any]], handler: Handler, error: BaseException, lane: int) -> None:
        """Record that a handler raised. An exit is no answer: the daemon decides the fate of its message.

        Raises:
            ActorFailed: this life must end.
        """
        self._copies.leave(error)
        if not isinstance(error, SystemExit):
            self.finish(envelope, *self.life.verdict(error), lane)
        self._crash_or_continue(error, handler)

    def fail_tell(self, seq: int, handler: Handler, error: BaseException, began: int) -> None:
        """As `fail`, for a tell of a batch that began at that time (ns).

        Raises:
            ActorFailed: this life must end.
        """
        self._copies.leave(error)
        if not isinstance(error, SystemExit):
            self._recorder.done(seq)
            self._outbox.reply(seq, *self.life.verdict(error), began)
        self._crash_or_continue(error, handler)

    def _crash_or_continue(self, error: BaseException, handler: Handler) -> None:
        """Continue, unless the exception ends this life; one that is no `Exception` always does."""
        refusal = isinstance(error, Rejected)
        if not isinstance(error, Exception) or (self._protocol.actor.on_error == "crash" and not refusal):
            self._outbox.flush()
            raise ActorFailed(f"in {self._protocol.actor.__qualname__}.{handler.name}", error) from error
        self.life.reserve.fill()


def _shared(reply: Attachment) -> Carried:
    from actors.ipc.shared_memory import in_shared_memory  # noqa: PLC0415 - only who sends large values needs it

    return in_shared_memory(reply)
