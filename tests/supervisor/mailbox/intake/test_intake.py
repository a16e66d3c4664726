"""Intake: what becomes of a message at the door, and what is asked of it there."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from actors import Actor, Message, handles
from actors.errors import ActorStopped, AskTimeout, MailboxFull, UsageError
from actors.protocol.protocol import protocol_of
from actors.ref import UnboundRef
from actors.wire.codec import encode
from actors.wire.framing import BESIDE
from actors.wire.from_child import Outcome, Outcomes
from actors.wire.kinds import ASK, REPLY, TELL
from actors.wire.progress import Progress
from supervisor.core.delivery.routing import Router
from supervisor.core.rules.down import Down
from supervisor.core.terms import Routing
from supervisor.mailbox.intake.entry import Dropped, Entry, Patience, Taken, Wait
from supervisor.mailbox.intake.intake import SMALL
from supervisor.mailbox.mailbox import Mailbox, MailboxTerms
from supervisor.messaging.refs import MailboxRef
from supervisor.specs import Overflow
from tests.support.scripted import LoneLife
from tests.support.waiting import until


class Text(Message[int]):
    text: str


class Photo(Message[bytes]):
    pixels: bytes


class Reader(Actor):
    @handles
    def read(self, msg: Text) -> int: ...

    @handles
    def keep(self, msg: Photo) -> bytes: ...


class Box:
    """A mailbox whose checks are counted."""

    def __init__(self, capacity=2, overflow=Overflow.WAIT):
        self.letters = []
        self.mailbox = Mailbox(
            "/root/a",
            protocol_of(Reader),
            MailboxTerms(
                capacity=capacity,
                capacity_bytes=None,
                overflow=overflow,
                max_message_bytes=10_000,
                max_deliveries=2,
                members=("a",),
                router=Router(Routing.LEAST_LOADED, ""),
                on_dead_letter=self.letters.append,
                resolve=UnboundRef,
            ),
        )
        self.intake = self.mailbox.intake
        self.ref = MailboxRef(self.mailbox)
        self.life = LoneLife()
        self.mailbox.connect("a", self.life)
        self.decoded = 0
        check = self.intake._check

        def counted(data):
            self.decoded += 1
            return check(data)

        self.intake._check = counted
        self.intake._admission._protocol = Counted(protocol_of(Reader), counted)

    def entry(self, text="x", kind=TELL):
        return Entry(kind, self.intake.check(Text(text), kind))


class Counted:
    """A protocol whose decoding is counted."""

    def __init__(self, protocol, check):
        self.handlers = protocol.handlers
        self._check = check

    def encode(self, message):
        self._check(encode(message))
        return protocol_of(Reader).encode(message)

    def decode(self, data):
        return self._check(data)


@pytest.mark.parametrize("size", [1, SMALL, 9_000], ids=str)
async def test_a_message_is_decoded_once_at_the_door(size):
    """Whatever its size, and whether it is told or asked."""
    box = Box(capacity=10)
    box.ref.tell_nowait(Text("x" * size))
    await box.ref.tell(Text("x" * size))
    asking = asyncio.create_task(box.ref.ask(Text("x" * size)))
    await until(lambda: 3 == len(box.life.received))
    assert 3 == box.decoded
    asking.cancel()


async def test_small_bytes_take_the_fast_path():
    """A message with a field of `bytes` goes where others go, together with them."""
    box = Box(capacity=10)
    assert box.intake.try_tell(Photo(b"x" * SMALL))
    asks = [box.intake.try_ask(Photo(b"x"), timeout=None) for _ in range(3)]
    assert [2, 3, 4] == [ask.seq for ask in asks]
    assert 4 == box.decoded


@pytest.mark.parametrize("pixels", [b"x" * BESIDE, 7, None], ids=["large", "no bytes", "none"])
async def test_large_bytes_are_not_encoded_on_the_fast_path(pixels):
    """They travel beside their message. What is no bytes is refused by the check that says why."""
    box = Box(capacity=10)
    assert not box.intake.try_tell(Photo(pixels))
    assert box.intake.try_ask(Photo(pixels), timeout=None) is None
    assert (0, 0) == (box.decoded, box.mailbox.depth)


async def test_an_ask_by_itself_leaves_at_once_and_those_of_one_turn_together():
    """After asks that came together the first of the next ones leaves with the others: one frame less."""
    box = Box(capacity=100)

    def ask(count):
        asks = [box.intake.try_ask(Text("x"), timeout=None) for _ in range(count)]
        return asks, len(box.life.received)

    async def answered(asks):
        await until(lambda: asks[-1].seq in box.life.seqs)
        for one in asks:
            box.mailbox.dispatcher.on_outcomes("a", Outcomes(0, [Outcome(one.seq, REPLY, msgspec.Raw(encode(1)))]))
        assert [1] * len(asks) == [await one.future for one in asks]

    left = []
    for count in (1, 1, 3, 3, 1, 1):
        before = len(box.life.received)
        asks, after = ask(count)
        left.append(after - before)
        await answered(asks)
    assert [1, 1, 1, 0, 0, 1] == left


async def test_a_large_tell_is_refused_where_it_is_too_large():
    """By the same words as any other, and nothing is kept."""
    box = Box()
    with pytest.raises(UsageError, match="has 100.. bytes, the most is 10000"):
        box.ref.tell_nowait(Text("x" * 10_000))
    assert 0 == box.mailbox.depth


async def test_what_becomes_of_a_message():
    """With room it is taken, without it waits or is refused, by its sender's patience."""
    box = Box(capacity=1)
    assert Taken(1) == box.intake.post(box.entry(), Patience.REFUSE)
    with pytest.raises(MailboxFull, match="1 message waiting"):
        box.intake.post(box.entry(), Patience.REFUSE)
    assert isinstance(box.intake.post(box.entry(), Patience.WAIT), Wait)


async def test_what_is_dropped():
    """The newest tell is a dead letter; the sender of an ask hears of it."""
    box = Box(capacity=1, overflow=Overflow.DROP_NEWEST)
    box.intake.post(box.entry(), Patience.WAIT)
    assert Dropped() == box.intake.post(box.entry("y"), Patience.WAIT)
    with pytest.raises(MailboxFull):
        box.intake.post(box.entry("z", ASK), Patience.WAIT)
    assert ["y", "z"] == [letter.message.text for letter in box.letters]


async def test_full_is_a_question_that_changes_nothing():
    """Room that a begun message left is granted when a message is posted, not when the mailbox is looked at."""
    box = Box(capacity=1)
    box.intake.post(box.entry(), Patience.WAIT)
    wait = box.intake.post(box.entry("y"), Patience.WAIT)
    box.life.doing = Progress(1, frozenset({1}), 0, 0)
    for _ in range(3):
        assert box.mailbox.capacity.full
    assert 0 == box.mailbox.capacity.granted
    with pytest.raises(MailboxFull):
        box.intake.post(box.entry("z"), Patience.REFUSE)
    assert Taken(2) == await wait.taken()


async def test_a_wait_that_is_cancelled_leaves_its_room_to_the_next():
    """Before and after the room was granted."""
    box = Box(capacity=1)
    box.intake.post(box.entry(), Patience.WAIT)
    waits = [box.intake.post(box.entry(text), Patience.WAIT) for text in "bcd"]
    taken = [asyncio.create_task(wait.taken()) for wait in waits]
    waits[0].cancel()
    box.life.doing = Progress(1, frozenset({1}), 0, 0)
    box.mailbox.capacity.grant()
    waits[1].cancel()
    assert Taken(2) == await taken[2]
    assert all(task.cancelled() for task in taken[:2])
    assert 0 == box.mailbox.capacity.granted


async def test_waiting_for_room_is_part_of_the_timeout():
    """An ask that got room late has only the rest of its time."""
    box = Box(capacity=1)
    box.intake.post(box.entry(), Patience.WAIT)
    began = time.monotonic()
    asking = asyncio.create_task(box.ref.ask(Text("y"), timeout=60.0))
    await until(lambda: box.mailbox.capacity.line)
    box.life.doing = Progress(1, frozenset({1}), 0, 0)
    box.mailbox.capacity.grant()
    await until(lambda: 2 == len(box.life.received))
    deadline = box.life.received[1].deadline
    assert began + 60.0 <= deadline <= time.monotonic() + 60.0
    asking.cancel()


async def test_closing_ends_the_waits():
    """With an error; what is posted later is refused by the check."""
    box = Box(capacity=1)
    box.intake.post(box.entry(), Patience.WAIT)
    wait = box.intake.post(box.entry(), Patience.WAIT)
    box.mailbox.close(Down("over"))
    with pytest.raises(ActorStopped, match="over"):
        await wait.taken()
    with pytest.raises(ActorStopped, match="over"):
        box.intake.check_bytes(msgspec.Raw(encode(Text("x"))), TELL, None, ())


async def test_no_room_in_time():
    """The ask says what was missing."""
    box = Box(capacity=1)
    box.intake.post(box.entry(), Patience.WAIT)
    with pytest.raises(AskTimeout, match="no room for Text within 0.01 s"):
        await box.ref.ask(Text("y"), timeout=0.01)
    assert not box.mailbox.capacity.line
