"""Settlement: the ends of one mailbox's messages, by what its lives report and by what is known after their deaths.

Each message ends with one fate, counted once, and its asker gets one result. An impossible report is a WireError,
which ends that life only.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NoReturn, cast

import msgspec

from actors.errors import ActorCrashed, UndecodableMessage, WireError
from actors.exits import ExitReport
from actors.jobs.jobs import shown
from actors.messages import Message
from actors.protocol.protocol import ActorProtocol
from actors.wire import kinds
from actors.wire.attachments import decode_sharing, fill
from actors.wire.framing import Carried
from actors.wire.from_child import Natural, Outcome, Replies
from actors.wire.kinds import FEED, STREAM
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.in_flight import Acknowledged
from supervisor.core.delivery.losses import LostMessage
from supervisor.core.delivery.messages import UNKNOWN, QueuedMessage, tag_of
from supervisor.core.delivery.outcomes import (
    crashed,
    error_of,
    fate_of,
    item_lost,
    payload_of,
    reply_lost,
    too_late,
)
from supervisor.core.delivery.queue import MessageQueue
from supervisor.mailbox.askers import Asker, FeedSource, PendingAsk, StreamSink
from supervisor.mailbox.many import AskPart
from supervisor.observe.dead_letters import DeadLetter, DeadReason

_HANDLED: Final = Fate.HANDLED
_cut: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class Settlement:
    """The ends of one mailbox's messages, and the askers that wait for them.

    Args:
        path: the actor's path.
        protocol: what it handles.
        decode: decodes a message, with its refs bound.
        stop_reason: the fate of messages when the actor stops now.
        on_dead_letter: called with each dead letter.

    Attributes:
        path: as above.
        fates: how many messages ended in which way.
        askers: what waits for the end of a message, by its number, and the queue that has the message.
        fail_if_down: numbers of asks that end when no life serves them.
        on_dropped: called with the number of a message that has ended without an outcome of a life, and its fate.
        count_values: makes the values in shared memory of a reply or an item count, until they are gone.
        on_tells: called with the first and last numbers of tells that were handled together; None where all that is
            done about them is to count them.
    """

    def __init__(
        self,
        path: str,
        protocol: ActorProtocol,
        decode: Callable[[msgspec.Raw], Message[Any]],
        stop_reason: Callable[[], Fate],
        on_dead_letter: Callable[[DeadLetter], None],
    ) -> None:
        self.fates: Counter[Fate] = Counter()
        self.askers: dict[int, tuple[Asker | AskPart, MessageQueue]] = {}
        self.fail_if_down: set[int] = set()
        self.on_dropped: Callable[[int, Fate], None] | None = None
        self.on_tells: Callable[[list[tuple[int, int]]], None] | None = None
        self.count_values: Callable[[Sequence[Carried]], Sequence[Carried]] = list
        self.path = path
        self._handlers = tuple(protocol.handlers.values())
        self._decode = decode
        self._stop_reason = stop_reason
        self._dead = on_dead_letter

    def on_outcomes(
        self, queue: MessageQueue, member: str, outcomes: Sequence[Outcome], attachments: Sequence[Carried]
    ) -> None:
        """A life reports how messages ended that it took from a queue; see `Dispatcher.on_outcomes`."""
        flight = queue.flights.by_consumer.get(member)
        if flight is not None and flight.batches:
            outcomes = self._answered_together(queue, member, outcomes)
        for outcome in outcomes:
            message = queue.finish(member, outcome.seq) if outcome.kind == kinds.REPLY else None
            if message is not None:
                self.replied(message, outcome.payload)
            else:
                self._hear(queue, member, outcome, attachments)

    def _answered_together(self, queue: MessageQueue, member: str, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """End the asks at the head that travelled together and are answered in order; returns the rest."""
        first, count = outcomes[0].seq, 0
        for outcome in outcomes:
            if outcome.kind != kinds.REPLY or outcome.seq != first + count:
                break
            count += 1
        if not queue.finish_replied(member, first, count):
            return outcomes
        self.fates[_HANDLED] += count
        self._answer_all(outcomes[:count])
        return outcomes[count:]

    def on_replies(self, queue: MessageQueue, member: str, frame: Replies) -> None:
        """A life reports the replies to consecutive asks of a batch.

        Raises:
            WireError: it was not given these asks, or they have another number of replies.
            UndecodableMessage: a reply does not decode.
        """
        first, count = frame.first, frame.count
        part, _ = self.askers.get(first, (None, None))
        if isinstance(part, AskPart) and part.covers(first, count):
            values = part.read(frame.replies, count)
            if values is not None and queue.finish_replied(member, first, count):
                self.fates[_HANDLED] += count
                self._forget(range(first, first + count))
                part.replied_with(first, values)
                return
        try:
            replies = _cut(frame.replies)
        except msgspec.MsgspecError as error:
            raise WireError(f"the replies to message {first} and those after it are not a list: {error}") from error
        if len(replies) != count:
            raise WireError(f"it announces {count} replies and sends {len(replies)}")
        for seq, payload in enumerate(replies, first):
            message = queue.finish(member, seq)
            if message is None:
                raise WireError(f"it answered message {seq}, which it does not have")
            self.replied(message, payload)

    def _forget(self, seqs: range) -> None:
        """Drop the askers of these messages."""
        askers = self.askers
        for seq in seqs:
            del askers[seq]
        if self.fail_if_down:
            self.fail_if_down.difference_update(seqs)

    def acknowledged(self, acknowledged: Acknowledged) -> None:
        """A life acknowledges messages outside of batches of tells; those that were wanted are counted.

        Raises:
            WireError: an ask among them was not answered.
        """
        for fate in acknowledged.unwanted:
            self.count(fate)
        if self.askers and not self.askers.keys().isdisjoint(acknowledged.outside):
            self._never_answered(acknowledged.outside)

    def lost(self, loss: LostMessage, report: ExitReport) -> None:
        """Record the fate of a message in flight at a death; requeued messages have none yet."""
        if loss.fate is None:
            return
        message = loss.message
        asker, _ = self.dismiss(message.seq)
        if loss.fate in (Fate.CRASHED, Fate.POISON):
            self.dead_letter(message, loss.fate, str(report.reason), loss.deliveries)
        else:
            self.count(loss.fate)
        if asker is not None:
            asker.failed(crashed(self.path, self.name_of(message), loss, report))

    def expired(self, message: QueuedMessage) -> None:
        """A message was not begun before its deadline."""
        self._drop(message.seq, Fate.EXPIRED)
        asker, _ = self.dismiss(message.seq)
        if asker is not None:
            asker.failed(too_late(self.path))

    def withdrawn(self, seq: int, fate: Fate) -> None:
        """A message that was queued ended, because its asker no longer waits."""
        self._drop(seq, fate)

    def moved(self, seq: int, queue: MessageQueue) -> None:
        """A message is in another queue now."""
        if seq in self.askers:
            self.askers[seq] = self.askers[seq][0], queue

    def dismiss(self, seq: int) -> tuple[Asker, MessageQueue] | tuple[None, None]:
        """Remove and return the asker of a message, and the queue that has it."""
        self.fail_if_down.discard(seq)
        asker, queue = self.askers.pop(seq, (None, None))
        if queue is None or asker is None:
            return None, None
        return (asker.at(seq) if isinstance(asker, AskPart) else asker), queue

    def name_of(self, message: QueuedMessage) -> str:
        """How reports name a message; one that is not one of the actor's as it names itself."""
        if message.handler == UNKNOWN:
            return tag_of(message.message)
        return shown(self._handlers[message.handler].message, message.message)

    def dead_letter(self, message: QueuedMessage, fate: Fate, detail: str, deliveries: int = 0) -> None:
        """Make a dead letter of a message; one that does not decode here has its name only."""
        self._drop(message.seq, fate)
        try:
            content = self._content(message)
        except Exception:  # it may be dead because it does not decode, or its codec works no more
            content = None
        self._dead(
            DeadLetter(
                actor=self.path,
                message=content,
                message_type=self.name_of(message),
                sender=message.sender,
                reason=DeadReason(fate),
                detail=detail,
                deliveries=deliveries,
            )
        )

    def _content(self, message: QueuedMessage) -> Message[Any] | None:
        if message.attachments is None:
            return self._decode(message.message)
        content = decode_sharing(self._decode, message.message, message.attachments)
        fill(content, message.beside or (), message.attachments)
        return content

    def _drop(self, seq: int, fate: Fate) -> None:
        self.count(fate)
        if self.on_dropped is not None:
            self.on_dropped(seq, fate)

    def count(self, fate: Fate) -> None:
        """Count a fate."""
        self.fates[fate] += 1

    def _hear(self, queue: MessageQueue, member: str, outcome: Outcome, attachments: Sequence[Carried]) -> None:
        """Handle an outcome that is not a plain reply."""
        if outcome.kind in (*kinds.ITEMS, kinds.WANT):
            self._flows(queue, member, outcome, attachments)
            return
        if queue.flights.came_back(member, outcome.seq, outcome.kind):
            return
        given_up = queue.flights.given_up(member, outcome.seq)
        message = queue.finish(member, outcome.seq)
        if message is None:
            raise WireError(f"it answered message {outcome.seq}, which it does not have")
        if outcome.kind not in (kinds.BESIDE, kinds.SHARED_REPLY):
            self.ended(message, outcome, given_up)
        elif lost := reply_lost(self.name_of(message), self.path, attachments):
            self.unanswered(message, lost)
        elif outcome.kind == kinds.BESIDE:
            beside = self.count_values(attachments)
            self.replied_beside(message, beside[0] if len(beside) == 1 else None)
        else:
            decode_sharing(partial(self.replied, message), outcome.payload, self.count_values(attachments))

    def replied(self, message: QueuedMessage, payload: msgspec.Raw) -> None:
        """The common end of an ask."""
        self.fates[_HANDLED] += 1
        self._answer(message.seq, payload)

    def _answer_all(self, outcomes: Sequence[Outcome]) -> None:
        """Give askers their replies; one that does not decode keeps no other from its asker."""
        askers, broken = self.askers, None
        for outcome in outcomes:
            seq = outcome.seq
            asker, _ = askers.get(seq, (None, None))
            try:
                if type(asker) is PendingAsk and not self.fail_if_down and not asker.future.done():
                    asker.future.set_result(asker.read(outcome.payload))
                    del askers[seq]
                else:
                    self._answer(seq, outcome.payload)
            except Exception:
                try:
                    self._answer(seq, outcome.payload)
                except UndecodableMessage as error:
                    broken = broken or error
        if broken is not None:
            raise broken

    def _answer(self, seq: int, payload: msgspec.Raw) -> None:
        asker, _ = self.askers.pop(seq, (None, None))
        if asker is None:
            return
        if isinstance(asker, AskPart):
            asker = asker.at(seq)
        if self.fail_if_down:
            self.fail_if_down.discard(seq)
        try:
            asker.replied(payload)
        except Exception as error:  # bytes that are not UTF-8, or an exception of a user's codec
            self._broken_reply(asker, f"a reply does not decode: {error}", error)

    def replied_beside(self, message: QueuedMessage, attachment: Carried | None) -> None:
        """The end of an ask whose reply is large: the bytes of an attachment."""
        self.fates[_HANDLED] += 1
        asker, _ = self.dismiss(message.seq)
        if attachment is None or self._handlers[message.handler].reply.promised is not bytes:
            self._broken_reply(asker, "a reply should come as an attachment, and does not")
        elif asker is not None:
            asker.replied_beside(attachment)

    def unanswered(self, message: QueuedMessage, lost: ActorCrashed) -> None:
        """The message was handled, and its reply is lost."""
        self.count(Fate.HANDLED_UNANSWERED)
        asker, _ = self.dismiss(message.seq)
        if asker is not None:
            asker.failed(lost)

    def _broken_reply(self, asker: Asker | None, why: str, cause: Exception | None = None) -> NoReturn:
        error = UndecodableMessage(why)
        if asker is not None:
            asker.failed(ActorCrashed(f"{self.path}: {error}", started=True, finished=True))
        raise error from cause

    def _flows(self, queue: MessageQueue, member: str, outcome: Outcome, attachments: Sequence[Carried]) -> None:
        message = queue.flights.of(member).messages.get(outcome.seq)
        if message is None or message.kind != (FEED if outcome.kind == kinds.WANT else STREAM):
            raise WireError(f"it streams for message {outcome.seq}, which is not a stream it has")
        asker, _ = self.askers.get(message.seq, (None, None))
        if asker is None:
            return  # the reader has gone; the cancellation is on its way
        if outcome.kind == kinds.WANT:
            cast("FeedSource", asker).wants(payload_of(outcome, Natural))
            return
        if outcome.kind == kinds.SHARED_ITEM and (lost := item_lost(self.name_of(message), self.path, attachments)):
            cast("StreamSink", asker).broken(lost)
            return
        try:
            counted = self.count_values(attachments) if attachments else ()
            decode_sharing(cast("StreamSink", asker).item, outcome.payload, counted)
        except WireError:
            raise
        except Exception as error:
            raise UndecodableMessage(f"an item of message {message.seq} does not decode: {error}") from error

    def _never_answered(self, told: list[int]) -> None:
        """A life acknowledged asks without answering them: the askers get an error, the life ends."""
        error = WireError("it ended an ask without an answer")
        for seq in told:
            asker, _ = self.dismiss(seq)
            if asker is not None:
                asker.failed(ActorCrashed(f"{self.path}: {error}", started=True, finished=None))
        raise error

    def ended(self, message: QueuedMessage, outcome: Outcome, given_up: Fate | None) -> None:
        """An outcome that is no reply: count its fate, and tell the asker."""
        asker, _ = self.dismiss(message.seq)
        try:
            fate = fate_of(message, outcome, asked=asker is not None)
            error = error_of(self.path, outcome)
        except WireError as wrong:
            self.dead_letter(message, Fate.CRASHED, str(wrong))
            if asker is not None:
                asker.failed(ActorCrashed(f"{self.path}: {wrong}", started=None, finished=None))
            raise
        if outcome.kind == kinds.UNDECODABLE:
            self.dead_letter(message, Fate.UNDECODABLE, str(error))
        elif outcome.kind == kinds.STOPPED and asker is not None:
            self.dead_letter(message, self._stop_reason(), str(error), 1)
        else:
            self.count(given_up if given_up is not None and fate is Fate.CANCELLED else fate)
        if asker is not None and error is not None:
            asker.failed(error)
