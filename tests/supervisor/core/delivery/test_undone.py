"""Messages of an actor whose state is stored with their outcomes: a death undoes what is not stored."""

from __future__ import annotations

import msgspec
import pytest

from actors.exits import ExitKind, ExitReason, ExitReport
from actors.wire.kinds import ASK, STREAM, TELL
from actors.wire.progress import Progress
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.losses import Redelivery, lost_message
from supervisor.core.delivery.messages import Classes, QueuedMessage
from supervisor.core.delivery.outcomes import crashed
from supervisor.core.delivery.queue import MessageQueue


def lost(kind, *, begun=0, active=(), idempotent=True, before=0):
    message = QueuedMessage(5, kind, None, None, msgspec.Raw(b""), handler=0)
    progress = Progress(begun, frozenset(active), 0, 0)
    return lost_message(message, 5, progress, None, Redelivery(idempotent, before, 3, undone=True))


@pytest.mark.parametrize(
    ("kind", "doing", "fate", "deliveries"),
    [
        (TELL, {"begun": 4}, None, 0),
        (TELL, {"begun": 5, "active": {5}}, None, 1),
        (ASK, {"begun": 5, "active": {5}, "before": 2}, Fate.POISON, 3),
        (TELL, {"begun": 6, "active": {6}}, None, 0),  # handled; another one was being handled at the death
        (ASK, {"begun": 6, "active": {6}, "before": 2}, None, 2),
        (TELL, {"begun": 6}, None, 1),  # handled; none was being handled, so it may be its fault
        (TELL, {"begun": 5, "before": 2}, Fate.POISON, 3),
        (ASK, {"begun": 4, "idempotent": False}, None, 0),
        (ASK, {"begun": 5, "active": {5}, "idempotent": False}, Fate.CRASHED, 1),
        (TELL, {"begun": 5, "idempotent": False}, Fate.CRASHED, 1),
        (STREAM, {"begun": 5, "active": {5}}, Fate.CRASHED, 1),
        (STREAM, {"begun": 5}, Fate.CRASHED, 1),
    ],
)
def test_fates(kind, doing, fate, deliveries):
    """`idempotent` is False for classes that are at_most_once."""
    loss = lost(kind, **doing)
    assert (fate, deliveries) == (loss.fate, loss.deliveries)


def test_who_asked_reads_which_state_there_is():
    """A handler that had returned has done nothing to the state, where its outcome was not stored."""
    report = ExitReport(actor="/root/a", life=1, pid=7, reason=ExitReason(ExitKind.KILLED, "SIGKILL from outside"))
    said = str(crashed("/root/a", "Charge", lost(ASK, begun=5, idempotent=False), report))
    assert said.endswith("after it had handled Charge, before the reply was out; its state is the one before")


def test_what_a_dead_daemon_had_given_is_in_flight_again():
    """Under the delivery tags of then; the rest keeps its order, and so does what comes back."""
    queue = MessageQueue(Classes({}, [True], undone=True))
    for seq in range(1, 7):
        queue.adopt(QueuedMessage(seq, TELL, None, None, msgspec.Raw(b""), handler=0), 0)
    queue.flights.resume("a", {9: 2, 4: 4, 10: 99})
    assert [1, 3, 5, 6] == [message.seq for message in queue.waiting()]
    assert [(4, 4), (9, 2)] == [(tag, message.seq) for tag, message in queue.flights.of("a").all()]
    losses = queue.lose("a", Progress(9, frozenset({9}), 0, 0))
    assert [(4, None, 0), (2, None, 1)] == [(loss.message.seq, loss.fate, loss.deliveries) for loss in losses]
    assert [1, 2, 3, 4, 5, 6] == [message.seq for message in queue.waiting()]
    assert 6 == queue.unsettled
