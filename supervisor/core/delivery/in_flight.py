"""InFlight: the messages that one consumer has, by delivery tag.

Pure.
"""

from __future__ import annotations

from collections import deque

from supervisor.core.delivery.messages import QueuedMessage, QueuedTells


class InFlight:
    """What one consumer has.

    Attributes:
        posted: messages by delivery tag, in the order of tags.
        runs: batches of tells; there the delivery tag is the sequence number.
        count: how many messages both have.
        given: how many messages the consumer was ever given.
        last_tag: the highest delivery tag so far.
        asked: tags that the consumer was asked to give back.
        returned: tags of messages that are queued again, which the consumer has not confirmed yet.
    """

    __slots__ = ("asked", "count", "given", "last_tag", "posted", "returned", "runs")

    def __init__(self) -> None:
        self.posted: dict[int, QueuedMessage] = {}
        self.runs: deque[QueuedTells] = deque()
        self.count = 0
        self.given = 0
        self.last_tag = 0
        self.asked: set[int] = set()
        self.returned: set[int] = set()

    def take_out(self, seq: int) -> QueuedMessage | None:
        """Take one message out of the batch that has it; None when none has."""
        runs = self.runs
        for index, run in enumerate(runs):
            if run.seq <= seq < run.seq + len(run):
                rest = run.split(seq - run.seq)
                after = rest.split(1)
                runs.remove(run)
                for piece in (after, run):
                    if piece:
                        runs.insert(index, piece)
                return next(rest.posted())
        return None

    def take_up_to(self, delivery_tag: int) -> list[int]:
        """Take out all single messages up to a delivery tag; their sequence numbers."""
        posted = self.posted
        tags = []
        for tag in posted:
            if tag > delivery_tag:
                break
            tags.append(tag)
        over = [posted.pop(tag).seq for tag in tags]
        if not posted:
            posted.clear()  # a dict keeps the gaps of removed keys, and the next walk steps over them
        return over

    def tag_of(self, seq: int) -> int | None:
        """The delivery tag of a single message, None when it is not here; mostly it is the sequence number."""
        message = self.posted.get(seq)
        if message is not None and message.seq == seq:
            return seq
        return next((tag for tag, held in self.posted.items() if held.seq == seq), None)
