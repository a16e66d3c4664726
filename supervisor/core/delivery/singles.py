"""Singles: the messages of one queue, as far as each is treated by itself: what is entered, taken, cancelled, moved.

Pure.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import chain
from typing import Final

import msgspec

from actors.wire.framing import Carried
from supervisor.core.delivery.backlog import Backlog
from supervisor.core.delivery.byte_count import ByteCount
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.in_flight import Flights
from supervisor.core.delivery.losses import Attempts
from supervisor.core.delivery.messages import Classes, QueuedMessage, SequenceNumbers

UNBOUNDED: Final = 2**62  # more than any consumer has
_GAPS: Final = 64  # cancelled messages that may lie in the backlog before it is compacted


class Singles(ABC):
    """The part of a `MessageQueue` that treats each message by itself; it says what the arguments are.

    Attributes:
        flights: what is in flight, by consumer.
        attempts: how often lives that ended have begun the messages.
    """

    def __init__(
        self,
        classes: Classes,
        max_deliveries: int = 3,
        numbers: SequenceNumbers | None = None,
        *,
        weighed: bool = False,
        most_descriptors: int = UNBOUNDED,
    ) -> None:
        self._classes = classes
        self._most_descriptors = most_descriptors
        self._numbers = SequenceNumbers() if numbers is None else numbers
        self._unwanted: dict[int, Fate] = {}  # cancelled, and still queued or in flight; how they end
        self._backlog = Backlog(self._unwanted)
        self._tells: Final[list[bytes]] = []  # small ones that came after all that lies in the backlog; no numbers yet
        self._asks: list[bytes] = []  # as well, with numbers
        self.flights: Final = Flights(self._backlog, self._unwanted)
        self.attempts: Final = Attempts(classes, max_deliveries)
        self._flights = self.flights.by_consumer
        self._sizes = ByteCount() if weighed else None
        self._unsettled = 0  # without those that are not in the backlog yet

    @abstractmethod
    def _gather(self) -> None:
        """Let the tells and asks that came together lie in the backlog."""

    # ---- what is known

    @property
    def cancels(self) -> bool:
        """Whether messages were cancelled that are here, queued or in flight."""
        return bool(self._unwanted)

    @property
    def total_bytes(self) -> int:
        """How many bytes all messages have, 0 when they are not counted."""
        return 0 if self._sizes is None else self._sizes.total

    def kind_of(self, seq: int) -> int | None:
        """The kind of a message that waits here or is in flight, None when it is not here. Looks at all of them."""
        held = chain(self.flights.messages(), self.waiting())
        return next((message.kind for message in held if message.seq == seq), None)

    def waiting(self) -> list[QueuedMessage]:
        """What is queued and wanted, in order."""
        self._gather()
        return self._backlog.waiting()

    # ---- in

    def enqueue(
        self,
        kind: int,
        handler: int,
        sender: str | None,
        deadline: float | None,
        payload: bytes,
        *,
        beside: tuple[int, ...] | None = None,
        attachments: tuple[Carried, ...] | None = None,
        trace: str | None = None,
        key: bytes | None = None,
    ) -> int:
        """Append a message to the queue; returns its sequence number."""
        if self._tells or self._asks:
            self._gather()
        numbers = self._numbers
        seq = numbers.next
        numbers.next = seq + 1
        message = QueuedMessage(
            seq, kind, sender, deadline, msgspec.Raw(payload), beside, trace, attachments, handler, key
        )
        self._backlog.append(message)
        self._unsettled += 1
        if self._sizes is not None:
            self._sizes.add(seq, message.size)
        return seq

    def adopt(self, message: QueuedMessage, deliveries: int) -> None:
        """Add a message that another queue released, at its place by sequence number."""
        self._gather()
        self._backlog.insert(message)
        self._unsettled += 1
        if self._sizes is not None:
            self._sizes.add(message.seq, message.size)
        if deliveries:
            self.attempts.begun[message.seq] = deliveries

    # ---- to a consumer

    def take(
        self, consumer: str, most: int, most_bytes: int, now: float = 0.0
    ) -> tuple[list[QueuedMessage], list[QueuedMessage]]:
        """Take messages from the head of the queue for a consumer: the first, and more within both bounds.

        One with attachments is the last; it stays where the consumer has as many values as it may have.

        Returns what is to be sent, with delivery tags in place of sequence numbers; and what has ended because its
        deadline has passed. A batch of tells behind them stays; one at the head is taken apart.
        """
        if self._tells or self._asks:
            self._gather()
        flight = self._flights.get(consumer) or self.flights.open(consumer)
        backlog = self._backlog
        size = 0
        taken: list[QueuedMessage] = []
        expired: list[QueuedMessage] = []
        while len(taken) < most and size < most_bytes:
            if not taken:
                backlog.take_apart_head()
            message = backlog.pop()
            if message is None and not taken and backlog.count:
                continue  # cancelled ones were before a batch
            if message is None:
                break
            if message.deadline is not None and message.deadline < now:
                self._over(message.seq)
                expired.append(message)
                continue
            if message.attachments is not None and not flight.takes(message, self._most_descriptors):
                backlog.put_back((message,))  # until the consumer has ended others that have values
                break
            taken.append(flight.give(message))
            size += message.size
            if message.attachments is not None:
                break  # what belongs to a message comes before its frame
        return taken, expired

    # ---- ends

    def finish(self, consumer: str, delivery_tag: int) -> QueuedMessage | None:
        """One message of a consumer has ended; None when it had no such message."""
        flight = self._flights.get(consumer)
        if flight is None:
            return None
        message = flight.messages.pop(delivery_tag, None) or flight.take_out(delivery_tag)
        if message is not None:
            if flight.descriptors:
                flight.descriptors.pop(delivery_tag, None)
            flight.count -= 1
            self._over(message.seq)
        return message

    def cancel_message(self, seq: int, fate: Fate) -> tuple[str, int] | None:
        """Cancel a message that has not ended.

        Returns the consumer that has it and its delivery tag, None when it is queued.

        Args:
            seq: its number.
            fate: how it ends, unless a life handles it all the same.
        """
        holder = self.flights.holder(seq)
        if holder is None:
            self._gather()
            self._backlog.take_apart_at(seq)
            self._over(seq)
        self._unwanted[seq] = fate
        if holder is None and len(self._unwanted) > _GAPS and len(self._unwanted) * 2 > self._backlog.count:
            self._backlog.close_gaps()
        return holder

    def drop_oldest(self) -> QueuedMessage | None:
        """Remove the message that has waited longest; None when all are in flight."""
        self._gather()
        message = None
        while message is None and self._backlog.count:
            self._backlog.take_apart_head()
            message = self._backlog.pop()
        if message is not None:
            self._over(message.seq)
        return message

    def drain(self) -> list[QueuedMessage]:
        """Empty the queue; returns everything wanted, in order."""
        left = self.waiting()
        self._backlog.clear()
        for message in left:
            self._over(message.seq)
        return left

    def release(self) -> list[tuple[QueuedMessage, int]]:
        """Empty the queue for another one: everything wanted, in order, and how often it has been begun."""
        given = [(message, self.attempts.of(message.seq)) for message in self.waiting()]
        self.drain()
        return given

    # ---- inside

    def _over(self, seq: int) -> None:
        self._unsettled -= 1
        if self._unwanted:
            self._unwanted.pop(seq, None)
        attempts = self.attempts
        if attempts.begun:
            attempts.begun.pop(seq, None)
        if attempts.suspects:
            attempts.suspects.pop(seq, None)
        if self._sizes is not None:
            self._sizes.remove(seq)
