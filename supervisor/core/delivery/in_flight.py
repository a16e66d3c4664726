"""InFlight: the messages that one consumer has, by delivery tag; Flights: those of all consumers of one queue.

Pure.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from actors.wire.kinds import ASK, CANCELLED, EXPIRED, FEED, STREAM, TELL, UNDECODABLE
from actors.wire.progress import Progress
from supervisor.core.delivery.backlog import Backlog
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.messages import Batch, QueuedMessage


class Acknowledged(NamedTuple):
    """What one acknowledgement of a life ends.

    Attributes:
        handled: how many messages were wanted.
        outside: the sequence numbers of those that are in no batch of tells.
        unwanted: the fates of the others.
        batches: first and last sequence number of those in batches of tells.
    """

    handled: int
    outside: list[int]
    unwanted: list[Fate]
    batches: list[tuple[int, int]]


NOTHING_NEW: Final = Acknowledged(0, [], [], [])


class InFlight:
    """What one consumer has.

    Args:
        unwanted: the messages that were cancelled, by sequence number.

    Attributes:
        messages: those outside of batches, by delivery tag, in the order of tags.
        batches: messages that were sent together; there the delivery tag is the sequence number.
        count: how many messages both have.
        given: how many messages the consumer was ever given.
        last_tag: the highest delivery tag so far.
        descriptors: of messages that have values in shared memory: how many each takes, by delivery tag.
        asked: tags that the consumer was asked to give back.
        returned: tags of messages that are queued again, which the consumer has not confirmed yet.
    """

    __slots__ = ("asked", "batches", "count", "descriptors", "given", "last_tag", "messages", "returned", "unwanted")

    def __init__(self, unwanted: Collection[int]) -> None:
        self.unwanted = unwanted
        self.messages: dict[int, QueuedMessage] = {}
        self.batches: deque[Batch] = deque()
        self.count = 0
        self.given = 0
        self.last_tag = 0
        self.descriptors: dict[int, int] = {}
        self.asked: set[int] = set()
        self.returned: set[int] = set()

    @property
    def handled(self) -> int:
        """How many messages have ended."""
        return self.given - self.count

    @property
    def flowing(self) -> bool:
        """Whether a stream or a feed is in flight."""
        return any(message.kind in (STREAM, FEED) for message in self.messages.values())

    def all(self) -> Iterator[tuple[int, QueuedMessage]]:
        """Everything in flight, by delivery tag."""
        tells = ((message.seq, message) for batch in self.batches for message in batch.messages())
        return heapq.merge(self.messages.items(), tells, key=_tag)

    def takes(self, message: QueuedMessage, most: int) -> bool:
        """Whether the consumer may have the values of this message, too, if it may have so many; one message always."""
        return not self.descriptors or sum(self.descriptors.values()) + message.descriptors <= most

    def give(self, message: QueuedMessage) -> QueuedMessage:
        """The consumer gets this message, too; returns it with its delivery tag in place of its sequence number."""
        delivery_tag = self.last_tag = max(message.seq, self.last_tag + 1)
        if message.attachments is not None and (descriptors := message.descriptors):
            self.descriptors[delivery_tag] = descriptors
        self.messages[delivery_tag] = message
        self.count += 1
        self.given += 1
        return message if delivery_tag == message.seq else msgspec.structs.replace(message, seq=delivery_tag)

    def take_replied(self, first: int, count: int) -> bool:
        """Take out so many asks of batches from the first one on; False, and nothing is done, if that is not all."""
        over, left = 0, count
        for batch in self.batches:
            if batch.seq != first or batch.kind != ASK:
                return False
            if len(batch) > left:
                break
            over, left, first = over + 1, left - len(batch), first + len(batch)
            if not left:
                break
        else:
            return False
        for _ in range(over):
            self.batches.popleft()
        if left:
            self.batches[0].drop(left)
        self.count -= count
        return True

    def ask_back(self, begun: int) -> list[int]:
        """The delivery tags to ask a life to give back: those it has not begun. They stay in flight until it does.

        Asks that were sent together are asked for one by one; tells that were are handled in one go.

        Args:
            begun: the highest delivery tag it has begun.
        """
        asks = [batch for batch in self.batches if batch.kind == ASK]
        if asks:
            self.batches = deque(batch for batch in self.batches if batch.kind != ASK)
            apart = ((message.seq, message) for batch in asks for message in batch.messages())
            self.messages = dict(heapq.merge(self.messages.items(), apart, key=_tag))
        self.asked = {
            delivery_tag
            for delivery_tag, message in self.messages.items()
            if delivery_tag > begun and message.seq not in self.unwanted
        }
        return sorted(self.asked)

    def take_asked(self) -> list[QueuedMessage]:
        """Take out what it was asked to give back, and certainly does not begin."""
        tags = self.asked & self.messages.keys()
        self.asked = set()
        self.returned |= tags
        return self._take(tags)

    def take_returned(self, delivery_tag: int, outcome: int) -> list[QueuedMessage] | None:
        """Take out a message that an outcome returns; none when it was taken before, None when it returns nothing."""
        if outcome not in (CANCELLED, EXPIRED, UNDECODABLE):
            return None
        if delivery_tag in self.returned:
            self.returned.discard(delivery_tag)
            return []
        message = self.messages.get(delivery_tag)
        asked = outcome == CANCELLED and delivery_tag in self.asked
        if message is None or not asked or message.seq in self.unwanted:
            return None
        return self._take({delivery_tag})

    def at(self, delivery_tag: int) -> QueuedMessage | None:
        """The message with that tag, None when it is not here; to look at."""
        message = self.messages.get(delivery_tag)
        if message is None and self.batches:
            batches = (one for one in self.batches if one.seq <= delivery_tag < one.seq + len(one))
            message = next((one for batch in batches for one in batch.messages() if one.seq == delivery_tag), None)
        return message

    def number_of(self, delivery_tag: int) -> int | None:
        """The sequence number of the message with that tag, None when it is not here."""
        message = self.messages.get(delivery_tag)
        if message is not None:
            return message.seq
        return delivery_tag if self.in_batch(delivery_tag) else None

    def in_batch(self, delivery_tag: int) -> bool:
        """Whether a batch has that message."""
        return any(batch.seq <= delivery_tag < batch.seq + len(batch) for batch in self.batches)

    def take_out(self, seq: int) -> QueuedMessage | None:
        """Take one message out of the batch that has it; None when none has."""
        batches = self.batches
        for index, batch in enumerate(batches):
            if batch.seq <= seq < batch.seq + len(batch):
                rest = batch.split(seq - batch.seq)
                after = rest.split(1)
                batches.remove(batch)
                for piece in (after, batch):
                    if piece:
                        batches.insert(index, piece)
                return next(rest.messages())
        return None

    def take_unbegun(self, progress: Progress | None) -> list[Batch]:
        """Take out the batches that a dead life had not begun, and the rest of the one that it had.

        They may have thousands of messages, and nothing has happened to one of them. None are taken out where each has
        to be looked at: one was being decoded, or is cancelled.

        Args:
            progress: what its black box says; None when it cannot be read.
        """
        unbegun: list[Batch] = []
        if progress is None or progress.decoding or self.unwanted:
            return unbegun
        begun = progress.begun
        while self.batches and self.batches[-1].seq > begun:
            unbegun.append(self.batches.pop())
        if self.batches and begun < (last := self.batches[-1]).seq + len(last) - 1:
            unbegun.append(last.split(begun - last.seq + 1))
        return unbegun

    def take_up_to(self, delivery_tag: int) -> list[int]:
        """Take out all single messages up to a delivery tag; their sequence numbers."""
        messages = self.messages
        tags = []
        for tag in messages:
            if tag > delivery_tag:
                break
            tags.append(tag)
        over = [messages.pop(tag).seq for tag in tags]
        if self.descriptors:
            self._let_go(tags)
        if not messages:
            messages.clear()  # a dict keeps the gaps of removed keys, and the next walk steps over them
        return over

    def unanswered(self, delivery_tag: int, answered: Collection[int]) -> bool:
        """Whether an acknowledgement up to a delivery tag ends what wants an answer, other than what is answered."""
        for tag, message in self.messages.items():
            if tag > delivery_tag:
                break
            if message.kind != TELL and tag not in answered:
                return True
        return False

    def tag_of(self, seq: int) -> int | None:
        """The delivery tag of a message, None when it is not here; mostly it is the sequence number."""
        message = self.messages.get(seq)
        if message is not None and message.seq == seq:
            return seq
        if any(batch.seq <= seq < batch.seq + len(batch) for batch in self.batches):
            return seq
        return next((tag for tag, held in self.messages.items() if held.seq == seq), None)

    def _take(self, tags: set[int]) -> list[QueuedMessage]:
        """Take messages out as if they had never been given."""
        self.count -= len(tags)
        self.given -= len(tags)
        if self.descriptors:
            self._let_go(tags)
        return [self.messages.pop(delivery_tag) for delivery_tag in tags]

    def _let_go(self, tags: Iterable[int]) -> None:
        """The consumer has the values of these messages no more."""
        for delivery_tag in tags:
            self.descriptors.pop(delivery_tag, None)


class Flights:
    """What the consumers of one queue have.

    Args:
        backlog: of the queue; what comes back waits there again.
        unwanted: the messages of the queue that were cancelled, by sequence number, and how they end.

    Attributes:
        by_consumer: what each has, of those that were ever given something.
    """

    def __init__(self, backlog: Backlog, unwanted: Mapping[int, Fate]) -> None:
        self.by_consumer: dict[str, InFlight] = {}
        self._backlog = backlog
        self._unwanted = unwanted

    def of(self, consumer: str) -> InFlight:
        """What a consumer has; to look at."""
        return self.by_consumer.get(consumer) or InFlight(self._unwanted)

    def open(self, consumer: str) -> InFlight:
        """What a consumer has, and gets from now on."""
        return self.by_consumer.setdefault(consumer, InFlight(self._unwanted))

    def count(self, consumer: str) -> int:
        """How many messages are in flight to a consumer."""
        flight = self.by_consumer.get(consumer)
        return 0 if flight is None else flight.count

    def messages(self) -> Iterator[QueuedMessage]:
        """Everything in flight."""
        return (message for flight in self.by_consumer.values() for _, message in flight.all())

    def holder(self, seq: int) -> tuple[str, int] | None:
        """The consumer that has a message, and its delivery tag there."""
        for consumer, flight in self.by_consumer.items():
            delivery_tag = flight.tag_of(seq)
            if delivery_tag is not None:
                return consumer, delivery_tag
        return None

    def given_up(self, consumer: str, delivery_tag: int) -> Fate | None:
        """The fate of a message in flight that was cancelled; None when it is wanted."""
        message = self.of(consumer).messages.get(delivery_tag)
        return self._unwanted.get(delivery_tag if message is None else message.seq)  # in a batch it is the number

    def resume(self, consumer: str, given: Mapping[int, int]) -> None:
        """A consumer of a daemon that died had these messages: they are in flight to it, as far as they wait here.

        Args:
            consumer: its name; nothing is in flight to it.
            given: the numbers of messages, by delivery tag.
        """
        waiting = {message.seq: message for message in self._backlog.waiting()}
        flight = self.open(consumer)
        for delivery_tag, seq in sorted(given.items()):
            message = waiting.pop(seq, None)
            if message is not None:
                flight.messages[delivery_tag] = message
                flight.count += 1
                flight.given += 1
                flight.last_tag = delivery_tag
        self._backlog.clear()
        self._backlog.put_back(list(waiting.values()))

    def take_over(self, consumer: str) -> None:
        """A life certainly does not begin what it was asked to give back: queue that again."""
        self._backlog.put_back(self.by_consumer[consumer].take_asked())

    def came_back(self, consumer: str, delivery_tag: int, outcome: int) -> bool:
        """Whether an outcome returns a message that the life was asked to give back; then it is queued again."""
        returned = self.of(consumer).take_returned(delivery_tag, outcome)
        self._backlog.put_back(returned or [])
        return returned is not None


def _tag(held: tuple[int, QueuedMessage]) -> int:
    return held[0]
