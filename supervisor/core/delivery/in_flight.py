"""InFlight: the messages that one consumer has, by delivery tag.

Pure.
"""

from __future__ import annotations

from collections import deque

from supervisor.core.delivery.messages import QueuedMessage, QueuedTells


class InFlight:
    """What one consumer has.

    Attributes:
        messages: those outside of batches, by delivery tag, in the order of tags.
        batches: batches of tells; there the delivery tag is the sequence number.
        count: how many messages both have.
        given: how many messages the consumer was ever given.
        last_tag: the highest delivery tag so far.
        asked: tags that the consumer was asked to give back.
        returned: tags of messages that are queued again, which the consumer has not confirmed yet.
    """

    __slots__ = ("asked", "batches", "count", "given", "last_tag", "messages", "returned")

    def __init__(self) -> None:
        self.messages: dict[int, QueuedMessage] = {}
        self.batches: deque[QueuedTells] = deque()
        self.count = 0
        self.given = 0
        self.last_tag = 0
        self.asked: set[int] = set()
        self.returned: set[int] = set()

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

    def take_up_to(self, delivery_tag: int) -> list[int]:
        """Take out all single messages up to a delivery tag; their sequence numbers."""
        messages = self.messages
        tags = []
        for tag in messages:
            if tag > delivery_tag:
                break
            tags.append(tag)
        over = [messages.pop(tag).seq for tag in tags]
        if not messages:
            messages.clear()  # a dict keeps the gaps of removed keys, and the next walk steps over them
        return over

    def tag_of(self, seq: int) -> int | None:
        """The delivery tag of a single message, None when it is not here; mostly it is the sequence number."""
        message = self.messages.get(seq)
        if message is not None and message.seq == seq:
            return seq
        return next((tag for tag, held in self.messages.items() if held.seq == seq), None)
