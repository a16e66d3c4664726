"""Channel: what a life and its process send each other: messages and control frames there, frames back.

    Delivery.post, cancel, ... ─▶ FrameWriter ─▶ pipe ─▶ process ─▶ pipe ─▶ reader ─▶ FrameReader ─▶ LifeListener
                             └───▶ doorbell in the black box, which overtakes what the process has read already

Runs on the loop's thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, cast

import msgspec

from actors.errors import WireError
from actors.ipc.blackbox import BlackBox
from actors.wire.codec import encode, encode_into
from actors.wire.counts import Counts
from actors.wire.framing import (
    HEADER,
    LARGE,
    Announced,
    Attachment,
    Carried,
    Frame,
    Framer,
    SharedAttachment,
    put_length,
)
from actors.wire.from_child import CrashReport, FromChild, Goodbye, Outcome, Outcomes, Replies
from actors.wire.from_child import KeptReplies as KeptRepliesFrame
from actors.wire.kinds import NOTHING
from actors.wire.progress import Activity, Progress
from actors.wire.to_child import AskHealth, Cancel, Credit, Deliver, Envelope, Items, Load, Recall, Stop
from supervisor.core.delivery.messages import Batch, QueuedMessage
from supervisor.io.pipe_writer import PipeWriter
from supervisor.ports.life import LifeListener
from supervisor.process.descriptors import LifeDescriptors
from supervisor.process.kept_replies import KeptReplies

_BROKEN: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what decoding a frame may raise
_BESIDE: Final = (Attachment, Announced)  # tuples: a union is made anew each time
_ENDS: Final = (Outcomes, Replies)
_ROOM: Final = bytes(HEADER)  # for the length of a frame
_decode: Final = msgspec.msgpack.Decoder(FromChild).decode
_frame_of: Final = cast("Callable[[Sequence[Envelope[msgspec.Raw]]], msgspec.Struct]", Deliver)


class ProcessDelivery:
    """The part `supervisor.ports.life.Delivery` of a life in a process; a subclass sets its pipe writer, box, listener.

    Attributes:
        over: whether the life has ended.
    """

    _writer: FrameWriter
    _box: BlackBox
    _last_progress: Progress
    _last_activity: Activity
    over = False

    @property
    def congested(self) -> bool:
        """Whether the kernel's buffer for this process is full."""
        return bool(self._writer.backlog)

    def restore(self, state: bytes) -> None:
        """Send the state of the life before."""
        self._writer.send(Load(msgspec.Raw(state)))

    @property
    def boxed(self) -> bool:
        """Whether its black box can be read after the death of the daemon."""
        return self._box.file is not None and self._box.file.stays

    def note_given(self, given: Iterable[tuple[int, int]]) -> None:
        """Note which messages it is about to get."""
        if not self.over and self._box.file is not None:
            for delivery_tag, seq in given:
                self._box.file.note_given(delivery_tag, seq)

    def post(self, batch: list[QueuedMessage]) -> None:
        """Send a batch of messages; what the kernel does not take now is written when it does."""
        last = batch[-1]
        try:
            if last.attachments is None and memoryview(last.message).nbytes < LARGE:
                self._writer.send(_frame_of(batch))
            else:
                self._post_large(batch, last)
        except Exception as error:
            self._unwritten(error)

    def post_batch(self, batch: Batch) -> None:
        """Send messages that are kept together."""
        self._send_batch(batch)

    def _send_batch(self, batch: Batch, ahead: float = 0.0) -> None:
        """Send a batch: the bytes of its messages, joined, are the list that the process decodes.

        Its clock is ahead of this one by so many seconds.
        """
        try:
            self._writer.send_joined(*batch.pieces(ahead))
        except Exception as error:
            self._unwritten(error)

    def _unwritten(self, error: Exception) -> None:
        """Messages that are in flight were not written. If others were, behind them, they would count as handled."""
        self._writer.give_up(f"messages could not be written to it: {type(error).__name__}: {error}")

    def _post_large(self, batch: list[QueuedMessage], last: QueuedMessage) -> None:
        """Send a batch whose last message is large and not copied: it is written between the encoded rest."""
        if last.attachments is not None:
            bare = msgspec.structs.replace(last, attachments=None)
            self._send_with(last.attachments, encode(_frame_of([*batch[:-1], bare])))
            return
        envelope = Envelope(last.seq, last.kind, last.sender, last.deadline, NOTHING, trace=last.trace)
        # what is encoded ends with the message and `beside`, a byte each, and trace
        around = encode(_frame_of([*batch[:-1], envelope]))
        behind = 1 + len(encode(last.trace))
        self._writer.send_around(around[: -behind - 1], memoryview(last.message), around[-behind:])

    @property
    def at_once(self) -> bool:
        """Whether progress and activity are of this moment: the daemon reads its black box itself."""
        return True

    @property
    def window(self) -> int:
        """Its black box outlives it, so nothing is lost with it."""
        return sys.maxsize

    @property
    def caught_up(self) -> bool:
        """Whether they are newer than the last control frame: as those of this moment are."""
        return True

    def cancel(self, seqs: list[int]) -> None:
        """Cancel messages that have not begun; overtakes what the process has read."""
        self._send_now(Cancel(seqs))

    def recall(self, seqs: list[int]) -> None:
        """Ask for messages back that have not begun; overtakes what the process has read."""
        self._send_now(Recall(seqs))

    def ask_health(self) -> None:
        """Ask how the actor is; overtakes what the process has read."""
        self._send_now(AskHealth())

    def credit(self, seq: int, count: int) -> None:
        """The reader of a stream takes more items; overtakes what the process has read."""
        self._send_now(Credit(seq, count))

    def follow(self, seq: int, items: list[bytes], attachments: Sequence[Carried] = (), *, over: bool) -> None:
        """Send items that follow a message, and the attachments that belong to them."""
        frame = Items(seq, [msgspec.Raw(item) for item in items], over)
        if attachments:
            self._send_with(attachments, encode(frame))
        self._send_now(Items(seq, [], over) if attachments else frame)

    def answer(self, frame: bytes, attachments: Sequence[Carried] = ()) -> None:
        """Send an already encoded `Answer`, and the attachments that belong to it."""
        if attachments:
            self._send_with(attachments, frame)
        else:
            self._writer.send_joined(frame, ())

    def progress(self) -> Progress:
        """What its black box says; after its end, what it said last."""
        return self._last_progress if self.over else self._box.progress()

    def activity(self) -> Activity:
        """What its black box says, for those who watch it; after its end, what it said last."""
        return self._last_activity if self.over else self._box.activity()

    def counts(self) -> Counts:
        """What the actor has counted; nothing after its end, which has it."""
        return {} if self.over else self._box.counts()

    def _send_with(self, attachments: Sequence[Carried], frame: bytes) -> None:
        """Send a frame and before it its attachments: of what is in shared memory the descriptor, if that can pass."""
        if self.over:
            return
        carried = [self._carried(one) if isinstance(one, SharedAttachment) else one for one in attachments]
        self._writer.send_with(carried, frame)

    def _carried(self, attachment: SharedAttachment) -> Carried:
        """Pass the descriptor of a value; returns what travels in its place where none pass."""
        descriptors = self._passing()
        if descriptors is None:
            return Attachment(attachment.value)
        descriptors.send(attachment)
        return attachment

    def _passing(self) -> LifeDescriptors | None:
        """What passes descriptors to its process; None where none pass."""
        return None

    def _send_now(self, frame: Cancel | Recall | Credit | Items | Stop | AskHealth) -> None:
        """Send a frame, and let the process read it before it begins another message; one that is over has no box."""
        self._writer.send(frame)
        if not self.over:
            self._box.ring()


class FrameWriter(PipeWriter):
    """Writes what one process reads: a small frame at once, if nothing waits; the rest is left to `PipeWriter`."""

    def send(self, frame: msgspec.Struct) -> None:
        """Encode and send one frame: its bytes are written where they are sent from, behind their length."""
        data = self._buffer
        encode_into(frame, data, HEADER)
        put_length(data, 0, len(data) - HEADER)
        self._send(data)

    def send_joined(self, head: bytes, rest: Sequence[bytes]) -> None:
        """Send one encoded frame, given in pieces."""
        data = bytearray().join((_ROOM, head, *rest))
        put_length(data, 0, len(data) - HEADER)
        self._send(data)

    def _send(self, data: bytearray) -> None:
        """Send a frame whose buffer is used again."""
        if self.backlog or self._closed or len(data) > LARGE:
            self._put((bytes(data),))
            return
        try:
            sent = self._duplex.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._break(error)
            return
        if sent != len(data):
            self._put((bytes(data[sent:]),))


class FrameReader:
    """Reads what one process sends.

    Args:
        max_frame: the most bytes of a frame.
        listener: gets the frames.
        on_farewell: called with its last frame, a goodbye or crash report.
        on_error: called when a frame breaks the protocol or cannot be processed. No frame is read afterwards.
        take: takes a value in shared memory that was announced; None where no descriptors pass.
        kept: the replies in its black box; None where none are kept.

    Attributes:
        refused: whether frames that still come are dropped.
    """

    def __init__(
        self,
        max_frame: int,
        listener: LifeListener,
        *,
        on_farewell: Callable[[CrashReport | Goodbye], None],
        on_error: Callable[[Exception], None],
        take: Callable[[Announced], Carried] | None = None,
        kept: KeptReplies | None = None,
    ) -> None:
        self.refused = False
        self._farewell: CrashReport | Goodbye | None = None
        self._max_frame = max_frame
        self._framer = Framer(max_frame)
        self._small = min(LARGE, max_frame + 1)  # bytes; of a frame that need not be viewed
        self._attachments: list[Carried] = []  # attachments whose frame has not come yet
        self._listener = listener
        self._take = take
        self._kept = kept
        self._on_farewell = on_farewell
        self._on_error = on_error

    def arrived(self, chunk: bytes) -> None:
        """Take bytes in, and pass on the frames that are complete."""
        if self.refused:
            return
        size = int.from_bytes(chunk[:HEADER], "little")
        try:
            if len(chunk) == HEADER + size and size < self._small and self._framer.between:
                self._small_frame(memoryview(chunk)[HEADER:])  # the common case: one small whole frame
            else:
                self._cut(chunk)
        except Exception as error:
            self.refused = True
            self._on_error(error)

    def begin_anew(self) -> None:
        """The process has ended; what it had written of a frame is dropped, and whole frames follow."""
        self._framer = Framer(self._max_frame)
        self._attachments = []

    def take_rest(self) -> None:
        """The process has ended, and its pipe is read: take in the replies that lie in its black box."""
        self.take_kept(None)

    def take_kept(self, mark: int | None, done: int = 0) -> None:
        """Pass on replies in the black box, as far as `KeptReplies.read` says, or all of them."""
        if self._kept is None or self.refused:
            return
        try:
            for found in self._kept.rest() if mark is None else self._kept.read(mark, done):
                self._listener.life_outcomes(found, ())
        except Exception as error:
            self.refused = True
            self._on_error(error)

    def _small_frame(self, data: memoryview) -> None:
        """Pass on a frame that came by itself, without attachments."""
        if self._kept is not None:
            self._kept.heard += 1
        try:
            frame: FromChild = _decode(data)
        except _BROKEN as error:
            raise _undecodable(data, error) from error
        if isinstance(frame, _ENDS):
            self._listener.life_outcomes(frame, ())
        else:
            self._hear(frame)

    def _cut(self, chunk: bytes) -> None:
        """Pass on the frames that these bytes complete; several of outcomes are heard as one."""
        frames = self._framer.feed(chunk)
        if self._kept is not None:
            self._kept.heard += sum(not isinstance(one, _BESIDE) for one in frames)
        for frame in decoded(frames):
            self._hear(frame)

    def _hear(self, frame: FromChild | Attachment | Announced) -> None:
        if isinstance(frame, _BESIDE):
            self._attachments.append(frame if isinstance(frame, Attachment) else self._taken(frame))
            return
        attachments: Sequence[Carried] = ()
        if self._attachments:
            attachments, self._attachments = self._attachments, []
        if isinstance(frame, _ENDS):
            self._listener.life_outcomes(frame, attachments)
        elif isinstance(frame, KeptRepliesFrame):
            if self._kept is None:
                raise WireError("it keeps replies where none are read")
            for found in self._kept.announced(frame, self.take_kept):
                self._listener.life_outcomes(found, ())
        elif isinstance(frame, CrashReport | Goodbye):
            if self._farewell is not None:
                raise WireError("it said goodbye twice")
            self._farewell = frame
            self._on_farewell(frame)
        else:
            self._listener.life_said(frame, attachments)

    def _taken(self, announced: Announced) -> Carried:
        if self._take is None:
            raise WireError("it announced a value in shared memory where no descriptors pass")
        return self._take(announced)


def decoded(frames: list[Frame]) -> Iterator[FromChild | Attachment | Announced]:
    """Decode frames. Outcomes that follow each other become one, since the work of the daemon is by frame.

    Raises:
        WireError: a frame does not decode; what came before it was given.
    """
    items: list[Outcome] | None = None  # of the outcomes that are joined now
    ack_up_to = began = 0
    for data in frames:
        try:
            frame = data if isinstance(data, _BESIDE) else _decode(data)
        except _BROKEN as error:
            if items is not None:
                yield Outcomes(ack_up_to, items, began)
            raise _undecodable(data, error) from error
        if type(frame) is Outcomes:
            ack_up_to, began = frame.ack_up_to or ack_up_to, frame.began or began
            if items is None:
                items = frame.items
            else:
                items.extend(frame.items)
            continue
        if items is not None:
            yield Outcomes(ack_up_to, items, began)
            items, ack_up_to, began = None, 0, 0
        yield frame
    if items is not None:
        yield Outcomes(ack_up_to, items, began)


def _undecodable(data: Frame, error: Exception) -> WireError:
    size = 0 if isinstance(data, _BESIDE) else len(data)
    return WireError(f"a frame of {size} bytes does not decode: {error}")
