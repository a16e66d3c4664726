"""Inbox: what arrives for one life, and which message is next.

    Channel ─▶ take_in ─▶ pending ─▶ next_wanted
                  └─▶ Answer, Cancel, Recall, Credit, Items, Stop, AskHealth, Load: control, read when the daemon rings

Messages begin in the order of the mailbox; control overtakes them.

The daemon takes a message whose turn is over as handled. So nothing that has arrived may be passed over: when an
exception interrupts the reading, whatever raised it, nothing is read any more, and the life ends.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.child.messages.outbox import Outbox
from actors.child.messages.timers import Timer
from actors.errors import UsageError
from actors.exits import EXIT_ORPHANED
from actors.ipc.box_cells import BEGUN, DECODING, FIRST_LANE
from actors.ipc.channel import Channel
from actors.messages import Message
from actors.process.tracebacks import ActorFailed
from actors.protocol.protocol import ActorProtocol
from actors.wire import kinds
from actors.wire.attachments import decode_sharing, fill
from actors.wire.codec import decoder_with
from actors.wire.framing import Announced, Attachment, Carried, Frame
from actors.wire.to_child import (
    Answer,
    AskBatch,
    AskHealth,
    Bulk,
    Cancel,
    Credit,
    Deliver,
    Envelope,
    Items,
    Load,
    Recall,
    Stop,
    TellBatch,
)

if TYPE_CHECKING:
    from actors.child.messages.driver import Clock

_MESSAGES: Final = frozenset(
    frame.__struct_config__.tag for frame in (Deliver, TellBatch, AskBatch, Bulk)
)  # of frames, byte 1
_BESIDE: Final = (Attachment, Announced)
_read_loosely: Final = msgspec.msgpack.Decoder(
    Deliver[msgspec.Raw] | TellBatch[msgspec.Raw] | AskBatch[msgspec.Raw] | Bulk[msgspec.Raw]
).decode


@cache
def reader_of(protocol: ActorProtocol) -> Callable[[bytes | memoryview], Any]:
    """A decoder of the daemon's frames, messages included; made once for an actor class."""
    messages = protocol.union
    batches = Deliver[messages] | TellBatch[messages] | AskBatch[messages] | Bulk[messages]  # type: ignore[valid-type]
    frames = batches | Answer | Cancel | Recall | Credit | Items | Stop | AskHealth | Load
    return decoder_with(frames, messages).decode


class BulkEnvelope(Envelope[Message[Any]], frozen=True, array_like=True, gc=False):
    """A message of a batch. The reply to an ask among them may wait for those that follow."""


class PendingBatch:
    """A batch in the inbox: those of its messages that have not begun.

    Attributes:
        seq: number of the next one.
        kind: TELL or ASK.
        sender: as in `Envelope`.
        deadline: as in `Envelope`.
        trace: as in `Envelope`.
        messages: all of them, in order.
        begun: how many of them have begun or are skipped.
    """

    __slots__ = ("begun", "deadline", "kind", "messages", "sender", "seq", "trace")

    def __init__(  # noqa: PLR0917 - as the frame
        self,
        first: int,
        messages: list[Message[Any]],
        kind: int,
        sender: str | None,
        deadline: float | None,
        trace: str | None,
    ) -> None:
        self.seq = first
        self.messages = messages
        self.begun = 0
        self.kind = kind
        self.sender = sender
        self.deadline = deadline
        self.trace = trace

    @property
    def over(self) -> bool:
        """Whether none is left."""
        return self.begun == len(self.messages)

    def next(self) -> Envelope[Message[Any]]:
        """Take the next one."""
        message = self.messages[self.begun]
        envelope = BulkEnvelope(self.seq, self.kind, self.sender, self.deadline, message, trace=self.trace)
        self.seq += 1
        self.begun += 1
        return envelope


class PendingAsks(PendingBatch):
    """Asks in the inbox, each with a sender of its own.

    Attributes:
        deadline: of the one that is being handled.
        deadlines: of all of them, in order.
    """

    __slots__ = ("deadlines",)

    def __init__(self, first: int, messages: list[Message[Any]], deadlines: list[float | None]) -> None:
        super().__init__(first, messages, kinds.ASK, None, None, None)
        self.deadlines = deadlines

    def next(self) -> Envelope[Message[Any]]:
        """Take the next one."""
        at = self.begun
        envelope = Envelope(self.seq, kinds.ASK, None, self.deadlines[at], self.messages[at])
        self.seq += 1
        self.begun = at + 1
        return envelope


class Inbox:
    """The messages of one life that have not begun.

    Args:
        path: of the actor, the sender of its timers' messages.
        protocol: its messages.
        channel: where they arrive.
        outbox: where those leave that do not begin.
        cells: of the black box, which says that messages are being decoded.
        clock: of the life, for the deadlines of its messages.
        on_undecodable: turns an exception of a message's own code into an outcome.

    Attributes:
        pending: the messages, in the order in which they begin.
        cancelled: numbers of messages that are no longer wanted, the running one's among them.
        takers: who takes an answer or a control frame, by its class.
    """

    def __init__(
        self,
        path: str,
        protocol: ActorProtocol,
        channel: Channel,
        outbox: Outbox,
        *,
        cells: memoryview[int],
        clock: Clock,
        on_undecodable: Callable[[BaseException], tuple[int, msgspec.Raw]],
    ) -> None:
        self.pending: deque[Envelope[Message[Any]] | PendingBatch | Timer] = deque()
        self.cancelled: set[int] = set()
        self.takers: dict[type, Callable[[Any], None]] = {
            Deliver: self._take_delivery,
            TellBatch: self._take_tells,
            AskBatch: self._take_asks,
            Bulk: self._take_bulk,
            Recall: self._give_back,
        }
        self._path = path
        self._channel = channel
        self._outbox = outbox
        self._protocol = protocol
        self._decode = reader_of(protocol)
        self._cells = cells
        self._clock = clock
        self._on_undecodable = on_undecodable
        self._attachments: list[Carried] = []  # attachments whose frame has not come yet
        self._receiving = False

    def receive(self) -> None:
        """Take in what arrives next; waits for it.

        Raises:
            ActorFailed: an exception has interrupted this before.
        """
        if self._receiving:
            raise ActorFailed("reading its channel", UsageError("an exception has interrupted it, and was suppressed"))
        self._receiving = True  # and it stays so when this raises
        self.take_in(self._channel.receive())
        self._receiving = False

    def receive_all(self) -> None:
        """Take in what has arrived.

        Raises:
            ActorFailed: as of `receive`.
        """
        while self._channel.readable(0):
            self.receive()

    def take_in(self, frames: list[Frame]) -> None:
        """Sort the arrived frames. No frame means that the daemon is gone: this process exits."""
        if not frames:
            os._exit(EXIT_ORPHANED)
        cells = self._cells
        for data in frames:
            if isinstance(data, _BESIDE):
                taken = data if isinstance(data, Attachment) else self._channel.descriptors.take(data)
                self._attachments.append(taken)
                continue
            cells[DECODING] = data[1] in _MESSAGES
            try:
                if self._attachments:
                    frame = decode_sharing(self._decode, data, self._attachments)
                else:
                    frame = self._decode(data)
            except Exception:  # a __post_init__ may raise anything
                frame = self._decoded_loosely(data)
            if type(frame) is Deliver and not self._attachments:
                self.pending.extend(frame.items)  # the common case
            else:
                self.takers[type(frame)](frame)
            cells[DECODING] = 0

    @property
    def where(self) -> str:
        """Where an exception comes from that no handler has raised: a phrase, as in `CrashReport`."""
        return "decoding a message" if self._cells[DECODING] else "outside of its handlers"

    def next_wanted(self) -> Envelope[Message[Any]] | None:
        """The next message that is not cancelled; None when there is none."""
        pending = self.pending
        while pending:
            envelope = pending.popleft()
            if isinstance(envelope, Timer):
                envelope.waits = False
                return Envelope(0, kinds.TELL, self._path, None, envelope.message, trace=envelope.trace)
            if isinstance(envelope, PendingBatch):
                batch, envelope = envelope, envelope.next()
                if not batch.over:
                    pending.appendleft(batch)
            if self.wanted(envelope.seq, envelope.deadline):
                return envelope
        self.cancelled.clear()  # a cancelled message that is not here ended before it was cancelled
        return None

    def wanted(self, seq: int, deadline: float | None) -> bool:
        """Whether a message may begin; one that is cancelled or late is skipped."""
        if self.cancelled and seq in self.cancelled:
            self.cancelled.discard(seq)
            self._outbox.skip(seq, kinds.CANCELLED)
        elif deadline is not None and self._clock.monotonic() > deadline:
            self._outbox.skip(seq, kinds.EXPIRED)
        else:
            return True
        return False

    def cancel(self, seq: int) -> None:
        """A message is no longer wanted: skip it when its turn comes."""
        self.cancelled.add(seq)

    def take_attachments(self) -> list[Carried]:
        """Take the attachments that came just before the frame."""
        attachments, self._attachments = self._attachments, []
        return attachments

    def _take_delivery(self, deliver: Deliver[Message[Any]]) -> None:
        if self._attachments:
            attachments, self._attachments = self._attachments, []
            whose = next((envelope for envelope in deliver.items if envelope.beside is not None), None)
            if whose is not None and whose.beside is not None and not self._filled(whose, whose.beside, attachments):
                self.pending.extend(envelope for envelope in deliver.items if envelope is not whose)
                return
        self.pending.extend(deliver.items)

    def _filled(
        self, envelope: Envelope[Message[Any]], beside: tuple[int, ...], attachments: Sequence[Carried]
    ) -> bool:
        """Put its large values into a message; one whose values were lost is answered by that."""
        try:
            fill(envelope.message, beside, attachments)
        except OSError as error:
            self._outbox.skip(envelope.seq, *self._on_undecodable(error), over=False)
            return False
        return True

    def _take_tells(self, tells: TellBatch[Message[Any]]) -> None:
        self.pending.append(PendingBatch(tells.first, tells.messages, kinds.TELL, None, None, tells.trace))

    def _take_asks(self, asks: AskBatch[Message[Any]]) -> None:
        self.pending.append(PendingAsks(asks.first, asks.messages, asks.deadlines))

    def _take_bulk(self, bulk: Bulk[Message[Any]]) -> None:
        batch = PendingBatch(bulk.first, bulk.messages, bulk.kind, bulk.sender, bulk.deadline, bulk.trace)
        self.pending.append(batch)

    def _give_back(self, recall: Recall) -> None:
        """Skip what has not begun. What has begun is no longer in the inbox, unless its batch is."""
        begun = self._cells[FIRST_LANE + BEGUN]
        waiting = {envelope.seq for envelope in self.pending if isinstance(envelope, Envelope)}
        for batch in self.pending:
            if isinstance(batch, PendingBatch) and batch.kind == kinds.ASK:
                waiting.update(range(max(batch.seq, begun + 1), batch.seq + len(batch.messages) - batch.begun))
        self.cancelled.update(waiting.intersection(recall.seqs))

    def _decoded_loosely(self, data: bytes | memoryview) -> Deliver[Message[Any]]:
        """The good messages of a batch with a bad one in it; each bad one is answered by itself."""
        batch = _read_loosely(data)
        if isinstance(batch, TellBatch):
            singles = enumerate(batch.messages, batch.first)
            items = [Envelope(seq, kinds.TELL, None, None, raw, None, batch.trace) for seq, raw in singles]
        elif isinstance(batch, AskBatch):
            each = enumerate(zip(batch.deadlines, batch.messages, strict=True), batch.first)
            items = [Envelope(seq, kinds.ASK, None, deadline, raw) for seq, (deadline, raw) in each]
        elif isinstance(batch, Bulk):
            around, singles = (batch.kind, batch.sender, batch.deadline), enumerate(batch.messages, batch.first)
            items = [Envelope(seq, *around, raw, None, batch.trace) for seq, raw in singles]
        else:
            items = batch.items
        good = []
        for envelope in items:
            try:
                message = decode_sharing(self._protocol.decode, envelope.message, self._attachments)
            except Exception as error:  # of a __post_init__, or no memory
                self._outbox.skip(envelope.seq, *self._on_undecodable(error), over=False)
            else:
                head = (envelope.seq, envelope.kind, envelope.sender, envelope.deadline)
                good.append(Envelope(*head, message, envelope.beside, envelope.trace))
        return Deliver(good)
