"""Many messages of one call: checked together, taken part by part, each with an end of its own."""

from __future__ import annotations

import asyncio
from itertools import chain

import msgspec
import pytest

from actors.errors import ActorCrashed, ActorStopped, AskTimeout, HandlerError, MailboxFull, UsageError, WireError
from actors.wire import kinds
from actors.wire.codec import encode
from actors.wire.from_child import Failure, Replies
from supervisor.core.delivery.fates import Fate
from supervisor.core.rules.down import Down
from supervisor.core.terms import Routing
from supervisor.specs import Overflow
from tests.supervisor.mailbox.test_mailbox import Add, Box, Try
from tests.support.waiting import at_rest


def adds(*numbers):
    return [Add(number) for number in numbers]


def replies(box, first, *values, count=None, member="a"):
    """The member's life answers consecutive asks."""
    frame = Replies(first, len(values) if count is None else count, msgspec.Raw(encode(list(values))))
    box.mailbox.dispatcher.on_outcomes(member, frame)


async def begun(call):
    """A call whose messages are taken, as far as there is room."""
    task = asyncio.create_task(call)
    await at_rest()
    return task


async def test_tells_of_one_call_keep_their_order_and_that_of_others():
    box = Box()
    life = box.live()
    await box.ref.tell(Add(0))
    await box.ref.tell_many(adds(1, 2, 3))
    await box.ref.tell(Add(4))
    await at_rest()
    assert [0, 1, 2, 3, 4] == life.numbers
    box.say(ack_up_to=5)
    assert {Fate.HANDLED: 5} == +box.mailbox.fates
    assert 0 == box.mailbox.depth


async def test_what_is_no_iterable_of_messages_is_refused():
    box = Box()
    box.live()
    for call in box.ref.tell_many, box.ref.ask_many:
        with pytest.raises(UsageError, match=r"must be an iterable of messages, as a list; it is an Add"):
            await call(Add(1))
    assert 0 == box.mailbox.depth


async def test_replies_come_in_the_order_of_the_messages():
    """Of several classes, whoever answers, in one frame or in several."""
    box = Box()
    box.live()
    asking = await begun(box.ref.ask_many([Add(1), Try(2), *adds(3, 4)]))
    replies(box, 1, 10, "20")
    replies(box, 3, 30)
    box.say((4, kinds.REPLY, 40))
    assert [10, "20", 30, 40] == await asking
    assert {Fate.HANDLED: 4} == +box.mailbox.fates
    assert 0 == box.mailbox.depth


async def test_a_failed_one_is_its_error_in_the_list():
    box = Box()
    box.live()
    asking = await begun(box.ref.ask_many(adds(1, 2, 3)))
    replies(box, 1, 10)
    box.say((2, kinds.FAILED, Failure("KeyError", "'x'", "")))
    replies(box, 3, 30)
    first, second, third = await asking
    assert (10, 30) == (first, third)
    assert isinstance(second, HandlerError)
    assert {Fate.HANDLED: 2, Fate.FAILED: 1} == +box.mailbox.fates


async def test_one_bad_message_and_none_is_sent():
    """The error says which one, and nothing of the call was taken."""
    box = Box(capacity=10_000)
    life = box.live()
    for call in (box.ref.tell_many, box.ref.ask_many):
        with pytest.raises(UsageError, match=r"message 1500 of this call: .*none of them was sent"):
            await call([*adds(*range(1500)), Add("x"), Add(2)])
        with pytest.raises(UsageError, match="an int is not a message"):
            await call([Add(1), 5])
    await at_rest()
    assert [] == life.numbers
    assert 0 == box.mailbox.depth


async def test_nothing_is_sent_of_an_empty_call():
    box = Box()
    await box.ref.tell_many([])
    assert [] == await box.ref.ask_many([])


async def test_tells_wait_for_room_part_by_part():
    """They enter as far as there is room, in order, and none overtakes another that waits."""
    box = Box(capacity=4)
    life = box.live()
    telling = await begun(box.ref.tell_many(adds(*range(7))))
    assert [0, 1, 2, 3] == life.numbers
    behind = await begun(box.ref.tell(Add(100)))
    box.say(ack_up_to=3)
    await at_rest()
    assert [0, 1, 2, 3, 4, 100] == life.numbers
    box.say(ack_up_to=6)
    await asyncio.gather(telling, behind)
    await at_rest()
    assert [0, 1, 2, 3, 4, 100, 5, 6] == life.numbers


async def test_a_cancelled_call_says_how_many_were_taken():
    box = Box(capacity=4)
    life = box.live()
    telling = await begun(box.ref.tell_many(adds(*range(7))))
    telling.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await telling
    assert 4 == caught.value.taken
    box.say(ack_up_to=4)
    await at_rest()
    assert [0, 1, 2, 3] == life.numbers
    assert {Fate.HANDLED: 4} == +box.mailbox.fates


async def test_a_full_mailbox_that_fails_has_taken_the_first():
    box = Box(capacity=4, overflow=Overflow.FAIL)
    box.live()
    with pytest.raises(MailboxFull) as caught:
        await box.ref.tell_many(adds(*range(7)))
    assert 4 == caught.value.taken
    answers = await asyncio.wait_for(box.ref.ask_many(adds(7, 8)), 30)
    assert [MailboxFull, MailboxFull] == [type(answer) for answer in answers]
    assert 4 == box.mailbox.depth


@pytest.mark.parametrize(
    ("overflow", "dropped"), [(Overflow.DROP_NEWEST, [4, 5, 6]), (Overflow.DROP_OLDEST, [0, 1, 2])]
)
async def test_what_a_full_mailbox_drops_is_a_dead_letter(overflow, dropped):
    """Each message by itself, as told one after the other."""
    box = Box(capacity=4, overflow=overflow)
    await box.ref.tell_many(adds(*range(7)))
    assert dropped == [letter.message.number for letter in box.letters]
    waiting = [msgspec.msgpack.decode(kept.message)[1] for kept in box.mailbox.consumers.shared_queue.waiting()]
    assert sorted(set(range(7)) - set(dropped)) == waiting


async def test_the_death_of_a_life_settles_each_of_them():
    """Handled, being handled, not begun: as for messages that were sent one by one."""
    box = Box()
    life = box.live()
    asking = await begun(box.ref.ask_many([*adds(1, 2, 3), Try(4), Add(5)]))
    life.began(3, 1, 2)
    box.die(life)
    heir = box.live()
    await at_rest()
    assert [4, 5] == heir.numbers
    replies(box, 4, "40", 50)
    first, second, third, fourth, fifth = await asking
    assert [(True, True), (True, True), (True, False)] == [
        (one.started, one.finished) for one in (first, second, third)
    ]
    assert ["40", 50] == [fourth, fifth]
    assert [3] == [letter.message.number for letter in box.letters]
    assert isinstance(first, ActorCrashed)


async def test_idempotent_ones_are_answered_by_the_next_life():
    box = Box()
    life = box.live()
    asking = await begun(box.ref.ask_many([Try(1), Try(2), Try(3)]))
    life.began(2, 1)
    box.die(life)
    heir = box.live()
    await at_rest()
    assert [1, 2, 3] == heir.numbers
    replies(box, 1, "1", "2", "3")
    assert ["1", "2", "3"] == await asking


async def test_a_cancelled_ask_many_takes_back_what_has_not_begun():
    box = Box(capacity=6)
    life = box.live()
    asking = await begun(box.ref.ask_many(adds(*range(1, 9))))
    replies(box, 1, 10)
    await at_rest()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert set(range(2, 8)) == set(life.taken_back)
    replies(box, 2, 20)  # it had begun
    box.say(*((seq, kinds.CANCELLED, None) for seq in range(3, 8)))
    assert {Fate.HANDLED: 2, Fate.CANCELLED: 5} == +box.mailbox.fates
    assert 0 == box.mailbox.depth


async def test_the_timeout_is_for_all_of_them():
    """What was answered in time is kept; the others are late, also those that had no room."""
    box = Box(capacity=3)
    box.live()
    asking = await begun(box.ref.ask_many(adds(1, 2, 3, 4, 5), timeout=0.05))
    replies(box, 1, 10)
    first, *others = await asking
    assert 10 == first
    assert [AskTimeout] * 4 == [type(other) for other in others]


async def test_the_end_of_the_actor_ends_each_of_them():
    box = Box(capacity=3)
    asking = await begun(box.ref.ask_many(adds(1, 2, 3, 4, 5)))
    telling = await begun(box.ref.tell_many(adds(6, 7)))
    box.mailbox.close(Down("it was stopped"))
    assert [ActorStopped] * 5 == [type(answer) for answer in await asking]
    with pytest.raises(ActorStopped) as caught:
        await telling
    assert 0 == caught.value.taken
    assert [ActorStopped] * 2 == [type(answer) for answer in await box.ref.ask_many(adds(1, 2))]
    with pytest.raises(ActorStopped, match="this call of 2 messages was not sent"):
        await box.ref.tell_many(adds(1, 2))
    with pytest.raises(ActorStopped, match="this call of 1 message was not sent"):
        await box.ref.tell_many(adds(1))


async def test_fail_when_down():
    box = Box()
    answers = await box.ref.ask_many(adds(1, 2), when_down="fail")
    assert [(ActorCrashed, False)] * 2 == [(type(answer), answer.started) for answer in answers]
    life = box.live()
    asking = await begun(box.ref.ask_many(adds(1, 2), when_down="fail"))
    life.began(1)
    box.die(life)
    assert [True, False] == [answer.started for answer in await asking]


@pytest.mark.parametrize("routing", list(Routing))
async def test_members_of_a_pool_share_them(routing):
    """Each gets some, and each reply finds its place."""
    box = Box(members=("a", "b"), routing=routing, key="number")
    lives = {member: box.live(member) for member in ("a", "b")}
    asking = await begun(box.ref.ask_many(adds(*range(20))))
    answered = set()
    while not asking.done():
        for member, life in lives.items():
            for posted in life.received:
                if (member, posted.seq) not in answered:
                    answered.add((member, posted.seq))
                    number = msgspec.msgpack.decode(posted.message)[1]
                    box.say((posted.seq, kinds.REPLY, number), member=member)
        await at_rest()
    assert list(range(20)) == await asking
    assert all(life.received for life in lives.values())
    assert 20 == len(list(chain(*(life.received for life in lives.values()))))


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ((1, 3, [1, 2]), "announces 3 replies and sends 2"),
        ((1, 4, [1, 2, 3, 4]), "answered message 4"),
        ((7, 1, [1]), "answered message 7"),
        ((1, 1, 5), "not a list"),
    ],
)
async def test_replies_that_do_not_fit_are_refused(frame, why):
    box = Box()
    box.live()
    asking = await begun(box.ref.ask_many(adds(1, 2, 3)))
    first, count, values = frame
    with pytest.raises(WireError, match=why):
        box.mailbox.dispatcher.on_outcomes("a", Replies(first, count, msgspec.Raw(encode(values))))
    asking.cancel()


async def test_a_reply_of_the_wrong_type_fails_alone():
    """It ends the life; those before it are answered."""
    box = Box()
    box.live()
    asking = await begun(box.ref.ask_many(adds(1, 2, 3)))
    with pytest.raises(WireError):
        replies(box, 1, 10, "no int", 30)
    assert not asking.done()
    asking.cancel()


async def test_asks_are_not_acknowledged_without_a_reply():
    box = Box()
    box.live()
    asking = await begun(box.ref.ask_many(adds(1, 2)))
    with pytest.raises(WireError, match="ended an ask without an answer"):
        box.say(ack_up_to=2)
    assert [None, None] == [answer.finished for answer in await asking]
