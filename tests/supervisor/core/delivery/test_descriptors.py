"""Values in shared memory: a consumer is given as many ahead as it has descriptors for, and the rest waits."""

from __future__ import annotations

import pytest

from actors.wire.framing import Attachment, SharedAttachment
from actors.wire.kinds import ASK, CANCELLED
from actors.wire.progress import Progress
from supervisor.core.delivery.messages import Classes
from supervisor.core.delivery.queue import MessageQueue

PLENTY = 1_000_000
CLASSES = Classes({"Once": 0, "Again": 1}, (False, True))


class Value(SharedAttachment):
    __slots__ = ()

    def __init__(self):
        super().__init__(PLENTY)

    @property
    def value(self):
        return bytes(self.size)


@pytest.fixture
def queue():
    """Of consumers that may have three values each."""
    return MessageQueue(CLASSES, most_descriptors=3)


def enqueue(queue, *values):
    for count in values:
        attachments = (*(Value() for _ in range(count)), Attachment(b"beside")) if count else None
        queue.enqueue(ASK, 1, None, None, b"\xc0", attachments=attachments)


def taken(queue, consumer="one"):
    """What a consumer is given until it can take nothing."""
    seqs = []
    while more := queue.take(consumer, 100, PLENTY)[0]:
        seqs += [message.seq for message in more]
    return seqs


def test_more_is_given_as_others_end(queue):
    """In order: what has no value does not overtake. One message is given whatever it has."""
    enqueue(queue, 2, 0, 1, 0, 1, 0, 5, 5)
    assert [1, 2, 3, 4] == taken(queue)
    assert 4 == queue.queued
    queue.finish("one", 2)
    assert [] == taken(queue)
    queue.finish("one", 3)
    assert [5, 6] == taken(queue)
    queue.finish_up_to("one", 6)
    assert [7] == taken(queue)
    queue.finish("one", 7)
    assert [8] == taken(queue)
    assert 1 == queue.unsettled


def test_each_consumer_has_its_own(queue):
    """Of one queue."""
    enqueue(queue, 3, 3, 3)
    assert [1] == taken(queue)
    assert [2] == taken(queue, "two")
    assert [] == taken(queue)
    queue.finish("two", 2)
    assert [] == taken(queue)
    assert [3] == taken(queue, "two")


def test_after_a_death_the_next_life_has_none(queue):
    """What comes back is given again."""
    enqueue(queue, 3, 3)
    assert [1] == taken(queue)
    queue.lose("one", Progress(1, frozenset({1}), 0, 0))
    assert [1] == taken(queue)
    queue.finish("one", 1)
    assert [2] == taken(queue)


def test_what_a_member_gives_back_takes_none(queue):
    """Nor does what it was asked for and reports as skipped."""
    enqueue(queue, 1, 1, 1, 1)
    assert [1, 2, 3] == taken(queue)
    queue.flights.of("one").ask_back(2)
    assert queue.flights.came_back("one", 3, CANCELLED)
    assert [4] == taken(queue)  # the third, with a higher delivery tag
    queue.flights.of("one").ask_back(2)
    queue.flights.take_over("one")
    assert [5] == taken(queue)
    assert [4] == taken(queue, "two")
