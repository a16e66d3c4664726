"""Bulk: many messages of one call on their way into a mailbox, and their askers.

    check ─▶ parts, encoded together ─▶ room ─▶ QueuedBulk ─▶ MessageQueue
               └─ single messages: large ones, and those routed by themselves ─▶ Intake.post

All messages are checked before the first is taken. They enter part by part, in their order, as there is room.

Runs on the loop's thread; the loop does other things between two parts.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from actors.errors import MailboxFull, UsageError, WireError
from actors.messages import Message
from actors.protocol.protocol import Handler
from actors.wire.attachments import EncodedMessage, bytes_fields, large_fields
from actors.wire.codec import decoder_of, encode
from actors.wire.to_child import MAX_BULK
from actors.wire.traces import is_sampled
from supervisor.core.delivery.messages import UNKNOWN
from supervisor.core.delivery.parcel import NOTHING, Parcel, cut_array
from supervisor.mailbox.dispatch import WINDOW_BYTES
from supervisor.mailbox.intake.entry import Entry, Patience, Taken, Wait
from supervisor.mailbox.intake.intake import Intake
from supervisor.mailbox.intake.parts import MailboxParts
from supervisor.mailbox.many import AskPart, AskSlot, ManyAsker
from supervisor.mailbox.validation import Admitted
from supervisor.specs import Overflow


class Part(msgspec.Struct, frozen=True):
    """Checked messages that enter together.

    Attributes:
        index: of the first in its call.
        content: their bytes; or one message that enters by itself.
        handlers: of all of them.
        trace: the trace context of all of them; what is sampled enters one by one.
    """

    index: int
    content: Parcel | Admitted
    handlers: set[Handler]
    trace: str | None = None


def this_call(messages: Sequence[Message[Any]]) -> str:
    """The messages of one call, in words."""
    return f"this call of {len(messages)} message{'' if len(messages) == 1 else 's'}"


class BulkCall:
    """One call.

    Args:
        kind: TELL or ASK.
        sender: path of the actor that sends, None when the daemon does.
        deadline: on the mailbox's clock, None without a bound.
        asker: waits for the ends; of asks.
        fail_if_down: whether an ask ends when no life serves the mailbox.

    Attributes:
        taken: how many messages the mailbox has taken so far, or dropped by its rule.
    """

    def __init__(
        self,
        kind: int,
        sender: str | None = None,
        deadline: float | None = None,
        asker: ManyAsker | None = None,
        *,
        fail_if_down: bool = False,
    ) -> None:
        self.kind = kind
        self.sender = sender
        self.deadline = deadline
        self.asker = asker
        self.fail_if_down = fail_if_down
        self.taken = 0


class Bulk:
    """The way of many messages of one call into one mailbox.

    Args:
        parts: of the mailbox.
        intake: takes single messages.
    """

    def __init__(self, parts: MailboxParts, intake: Intake) -> None:
        self._classes = parts.classes
        self._protocol = parts.protocol
        self._handlers = tuple(parts.protocol.handlers.values())
        self._admission = parts.admission
        self._consumers = parts.consumers
        self._capacity = parts.capacity
        self._settlement = parts.settlement
        self._dispatcher = parts.dispatcher
        self._overflow = parts.overflow
        self._intake = intake
        self._decode: Callable[[bytes | msgspec.Raw], list[Message[Any]]] | None = None

    # ---- checks

    async def check(self, messages: Sequence[Message[Any]], kind: int) -> list[Part]:
        """Check messages of the daemon.

        Raises:
            UsageError: the actor does not handle one of them, or a field has the wrong type; which one, is in the text.
            ActorStopped: the actor is down for good, or drains.
        """
        parts: list[Part] = []
        self._intake.check_sender(this_call(messages))
        trace = self._intake.current_trace
        together = self._together and not (trace is not None and is_sampled(trace))
        for start in range(0, len(messages), MAX_BULK):
            if start:
                await asyncio.sleep(0)
            chunk = messages[start : start + MAX_BULK]
            if together and self._joinable(chunk, kinds := set(map(type, chunk))):
                try:
                    data = encode(chunk)
                    self._read(data)
                    fits = self._sizes_fit(data)
                except Exception:  # the check of each says which, and what is wrong with it
                    fits = False
                if not fits:
                    parts += self._singly(chunk, start, kind)
                else:
                    handlers = {self._protocol.handlers[one] for one in kinds}
                    parts += self._parts(Parcel.of_array(len(chunk), data), start, handlers, trace)
            else:
                parts += self._singly(chunk, start, kind)
        return parts

    def readers(self, part: Part) -> list[Callable[[msgspec.Raw], Any]]:
        """The decoders of the replies to the messages of a part, in their order."""
        reader_of = self._intake.reader_of
        if isinstance(part.content, Admitted):
            return [reader_of(part.content.handler.reply)]
        if len(part.handlers) == 1:
            return [reader_of(next(iter(part.handlers)).reply)] * part.content.count
        read = [reader_of(handler.reply) for handler in self._handlers]
        return [read[self._classes.handler_of(payload)] for payload in part.content.payloads()]

    @property
    def _together(self) -> bool:
        """Whether messages may enter together: one queue takes all of them, and their bytes are not counted."""
        return self._consumers.shared_queue is not None and not self._capacity.weighed

    def _joinable(self, messages: Sequence[Message[Any]], kinds: set[type[Message[Any]]]) -> bool:
        """Whether messages, of these classes, may be encoded together: nothing travels beside one of them."""
        if not self._intake.joinable.keys() >= kinds:
            return False
        return not any(map(bytes_fields, kinds)) or not any(map(large_fields, messages))

    def _sizes_fit(self, data: bytes | msgspec.Raw) -> bool:
        """Whether no message of an encoded array is larger than allowed; the check of each says which is."""
        most = self._admission.max_message_bytes
        return memoryview(data).nbytes <= most or all(memoryview(one).nbytes <= most for one in cut_array(data))

    def _read(self, data: bytes | msgspec.Raw) -> list[Message[Any]]:
        if self._decode is None:
            self._decode = decoder_of(types.GenericAlias(list, (self._protocol.union,))).decode
        return self._decode(data)

    def _singly(self, messages: Sequence[Message[Any]], start: int, kind: int) -> Iterator[Part]:
        for index, message in enumerate(messages, start):
            try:
                yield self.check_one(index, message, kind)
            except UsageError as error:
                raise UsageError(f"message {index} of this call: {error}; none of them was sent") from None

    def check_one(self, index: int, message: Message[Any], kind: int) -> Part:
        """Check one message of a call by itself.

        Raises:
            UsageError, ActorStopped: as `check`.
        """
        admitted = self._intake.check(message, kind)
        self._intake.check_room(admitted)
        return Part(index, admitted, {admitted.handler})

    def check_bytes(
        self, messages: msgspec.Raw, kind: int, sender: str, trace: str | None = None, first: int = 0
    ) -> list[Part]:
        """Check encoded messages of another actor, by their classes; see `Admission.check_bytes`.

        Args:
            messages: as an array.
            kind: TELL or ASK.
            sender: path of the actor.
            trace: their trace context.
            first: the index of the first in its call.

        Raises:
            UsageError: the actor does not handle one of them, or one is too large; which one, is in the text.
            ActorStopped: the actor is down for good, or drains.
            WireError: they are no list, or have another length than may be.
        """
        self._intake.check_open("this call")
        if self._together and not (trace is not None and is_sampled(trace)):
            count, indices = self._classes.of_all(messages)
            handlers = {self._handlers[index] for index in indices if index != UNKNOWN}
            joinable = UNKNOWN not in indices and self._intake.joinable.keys() >= {one.message for one in handlers}
            if count and joinable and self._sizes_fit(messages):
                self._check_count(count)
                return list(self._parts(Parcel.of_array(count, bytes(messages)), 0, handlers, trace))
        try:
            singles = cut_array(messages)
        except msgspec.MsgspecError as error:
            raise WireError(f"the messages of one call are not a list: {error}") from error
        self._check_count(len(singles))
        parts = []
        for index, one in enumerate(singles):
            try:
                admitted = self._intake.check_bytes(one, kind, None, (), sender, trace)
            except UsageError as error:
                raise UsageError(f"message {first + index} of this call: {error}") from None
            parts.append(Part(index, admitted, {admitted.handler}))
        return parts

    @staticmethod
    def _check_count(count: int) -> None:
        if not 0 < count <= MAX_BULK:
            raise WireError(f"it sends {count} messages together, from 1 to {MAX_BULK} may be")

    def _parts(self, parcel: Parcel, start: int, handlers: set[Handler], trace: str | None) -> Iterator[Part]:
        """The messages of a parcel, in parts that fit into a frame; a large one enters by itself."""
        if len(parcel.body) <= WINDOW_BYTES:
            yield Part(start, parcel, handlers, trace)
        elif parcel.count == 1:
            admitted = self._one(parcel, trace)
            yield Part(start, admitted, {admitted.handler})
        else:
            half = parcel.count // 2
            first, rest = parcel.split(half)
            yield from self._parts(first, start, handlers, trace)
            yield from self._parts(rest, start + half, handlers, trace)

    def _one(self, parcel: Parcel, trace: str | None) -> Admitted:
        """The only message of a parcel."""
        (payload,) = parcel.payloads()
        handler = self._handlers[self._classes.handler_of(payload)]
        return Admitted(handler, EncodedMessage(bytes(payload)), trace=trace)

    def singles(self, parts: Iterable[Part]) -> Iterator[tuple[int, Admitted]]:
        """The messages of parts one by one, each with its index."""
        for part in parts:
            if isinstance(part.content, Admitted):
                yield part.index, part.content
            else:
                for index, payload in enumerate(part.content.payloads(), part.index):
                    handler = self._handlers[self._classes.handler_of(payload)]
                    yield index, Admitted(handler, EncodedMessage(bytes(payload)), trace=part.trace)

    # ---- the door

    async def post(self, parts: Sequence[Part], call: BulkCall) -> None:
        """Put checked messages into the mailbox, and wait for room where there is none.

        Raises:
            MailboxFull: a tell is refused; those before it were taken.
            ActorStopped: the actor went down for good; those counted in `call.taken` were taken.
            TimeoutError: there was no room until `call.deadline`.
        """
        for part in parts:
            if part.index:
                await asyncio.sleep(0)
            if isinstance(part.content, Admitted):
                await self._post_one(part.index, part.content, call)
            else:
                await self._post_parcel(part, part.content, call)

    async def _post_parcel(self, part: Part, parcel: Parcel, call: BulkCall) -> None:
        index = part.index
        while parcel.count:
            room = self._capacity.room
            if room <= 0 and self._overflow is not Overflow.WAIT:
                one, parcel = parcel.split(1)
                await self._post_one(index, self._one(one, part.trace), call)
                index += 1
                continue
            if room <= 0:
                await self._capacity.join().wait(call.deadline)
                room = max(1, self._capacity.room)  # one is granted, and all that is free when no other waits
            self._intake.check_open("the rest of this call")
            now, parcel = (parcel, NOTHING) if room >= parcel.count else parcel.split(room)
            self._enter(now, index, part, call)
            index += now.count

    async def _post_one(self, index: int, message: Admitted, call: BulkCall) -> None:
        self._intake.check_open(message.name)
        asker = None if call.asker is None else AskSlot(call.asker, index)
        entry = Entry(call.kind, message, call.sender, call.deadline, asker, call.fail_if_down)
        try:
            entered = self._intake.post(entry, Patience.WAIT)
            if isinstance(entered, Wait):
                entered = await entered.taken(call.deadline)
        except MailboxFull as error:
            if call.asker is None:
                raise
            call.asker.failed(index, error)
            return
        call.taken += 1
        if call.asker is not None and isinstance(entered, Taken):
            call.asker.sent(index, entered.seq, 1)

    def _enter(self, parcel: Parcel, index: int, part: Part, call: BulkCall) -> None:
        """Enqueue messages of a part for which there is room, and send them."""
        queue = self._consumers.shared_queue
        assert queue is not None  # noqa: S101 - as was checked
        count = parcel.count
        first = queue.enqueue_bulk(call.kind, call.sender, call.deadline, parcel, part.trace)
        call.taken += count
        if call.asker is not None:
            asks = AskPart(call.asker, index, first, count, call.asker.read_all(part.handlers))
            numbers = range(first, first + count)
            self._settlement.askers.update(dict.fromkeys(numbers, (asks, queue)))
            if call.fail_if_down:
                self._settlement.fail_if_down.update(numbers)
            call.asker.sent(index, first, count)
        self._dispatcher.dispatch()
        self._capacity.refresh()
