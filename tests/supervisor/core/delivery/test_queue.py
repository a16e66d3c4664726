"""Delivery: every message is in one place, and after every death its fate is the true one."""

from __future__ import annotations

from collections import deque

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.wire.kinds import ASK, CANCELLED, REPLY, TELL, UNDECODABLE
from actors.wire.progress import Progress
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.losses import blame
from supervisor.core.delivery.messages import Classes, QueuedMessage, SequenceNumbers
from supervisor.core.delivery.parcel import Parcel
from supervisor.core.delivery.queue import MessageQueue, QueuedTells
from tests.support.long import often

MOST = 3  # max_deliveries
PLENTY = 1_000_000


ONCE, AGAIN = 0, 1  # places of the two message classes: of the second, messages may be begun again
CLASSES = Classes({"Once": ONCE, "Again": AGAIN}, (False, True))


def payload(identity, handler=ONCE):
    """The bytes of a message."""
    return msgspec.msgpack.encode((("Once", "Again")[handler], identity))


def enqueue(delivery, count, kind=TELL, handler=ONCE):
    return [delivery.enqueue(kind, handler, None, None, b"\xc0") for _ in range(count)]


def take(delivery, life, most, most_bytes):
    """What a life is given, where nothing has a deadline."""
    taken, expired = delivery.take(life, most, most_bytes)
    assert [] == expired
    return taken


def seqs(posted):
    return [each.seq for each in posted]


def test_first_in_first_out():
    """Messages are numbered from 1 and leave as they came."""
    delivery = MessageQueue(CLASSES)
    assert [1, 2, 3] == enqueue(delivery, 3)
    assert [1, 2] == seqs(take(delivery, 7, 2, PLENTY))
    assert [3] == seqs(take(delivery, 7, 2, PLENTY))
    assert [] == take(delivery, 7, 2, PLENTY)
    assert (3, 0, 3) == (delivery.flights.count(7), delivery.queued, delivery.unsettled)


def test_a_batch_is_bounded_in_bytes():
    """The first message goes whatever its size; more only while there is room."""
    delivery = MessageQueue(CLASSES)
    for _ in range(3):
        delivery.enqueue(TELL, ONCE, None, None, bytes(100))
    assert [1] == seqs(take(delivery, 7, 10, 50))
    assert [2, 3] == seqs(take(delivery, 7, 10, 150))


def test_deadlines():
    """What was cancelled is not sent; it has ended."""
    delivery = MessageQueue(CLASSES)
    for deadline in (1.0, None, 3.0, 1.5):
        delivery.enqueue(ASK, ONCE, None, deadline, b"\xc0")
    taken, expired = delivery.take(7, 10, PLENTY, now=2.0)
    assert ([2, 3], [1, 4]) == (seqs(taken), seqs(expired))
    assert (2, 2, 0) == (delivery.unsettled, delivery.flights.count(7), delivery.queued)


def test_the_oldest_gives_way():
    """What waits longest and is wanted is dropped; what is in a life's hands is not."""
    delivery = MessageQueue(CLASSES)
    enqueue(delivery, 4)
    take(delivery, 7, 1, PLENTY)
    delivery.cancel_message(2, Fate.CANCELLED)
    assert 3 == delivery.drop_oldest().seq
    assert 4 == delivery.drop_oldest().seq
    assert delivery.drop_oldest() is None
    assert (1, 0) == (delivery.unsettled, delivery.queued)


def test_bytes_are_counted():
    """The sum of what is unsettled, wherever it is."""
    delivery = MessageQueue(CLASSES, weighed=True)
    for size in (10, 20, 30, 40):
        delivery.enqueue(TELL, ONCE, None, None, bytes(size))
    assert 100 == delivery.total_bytes
    take(delivery, 7, 2, PLENTY)
    delivery.finish(7, 1)
    delivery.cancel_message(3, Fate.CANCELLED)
    assert 60 == delivery.total_bytes
    delivery.lose(7, Progress(2, frozenset({2}), 0, 0))
    assert 40 == delivery.total_bytes
    delivery.drain()
    assert 0 == delivery.total_bytes


def test_finish_names_what_it_has():
    """A life is done with what it was given, once; anything else is None."""
    delivery = MessageQueue(CLASSES)
    enqueue(delivery, 2)
    take(delivery, 7, 1, PLENTY)
    assert 1 == delivery.finish(7, 1).seq
    assert delivery.finish(7, 1) is None
    assert delivery.finish(7, 2) is None
    assert delivery.finish(8, 1) is None
    assert 1 == delivery.unsettled


def test_finish_through():
    """Everything up to a number is over, and counted once."""
    delivery = MessageQueue(CLASSES)
    enqueue(delivery, 5)
    take(delivery, 7, 4, PLENTY)
    delivery.finish(7, 2)
    assert (2, [1, 3], [], []) == delivery.finish_up_to(7, 3)
    assert (0, [], [], []) == delivery.finish_up_to(7, 3)
    assert (1, [4], [], []) == delivery.finish_up_to(7, 99)
    assert (0, [], [], []) == delivery.finish_up_to(8, 99)
    assert (1, 0) == (delivery.unsettled, delivery.flights.count(7))


def test_a_run_of_tells():
    """Tells get their numbers together, travel together, and end together or one by one."""
    delivery = MessageQueue(CLASSES)
    a, b, c, d, f = map(payload, "abcdf")
    for tell in (a, b, c, d):
        delivery.accept_tell(tell)
    assert 5 == delivery.enqueue(ASK, ONCE, None, None, b"e")
    delivery.accept_tell(f)
    assert (6, 6) == (delivery.queued, delivery.unsettled)
    run = delivery.take_batch(7, 3)
    assert (1, [a, b, c]) == (run.seq, run.payloads)
    assert [4] == [posted.seq for posted in delivery.take_batch(7, 3).messages()]
    assert delivery.take_batch(7, 3) is None
    assert [5] == seqs(take(delivery, 7, 9, PLENTY))
    assert [6] == seqs(take(delivery, 7, 9, PLENTY))
    assert b == bytes(delivery.finish(7, 2).message)
    assert delivery.finish(7, 2) is None
    assert (2, [], [], [(1, 1), (3, 3)]) == delivery.finish_up_to(7, 3)
    assert (3, 3) == (delivery.flights.count(7), delivery.unsettled)
    losses = delivery.lose(7, Progress(5, frozenset({5}), 0, 0))
    assert [(4, Fate.HANDLED), (5, Fate.CRASHED), (6, None)] == [(loss.message.seq, loss.fate) for loss in losses]
    assert (1, 1) == (delivery.queued, delivery.unsettled)


@pytest.mark.parametrize(
    ("kind", "handler", "state", "fate"),
    [
        (TELL, ONCE, "unbegun", None),
        (TELL, ONCE, "active", Fate.CRASHED),
        (TELL, ONCE, "done", Fate.HANDLED),
        (TELL, AGAIN, "unbegun", None),
        (TELL, AGAIN, "active", None),
        (TELL, AGAIN, "done", Fate.HANDLED),
        (ASK, ONCE, "unbegun", None),
        (ASK, ONCE, "active", Fate.CRASHED),
        (ASK, ONCE, "done", Fate.HANDLED_UNANSWERED),
        (ASK, AGAIN, "unbegun", None),
        (ASK, AGAIN, "active", None),
        (ASK, AGAIN, "done", None),
        (TELL, ONCE, "unknown", Fate.CRASHED),
        (TELL, AGAIN, "unknown", None),
    ],
)
def test_the_fate_of_what_was_in_flight(kind, handler, state, fate):
    """The black box decides: unbegun goes on, active goes on only if it may, done is done."""
    progress = {
        "unbegun": Progress(0, frozenset(), 0, -1),
        "active": Progress(1, frozenset({1}), 0, 0),
        "done": Progress(1, frozenset(), 0, 0),
        "unknown": None,
    }[state]
    delivery = MessageQueue(CLASSES, MOST)
    enqueue(delivery, 1, kind, handler)
    take(delivery, 7, 1, PLENTY)
    (loss,) = delivery.lose(7, progress)
    known = None if progress is None else state != "unbegun"
    assert (fate, known, None if progress is None else state == "done") == (loss.fate, loss.started, loss.finished)
    assert (1 if fate is None else 0) == delivery.unsettled == delivery.queued


def test_a_black_box_that_says_what_cannot_be():
    """A message has begun that was never given: a wild write, so that nothing in it is known."""
    delivery = MessageQueue(CLASSES, MOST)
    enqueue(delivery, 2)
    take(delivery, 7, 2, PLENTY)
    losses = delivery.lose(7, Progress(2**64 - 1, frozenset(), 0, 0))
    assert [(Fate.CRASHED, None, None)] * 2 == [(loss.fate, loss.started, loss.finished) for loss in losses]


def test_poison():
    """What killed its actor so often is not delivered again."""
    delivery = MessageQueue(CLASSES, MOST)
    enqueue(delivery, 1, handler=AGAIN)
    for life in range(1, MOST):
        take(delivery, life, 1, PLENTY)
        (loss,) = delivery.lose(life, Progress(1, frozenset({1}), 0, 0))
        assert (None, life) == (loss.fate, loss.deliveries)
        assert life == delivery.attempts.of(1)
    take(delivery, MOST, 1, PLENTY)
    (loss,) = delivery.lose(MOST, Progress(1, frozenset({1}), 0, 0))
    assert (Fate.POISON, MOST) == (loss.fate, loss.deliveries)
    assert (0, 0) == (delivery.unsettled, delivery.attempts.of(1))


DECODING = Progress(0, frozenset(), 0, -1, decoding=True)


def test_one_message_that_was_being_decoded_counts_as_begun():
    """Alone with its life, it is the one; its class is known from the queue."""
    delivery = MessageQueue(CLASSES, MOST)
    enqueue(delivery, 1, ASK, AGAIN)
    take(delivery, 7, 1, PLENTY)
    blamed = blame(delivery.flights.of(7), DECODING)
    assert Progress(1, frozenset({1}), 0, AGAIN) == blamed
    (loss,) = delivery.lose(7, blamed)
    assert (None, True, False, 1) == (loss.fate, loss.started, loss.finished, loss.deliveries)


def test_several_messages_that_were_being_decoded_go_on_one_at_a_time():
    """Until each has ended; the guilty one answers for the first death, too."""
    delivery = MessageQueue(CLASSES, MOST)
    enqueue(delivery, 3, handler=AGAIN)
    take(delivery, 1, 3, PLENTY)
    assert DECODING == blame(delivery.flights.of(1), DECODING)
    assert [None] * 3 == [loss.fate for loss in delivery.lose(1, DECODING)]
    assert 1 == delivery.room(2, 100)
    assert [1] == seqs(take(delivery, 2, delivery.room(2, 100), PLENTY))
    assert 0 == delivery.room(2, 100)
    delivery.finish(2, 1)
    assert [2] == seqs(take(delivery, 2, delivery.room(2, 100), PLENTY))
    alone = Progress(1, frozenset(), 0, AGAIN, decoding=True)
    (loss,) = delivery.lose(2, blame(delivery.flights.of(2), alone))
    assert (None, 2) == (loss.fate, loss.deliveries)
    assert [2] == seqs(take(delivery, 3, delivery.room(3, 100), PLENTY))
    delivery.finish_up_to(3, 2)
    assert [3] == seqs(take(delivery, 3, delivery.room(3, 100), PLENTY))
    delivery.cancel_message(3, Fate.CANCELLED)
    delivery.finish_up_to(3, 3)
    assert 100 == delivery.room(3, 100)


def test_a_batch_of_tells_that_was_being_decoded():
    """Each of its messages is a suspect; those cancelled meanwhile are none."""
    delivery = MessageQueue(CLASSES, MOST)
    for number in range(2):
        delivery.accept_tell(payload(number))
    delivery.take_batch(1, 100)
    delivery.lose(1, DECODING)
    assert 1 == delivery.room(2, 100)
    assert None is delivery.take_batch(2, 1)
    assert [1] == seqs(take(delivery, 2, 1, PLENTY))


def test_what_comes_back_comes_back_in_order():
    """Behind what came back before it, ahead of what was never taken."""
    delivery = MessageQueue(CLASSES)
    enqueue(delivery, 6)
    take(delivery, 1, 2, PLENTY)
    take(delivery, 2, 2, PLENTY)
    nothing = Progress(0, frozenset(), 0, -1)
    delivery.lose(1, nothing)
    delivery.lose(2, nothing)
    assert [1, 2, 3, 4, 5, 6] == seqs(delivery.waiting())


def test_batches_that_had_not_begun_come_back_whole():
    """The rest of the one that was begun, too; ahead of what was never taken, and the next life gets them so."""
    delivery = MessageQueue(CLASSES)
    tells = [payload(number) for number in range(1, 7)]
    for tell in tells[:4]:
        delivery.accept_tell(tell)
    assert 4 == len(delivery.take_batch(7, 10))
    assert [5, 6] == [delivery.enqueue_ask(None, payload(number)) for number in (5, 6)]
    assert 2 == len(delivery.take_batch(7, 10))
    delivery.accept_tell(payload(7))
    losses = delivery.lose(7, Progress(2, frozenset({2}), 0, 0))
    assert [(1, Fate.HANDLED), (2, Fate.CRASHED)] == [(loss.message.seq, loss.fate) for loss in losses]
    assert (5, 5) == (delivery.queued, delivery.unsettled)
    assert [3, 4, 5, 6, 7] == seqs(delivery.waiting())
    assert tells[2:4] == delivery.take_batch(8, 10).payloads
    assert [5, 6] == [message.seq for message in delivery.take_batch(8, 10).messages()]
    delivery.cancel_message(4, Fate.CANCELLED)
    delivery.lose(8, Progress(0, frozenset(), 0, -1))  # one was cancelled: each is looked at
    assert [3, 5, 6, 7] == seqs(delivery.waiting())


def test_taken_back():
    """From the queue it is gone at once; from a life's hands it is the life's to drop."""
    delivery = MessageQueue(CLASSES)
    enqueue(delivery, 3)
    take(delivery, 7, 1, PLENTY)
    assert (7, 1) == delivery.cancel_message(1, Fate.EXPIRED)
    assert delivery.cancel_message(2, Fate.CANCELLED) is None
    assert 2 == delivery.unsettled
    assert [3] == seqs(take(delivery, 7, 5, PLENTY))
    assert {1: Fate.EXPIRED, 3: None} == {
        loss.message.seq: loss.fate for loss in delivery.lose(7, Progress(0, frozenset(), 0, -1))
    }


def test_asked_back():
    """What a life skipped is queued again in order; what will not begin is at once, and its outcome is no news."""
    delivery = MessageQueue(CLASSES)
    enqueue(delivery, 6)
    take(delivery, 7, 5, PLENTY)
    delivery.cancel_message(5, Fate.CANCELLED)
    assert [2, 3, 4] == delivery.flights.of(7).ask_back(1)
    assert not delivery.flights.came_back(7, 2, REPLY)
    assert delivery.flights.came_back(7, 3, CANCELLED)
    assert not delivery.flights.came_back(7, 5, CANCELLED), "the asker took that one back"
    delivery.flights.take_over(7)
    assert [2, 3, 4, 6] == seqs(delivery.waiting())
    assert (2, 4, 6) == (delivery.flights.count(7), delivery.queued, delivery.unsettled)
    assert [delivery.flights.came_back(7, 2, CANCELLED), delivery.flights.came_back(7, 4, UNDECODABLE)] == [True, True]


def test_asked_back_of_what_was_sent_together():
    """Asks come back one by one; tells that share a frame do not."""
    delivery = MessageQueue(CLASSES)
    delivery.enqueue_bulk(TELL, None, None, Parcel(2, None, [payload(1), payload(2)]))
    delivery.enqueue_bulk(ASK, None, None, Parcel(3, None, [payload(3), payload(4), payload(5)]))
    while delivery.queued:
        assert delivery.take_batch(7, 5) is not None
    flight = delivery.flights.of(7)
    assert [4, 5] == flight.ask_back(3)
    assert (3, 5, None) == (flight.number_of(3), flight.number_of(5), flight.number_of(6))
    assert delivery.flights.came_back(7, 4, CANCELLED)
    assert 5 == delivery.finish(7, 5).seq
    delivery.finish_up_to(7, 3)
    assert [4] == seqs(delivery.waiting())
    assert (0, 1) == (delivery.flights.count(7), delivery.unsettled)
    assert delivery.finish(7, 2) is None
    assert not delivery.flights.came_back(7, 1, CANCELLED)
    assert not delivery.flights.came_back(8, 1, CANCELLED)


def test_gaps_are_closed():
    """A queue of which most was taken back does not keep it."""
    delivery = MessageQueue(CLASSES)
    taken = enqueue(delivery, 1000)
    for seq in taken[:900]:
        delivery.cancel_message(seq, Fate.CANCELLED)
    assert delivery.queued < 300
    assert taken[900:] == seqs(delivery.waiting())
    assert 100 == delivery.unsettled


def test_asks_of_one_turn_travel_together():
    """Behind tells that came before; with those after them cut off; one that is cancelled leaves the batch."""
    delivery = MessageQueue(CLASSES)
    delivery.accept_tell(payload(1))
    asked = [delivery.enqueue_ask(None, payload(identity)) for identity in range(2, 6)]
    assert [2, 3, 4, 5] == asked
    delivery.accept_tell(payload(6))
    assert delivery.cancel_message(3, Fate.CANCELLED) is None
    assert [1, 2, 4, 5, 6] == seqs(delivery.waiting())
    assert 5 == delivery.unsettled
    assert [1] == seqs(delivery.take_batch(7, 10).messages())
    assert [2, 4, 5] == seqs(take(delivery, 7, 3, PLENTY))
    assert [6] == seqs(delivery.take_batch(7, 10).messages())


def test_replies_end_asks_of_several_batches():
    """In order, all or none of them; what is left of a batch is answered later."""
    delivery = MessageQueue(CLASSES)
    for size in (3, 2):
        for _ in range(size):
            delivery.enqueue_ask(None, payload(1))
        assert size == len(delivery.take_batch(7, 10))
    assert not delivery.finish_replied(7, 2, 1)
    assert not delivery.finish_replied(7, 1, 6)
    assert delivery.finish_replied(7, 1, 4)
    assert (1, 1) == (delivery.flights.count(7), delivery.unsettled)
    assert delivery.finish_replied(7, 5, 1)
    assert not delivery.finish_replied(7, 6, 1)
    assert 0 == delivery.unsettled


def test_drain():
    """Everything wanted that waits, once."""
    delivery = MessageQueue(CLASSES)
    enqueue(delivery, 4)
    take(delivery, 7, 1, PLENTY)
    delivery.cancel_message(3, Fate.CANCELLED)
    assert [2, 4] == seqs(delivery.drain())
    assert [] == delivery.drain()
    assert (1, 0) == (delivery.unsettled, delivery.queued)


def test_a_pool_member_that_gets_an_older_message_late():
    """A message that comes back from a dead member may follow a younger one in another's hands; it has not begun."""
    delivery = MessageQueue(CLASSES)
    enqueue(delivery, 2)
    take(delivery, 1, 1, PLENTY)
    child = Child(2, 1)
    child.handed += [(posted.seq, 2) for posted in take(delivery, 2, 1, PLENTY)]
    child.begin()
    delivery.lose(1, Progress(0, frozenset(), 0, -1))
    child.handed += [(posted.seq, 1) for posted in take(delivery, 2, 1, PLENTY)]
    child.done(0)
    younger, older = delivery.lose(2, child.progress())
    assert (Fate.HANDLED, None) == (younger.fate, older.fate)


def test_a_message_adopted_behind_a_batch_leaves_it_whole():
    """As an ask that a store has after many tells: they travel in one frame."""
    delivery = MessageQueue(CLASSES)
    delivery.adopt_batch(QueuedTells(1, [payload(1), payload(2), payload(3)], CLASSES))
    delivery.adopt(QueuedMessage(4, ASK, None, None, msgspec.Raw(payload(5))), 0)
    assert 3 == len(delivery.take_batch(7, 9))
    assert [4] == seqs(take(delivery, 7, 9, PLENTY))


def test_released_and_adopted():
    """What waits moves to another queue with its number and its history, and finds its place there."""
    numbers = SequenceNumbers()
    old, new = MessageQueue(CLASSES, MOST, numbers), MessageQueue(CLASSES, MOST, numbers)
    enqueue(old, 2, handler=AGAIN)
    enqueue(new, 1)
    enqueue(old, 2)
    take(old, 1, 1, PLENTY)
    old.lose(1, Progress(1, frozenset({1}), 0, 0))
    old.cancel_message(4, Fate.CANCELLED)
    for posted, deliveries in old.release():
        new.adopt(posted, deliveries)
    assert (0, 0, 4) == (old.unsettled, old.queued, new.unsettled)
    assert [1, 2, 3, 5] == seqs(new.waiting())
    assert (1, 0) == (new.attempts.of(1), new.attempts.of(2))


# ---- against a model


class Child:
    """What a process does with what it was given, and what its black box says; nothing is told unless asked."""

    def __init__(self, number, lanes):
        self.number = number
        self.handed = deque()  # (turn, identity)
        self.lanes = [[0, 0, None] for _ in range(lanes)]  # begun, done, identity
        self.untold = []  # over, not told: (turn, identity)
        self.ack_up_to = 0

    @property
    def free(self):
        return [at for at, (begun, done, _) in enumerate(self.lanes) if begun == done]

    @property
    def busy(self):
        return [at for at, (begun, done, _) in enumerate(self.lanes) if begun != done]

    def begin(self):
        wire, identity = self.handed.popleft()
        lane = self.free[0]
        self.lanes[lane] = [wire, self.lanes[lane][1], identity]
        return identity

    def done(self, lane):
        wire, _, identity = self.lanes[lane]
        self.lanes[lane][1] = wire
        self.untold.append((wire, identity))
        self.ack_up_to = wire
        return identity

    def progress(self):
        active = frozenset(begun for begun, done, _ in self.lanes if begun != done)
        return Progress(max(begun for begun, _, _ in self.lanes), active, 0, 0)


class Message:
    def __init__(self, kind, idempotent):
        self.kind = kind
        self.idempotent = idempotent
        self.begun = 0
        self.finished = 0
        self.cut = 0  # begun by a life that ended before its answer was out
        self.over = None  # its fate
        self.wanted = True
        self.told = False  # as one of a run: it cannot be taken back
        self.together = False  # an ask that may travel with others: then a life cannot be asked to give it back


class DeliveryModel(RuleBasedStateMachine):
    """One mailbox and the lives that serve it, one after another."""

    members = 1

    @initialize(lanes=st.integers(1, 3))
    def begin(self, lanes):
        self.delivery = MessageQueue(CLASSES, MOST)
        self.lanes = lanes
        self.messages = {}
        self.lives = {}
        self.first_begins = []
        self.next_life = 1
        for _ in range(self.members):
            self.live()

    def identity(self, posted):
        return msgspec.msgpack.decode(posted.message)[1]

    def end(self, identity, fate):
        message = self.messages[identity]
        assert message.over is None, f"{identity} has two fates: {message.over} and {fate}"
        message.over = fate

    @rule(kind=st.sampled_from([TELL, ASK]), idempotent=st.booleans(), count=st.integers(1, 4))
    def enqueue(self, kind, idempotent, count):
        for _ in range(count):
            identity = len(self.messages) + 1
            assert identity == self.delivery.enqueue(
                kind, int(idempotent), None, None, payload(identity, int(idempotent))
            )
            self.messages[identity] = Message(kind, idempotent)

    @rule(idempotent=st.booleans(), count=st.integers(1, 6))
    def tell(self, idempotent, count):
        """The way of the many: no number yet, and later a run."""
        for _ in range(count):
            identity = len(self.messages) + 1
            self.delivery.accept_tell(payload(identity, int(idempotent)))
            self.messages[identity] = Message(TELL, idempotent)
            self.messages[identity].told = True

    @rule(idempotent=st.booleans(), count=st.integers(1, 6), tells=st.integers(0, 2))
    def ask(self, idempotent, count, tells):
        """Small asks that may travel together, and what is told right after them."""
        for _ in range(count):
            identity = len(self.messages) + 1
            assert identity == self.delivery.enqueue_ask(None, payload(identity, int(idempotent)))
            self.messages[identity] = Message(ASK, idempotent)
            self.messages[identity].together = True
        if tells:
            self.tell(idempotent, tells)

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), most=st.integers(0, 5))
    def take_batch(self, data, most):
        child = data.draw(st.sampled_from(list(self.lives.values())))
        run = self.delivery.take_batch(child.number, most)
        if run is not None:
            assert 1 <= len(run) <= most
            child.handed += [(posted.seq, self.identity(posted)) for posted in run.messages()]

    @precondition(lambda self: len(self.lives) < self.members)
    @rule()
    def live(self):
        self.lives[self.next_life] = Child(self.next_life, self.lanes)
        self.next_life += 1

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), most=st.integers(1, 5))
    def take(self, data, most):
        child = data.draw(st.sampled_from(list(self.lives.values())))
        for posted in take(self.delivery, child.number, most, PLENTY):
            child.handed.append((posted.seq, self.identity(posted)))

    @precondition(lambda self: any(child.handed and child.free for child in self.lives.values()))
    @rule(data=st.data())
    def handler_begins(self, data):
        able = [child for child in self.lives.values() if child.handed and child.free]
        identity = data.draw(st.sampled_from(able)).begin()
        message = self.messages[identity]
        assert message.over is None
        message.begun += 1
        if message.begun == 1:
            self.first_begins.append(identity)
        assert message.idempotent or 1 == message.begun

    @precondition(lambda self: any(child.busy for child in self.lives.values()))
    @rule(data=st.data())
    def handler_ends(self, data):
        able = [child for child in self.lives.values() if child.busy]
        child = data.draw(st.sampled_from(able))
        self.messages[child.done(data.draw(st.sampled_from(child.busy)))].finished += 1

    @precondition(lambda self: any(child.untold for child in self.lives.values()))
    @rule(data=st.data())
    def child_tells(self, data):
        """As the runtimes do: items for answers, and `ack_up_to` when there is one lane."""
        able = [child for child in self.lives.values() if child.untold]
        child = data.draw(st.sampled_from(able))
        covered = []
        run = []
        for turn in child.untold:
            if self.messages[turn[1]].kind != ASK or (run and turn[0] != run[-1][0] + 1):
                break
            run.append(turn)
        if run and self.delivery.finish_replied(child.number, run[0][0], len(run)):
            for _, identity in run:
                self.end(identity, "told")
            del child.untold[: len(run)]
        for wire, identity in child.untold:
            if self.lanes > 1 or self.messages[identity].kind == ASK:
                assert self.delivery.finish(child.number, wire) is not None
                self.end(identity, "told")
            else:
                covered.append(identity)
        child.untold = []
        if self.lanes == 1:
            told, outside, unwanted, _ = self.delivery.finish_up_to(child.number, child.ack_up_to)
            assert len(covered) == told + len(unwanted)
            assert [identity for identity in covered if identity in outside] == outside
        for identity in covered:
            self.end(identity, "told")

    @precondition(lambda self: any(m.over is None and m.wanted and not m.told for m in self.messages.values()))
    @rule(data=st.data())
    def cancel_message(self, data):
        wanted = [identity for identity, m in self.messages.items() if m.over is None and m.wanted and not m.told]
        identity = data.draw(st.sampled_from(wanted))
        self.messages[identity].wanted = False
        held = self.delivery.cancel_message(identity, Fate.CANCELLED)
        holders = [
            (child.number, delivery_tag)
            for child in self.lives.values()
            for delivery_tag, its in self.turns(child)
            if its == identity
        ]
        assert ([] if held is None else [held]) == holders
        if held is None:
            self.end(identity, "taken back")

    @precondition(lambda self: self.lives)
    @rule(data=st.data())
    def kill(self, data):
        self.bury(self.lives.pop(data.draw(st.sampled_from(list(self.lives)))))

    def bury(self, child):
        active = {child.lanes[at][2] for at in child.busy}
        unbegun = {identity for _, identity in child.handed}
        done = {identity for _, identity in child.untold}
        losses = self.delivery.lose(child.number, child.progress())
        told = {self.identity(loss.message) for loss in losses}
        whole = (active | unbegun | done) - told  # batches that had not begun: they wait again, as `waiting` says
        assert told <= active | unbegun | done
        assert whole <= unbegun & {self.identity(posted) for posted in self.delivery.waiting()}
        for loss in losses:
            identity = self.identity(loss.message)
            message = self.messages[identity]
            assert (identity not in unbegun) == loss.started
            assert (identity in done) == loss.finished
            message.cut += identity not in unbegun
            if not message.wanted:
                expected = Fate.CANCELLED
            elif identity in unbegun:
                expected = None
            elif identity in done:
                again = message.idempotent and message.kind == ASK and message.cut < MOST
                answered = Fate.HANDLED if message.kind == TELL else Fate.HANDLED_UNANSWERED
                expected = None if again else answered
            elif message.idempotent:
                expected = None if message.cut < MOST else Fate.POISON
            else:
                expected = Fate.CRASHED
            assert expected is loss.fate
            assert message.cut == loss.deliveries
            assert message.cut <= MOST
            if expected is not None:
                self.end(identity, expected)

    def teardown(self):
        """The last lives end, and so does the mailbox: everything has its one fate."""
        if not hasattr(self, "delivery"):
            return
        for number in list(self.lives):
            self.bury(self.lives.pop(number))
        for posted in self.delivery.drain():
            self.end(self.identity(posted), "drained")
        assert 0 == self.delivery.unsettled == self.delivery.queued
        assert [] == [identity for identity, message in self.messages.items() if message.over is None]

    def turns(self, child):
        busy = [(child.lanes[at][0], child.lanes[at][2]) for at in child.busy]
        return [*child.handed, *busy, *child.untold]

    def in_hands(self, child):
        return {identity for _, identity in self.turns(child)}

    @invariant()
    def nothing_is_lost_and_nothing_is_twice(self):
        if not hasattr(self, "delivery"):
            return
        flying = [identity for child in self.lives.values() for identity in self.in_hands(child)]
        waiting = [self.identity(posted) for posted in self.delivery.waiting()]
        open_ones = [identity for identity, message in self.messages.items() if message.over is None]
        assert sorted(open_ones) == sorted(flying + waiting)
        assert sorted(waiting) == waiting
        assert len(open_ones) == self.delivery.unsettled
        for child in self.lives.values():
            assert len(self.in_hands(child)) == self.delivery.flights.count(child.number)

    @invariant()
    def order_is_kept(self):
        if hasattr(self, "delivery") and self.members == 1:
            assert sorted(self.first_begins) == self.first_begins


class PoolModel(DeliveryModel):
    """The same with three lives at a time, to which messages of the dead come late."""

    members = 3

    def asked(self, child):
        """What a child is asked to give back: all it has not begun, that is wanted and no tell of a run."""
        turns = self.delivery.flights.of(child.number).ask_back(child.progress().begun)
        asked = [(delivery_tag, identity) for delivery_tag, identity in child.handed if delivery_tag in turns]
        assert sorted(turns) == [delivery_tag for delivery_tag, _ in asked]
        assert all(self.messages[identity].wanted for _, identity in asked)
        left = [self.messages[identity] for delivery_tag, identity in child.handed if delivery_tag not in turns]
        assert all(message.told or not message.wanted for message in left)
        return asked

    @precondition(lambda self: any(child.handed for child in self.lives.values()))
    @rule(data=st.data())
    def gives_back(self, data):
        """A life that has gone on skips what it was asked for."""
        child = data.draw(st.sampled_from([child for child in self.lives.values() if child.handed]))
        for delivery_tag, identity in self.asked(child):
            assert self.delivery.flights.came_back(child.number, delivery_tag, CANCELLED)
            child.handed.remove((delivery_tag, identity))

    @precondition(lambda self: any(child.handed and not child.free for child in self.lives.values()))
    @rule(data=st.data())
    def is_taken_over(self, data):
        """A life that stays busy will skip what it was asked for."""
        child = data.draw(st.sampled_from([c for c in self.lives.values() if c.handed and not c.free]))
        told = self.asked(child)
        self.delivery.flights.take_over(child.number)
        for delivery_tag, identity in told:
            child.handed.remove((delivery_tag, identity))
            assert self.delivery.flights.came_back(child.number, delivery_tag, CANCELLED)


TestDelivery = DeliveryModel.TestCase
TestDelivery.settings = settings(max_examples=often(50, 500), stateful_step_count=40)
TestPool = PoolModel.TestCase
TestPool.settings = settings(max_examples=often(50, 500), stateful_step_count=40)
