"""SettlingOutbox: when what has ended leaves, and that no half of a handler's changes is saved with it."""

from __future__ import annotations

import os

import msgspec
import pytest

from actors.child.messages.keeping import Keeper
from actors.child.messages.outbox import ACK_AGE
from actors.child.messages.settling import SettlingOutbox
from actors.ipc.channel import Channel
from actors.ipc.pipes import Duplex
from actors.wire.codec import ReplyCodec, encode
from actors.wire.framing import Framer
from actors.wire.from_child import FromChild


class Clock:
    now = 1_000

    def monotonic_ns(self):
        return self.now


class Total:
    total = 0

    def save(self):
        return self.total


class Side:
    """An outbox, its actor, and what the daemon hears."""

    def __init__(self):
        self.end, self.child_end = Duplex.pair()
        self.clock, self.actor = Clock(), Total()
        self.outbox = SettlingOutbox(Channel(self.child_end), self.clock, crashes=True)
        self.outbox.keep(Keeper(self.actor, ReplyCodec(int)))
        self.framer = Framer()

    def heard(self):
        """Of each frame: up to which message all have ended, and the state."""
        if not self.end.readable(0):
            return []
        frames = [
            msgspec.msgpack.decode(data, type=FromChild) for data in self.framer.feed(os.read(self.end.incoming, 65536))
        ]
        return [(frame.ack_up_to, msgspec.msgpack.decode(frame.state)) for frame in frames]


@pytest.fixture
def side():
    made = Side()
    yield made
    made.end.close()
    made.child_end.close()


def test_tells_that_follow_each_other_quickly_share_a_frame(side):
    """The frame leaves a millisecond after the first of them, while the actor is idle or before the next one."""
    side.outbox.before_batch()
    side.actor.total = 1
    side.outbox.batch_over(1, side.clock.now)
    assert pytest.approx(0.001) == side.outbox.lingers()
    side.clock.now += ACK_AGE // 2
    side.outbox.before_batch()
    side.actor.total = 2
    side.outbox.batch_over(2, side.clock.now)
    assert [] == side.heard()
    assert pytest.approx(0.0005) == side.outbox.lingers(), "no tell puts the frame off"
    side.clock.now += ACK_AGE
    assert 0.0 == side.outbox.lingers()
    side.outbox.before_batch()
    assert [(2, 2)] == side.heard()


def test_no_half_of_a_handler_s_changes_is_saved(side):
    """A handler that waits for an answer sends what waits; what ended before it stays where it was."""
    side.outbox.before_batch()
    side.actor.total = 1
    side.outbox.batch_over(1, side.clock.now)
    side.outbox.before_batch()
    side.actor.total = 100
    side.outbox.flush()
    assert [] == side.heard()
    side.actor.total = 2
    side.outbox.batch_over(2, side.clock.now)
    side.outbox.flush()
    assert [(2, 2)] == side.heard()


def test_what_the_actor_has_sent_does_not_wait(side):
    """It enters its mailbox with the end of the message under which it was sent."""
    side.outbox.before_batch()
    side.outbox.send(encode({"sent": 1}))
    side.outbox.batch_over(1, side.clock.now)
    assert 0.0 == side.outbox.lingers()
    _, settled = side.framer.feed(os.read(side.end.incoming, 65536))
    assert 1 == msgspec.msgpack.decode(settled, type=FromChild).ack_up_to
