"""Mailbox: from the sender's call to each message's fate, with lives that do what the test says."""

from __future__ import annotations

import asyncio
import math
import random
import re
import threading
import time
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

import msgspec
import pytest

from actors import Actor, Message, handles
from actors.errors import (
    ActorCrashed,
    ActorStopped,
    AskTimeout,
    HandlerError,
    MailboxFull,
    Rejected,
    UndecodableMessage,
    UsageError,
    WireError,
)
from actors.exits import ExitKind, ExitReason, ExitReport
from actors.protocol.protocol import protocol_of
from actors.ref import UnboundRef
from actors.wire import kinds
from actors.wire.codec import encode
from actors.wire.from_child import Failure, Outcome, Outcomes
from actors.wire.kinds import NOTHING
from actors.wire.progress import Progress
from supervisor.core.delivery.routing import Router
from supervisor.core.rules.down import Down
from supervisor.core.terms import Routing
from supervisor.mailbox import consumers
from supervisor.mailbox.mailbox import Mailbox, MailboxTerms
from supervisor.messaging.refs import MailboxRef
from supervisor.observe.dead_letters import DeadReason
from supervisor.specs import ChildSpec
from tests.support.actors import Puppet
from tests.support.scripted import LoneLife
from tests.support.waiting import at_rest


class Add(Message[int]):
    number: int


class Try(Message[str]):
    idempotent: ClassVar[bool] = True
    number: int


class Sums(Actor):
    @handles
    def add(self, msg: Add) -> int: ...

    @handles
    def attempt(self, msg: Try) -> str: ...


class Box:
    """A mailbox, its ref and what became of its messages."""

    def __init__(
        self, capacity=100, members=("a",), routing=Routing.LEAST_LOADED, key="", overflow=ChildSpec(Puppet).overflow
    ):
        self.letters = []
        self.mailbox = Mailbox(
            "/root/a",
            protocol_of(Sums),
            MailboxTerms(
                capacity=capacity,
                max_deliveries=2,
                capacity_bytes=None,
                overflow=overflow,
                max_message_bytes=10_000,
                members=members,
                router=Router(routing, key),
                on_dead_letter=self.letters.append,
                resolve=UnboundRef,
            ),
        )
        self.ref = MailboxRef(self.mailbox)
        self.number = 0

    def live(self, member="a"):
        life = LoneLife()
        self.mailbox.connect(member, life)
        return life

    def die(self, life, member="a"):
        self.number += 1
        reason = ExitReason(ExitKind.KILLED, "SIGKILL")
        self.mailbox.lost(
            member, life.progress(), ExitReport(actor="/root/a", life=self.number, pid=None, reason=reason)
        )

    def say(self, *items, ack_up_to=0, member="a"):
        outcomes = [Outcome(seq, kind, msgspec.Raw(encode(payload))) for seq, kind, payload in items]
        self.mailbox.dispatcher.on_outcomes(member, Outcomes(ack_up_to, outcomes))

    def ask(self, number, **options):
        return asyncio.create_task(self.ref.ask(Add(number), **options))

    def tell(self, number):
        return asyncio.create_task(self.ref.tell(Add(number)))


@pytest.fixture
async def box():
    return Box()


# ---- there and back


async def test_there_and_back(box):
    """Messages go out in order, a reply finds its asker."""
    life = box.live()
    box.ref.tell_nowait(Add(1))
    asking = box.ask(2)
    box_tell = box.tell(3)
    await at_rest()
    assert [1, 2, 3] == life.numbers
    box.say((2, kinds.REPLY, 20), ack_up_to=3)
    assert 20 == await asking
    await box_tell
    assert 0 == box.mailbox.depth
    assert {"handled": 3} == +box.mailbox.fates


async def test_messages_wait_for_a_life(box):
    """Without one they wait; the next one gets them in order, in one batch."""
    for number in range(5):
        box.ref.tell_nowait(Add(number))
    await at_rest()
    assert [0, 1, 2, 3, 4] == box.live().numbers


async def test_a_congested_life_gets_no_more(box):
    """What its channel cannot take waits here, where it survives its death."""
    life = box.live()
    life.congested = True
    box.ref.tell_nowait(Add(1))
    await at_rest()
    assert [] == life.numbers
    life.congested = False
    box.mailbox.dispatcher.dispatch()
    assert [1] == life.numbers


async def test_a_pause_lasts_until_each_of_its_reasons_is_over(box):
    """A job that is ended pauses its process; the end of another one there does not let it get more."""
    life, consumers = box.live(), box.mailbox.consumers
    for delivery_tag in (1, 2):
        consumers.pause("a", delivery_tag)
    box.ref.tell_nowait(Add(1))
    for delivery_tag, given in ((1, []), (2, [1])):
        consumers.resume("a", delivery_tag)
        box.mailbox.dispatcher.dispatch()
        assert given == life.numbers


@pytest.mark.parametrize(
    ("kind", "payload", "error", "words"),
    [
        (kinds.FAILED, Failure("KeyError", "'x'", "Traceback"), HandlerError, "KeyError: 'x'"),
        (kinds.REJECTED, "not now", Rejected, "not now"),
        (kinds.EXPIRED, None, AskTimeout, "it had not begun"),
        (kinds.UNDECODABLE, "what?", UndecodableMessage, "what?"),
    ],
)
async def test_how_an_ask_ends(box, kind, payload, error, words):
    """Each kind of outcome is one error for any asker; the mailbox continues."""
    box.live()
    asking = box.ask(1, timeout=60.0)
    await at_rest()
    box.say((1, kind, payload), ack_up_to=1)
    with pytest.raises(error, match=words):
        await asking
    assert 0 == box.mailbox.depth
    assert 1 == sum(box.mailbox.fates.values())
    assert (kind == kinds.UNDECODABLE) == bool(box.letters)


# ---- capacity


async def test_full(box):
    """tell_nowait refuses what has no room; what has begun takes none."""
    box = Box(capacity=2)
    life = box.live()
    box.ref.tell_nowait(Add(1))
    box.ref.tell_nowait(Add(2))
    with pytest.raises(MailboxFull, match="/root/a has 2 messages waiting.*Add was not sent"):
        box.ref.tell_nowait(Add(3))
    life.began(1)
    box.ref.tell_nowait(Add(4))
    await at_rest()
    assert [1, 2, 4] == life.numbers


async def test_what_is_being_handled_is_not_told_as_waiting():
    """The number in the text is the one that `mailbox=` bounds."""
    box = Box(capacity=2)
    life = box.live()
    box.ref.tell_nowait(Add(1))
    box.ref.tell_nowait(Add(2))
    life.began(1)
    box.ref.tell_nowait(Add(3))
    with pytest.raises(MailboxFull, match="/root/a has 2 messages waiting"):
        box.ref.tell_nowait(Add(4))
    with pytest.raises(AskTimeout, match="within 0.01 s: 2 messages wait"):
        await box.ref.ask(Add(4), timeout=0.01)


async def test_tells_wait_in_order():
    """As room comes, those who wait get it in the order in which they came."""
    box = Box(capacity=1)
    life = box.live()
    box.ref.tell_nowait(Add(0))
    tells = [box.tell(number) for number in range(1, 6)]
    for done in range(1, 6):
        await at_rest()
        box.say(ack_up_to=done)
    await asyncio.gather(*tells)
    await at_rest()
    assert list(range(6)) == life.numbers


async def test_several_places_at_once():
    """Room for several wakes several, in order."""
    box = Box(capacity=3)
    life = box.live()
    for number in range(3):
        box.ref.tell_nowait(Add(number))
    tells = [box.tell(number) for number in range(3, 9)]
    await at_rest()
    box.say(ack_up_to=3)
    await at_rest()
    assert [True] * 3 + [False] * 3 == [task.done() for task in tells]
    box.say(ack_up_to=6)
    await asyncio.gather(*tells)
    await at_rest()
    assert list(range(9)) == life.numbers


async def test_a_newcomer_does_not_overtake_those_who_wait():
    """The place that became free belongs to the first in line, even if another asks before it runs."""
    box = Box(capacity=2)
    life = box.live()
    for number in range(2):
        box.ref.tell_nowait(Add(number))
    tells = [box.tell(number) for number in (2, 3, 4)]
    await at_rest()
    box.say(ack_up_to=2)
    with pytest.raises(MailboxFull):
        box.ref.tell_nowait(Add(9))
    tells.append(box.tell(5))
    for done in (3, 4, 5):
        await at_rest()
        box.say(ack_up_to=done)
    await asyncio.gather(*tells)
    await at_rest()
    assert list(range(6)) == life.numbers


async def test_a_cancelled_tell_sends_nothing():
    """And its place in line goes to the next, whenever the cancellation comes."""
    box = Box(capacity=1)
    life = box.live()
    box.ref.tell_nowait(Add(0))
    tells = [box.tell(number) for number in (1, 2, 3, 4)]
    await at_rest()
    tells[0].cancel()  # while it waits
    await at_rest()
    tells[1].cancel()  # when room comes in the same turn
    box.say(ack_up_to=1)
    tells[2].cancel()  # after it was woken
    await at_rest()
    for task in tells[:3]:
        with pytest.raises(asyncio.CancelledError):
            await task
    await tells[3]
    await at_rest()
    assert [0, 4] == life.numbers
    assert 1 == box.mailbox.depth


async def test_woken_and_cancelled():
    """Room was given to one that is cancelled before it runs: the next one has it."""
    box = Box(capacity=1)
    life = box.live()
    box.ref.tell_nowait(Add(0))
    tells = [box.tell(1), box.tell(2)]
    await at_rest()
    box.say(ack_up_to=1)
    tells[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tells[0]
    await tells[1]
    await at_rest()
    assert [0, 2] == life.numbers


@pytest.mark.parametrize("timeout", [True, Decimal(1), Fraction(1), "1", -1, math.nan])
async def test_a_timeout_that_is_none(timeout):
    """It is refused before anything is sent, on the fast path, too."""
    box = Box()
    life = box.live()
    with pytest.raises(UsageError, match="timeout of a message to"):
        await box.ref.ask(Add(1), timeout=timeout)
    await at_rest()
    assert [] == life.numbers


async def test_an_ask_waits_for_room_within_its_timeout():
    """No room in time is AskTimeout, and nothing was sent."""
    box = Box(capacity=1)
    life = box.live()
    box.ref.tell_nowait(Add(0))
    with pytest.raises(AskTimeout, match="no room for Add within 0.01 s: 1 messages wait"):
        await box.ref.ask(Add(1), timeout=0.01)
    await at_rest()
    assert [0] == life.numbers


async def test_closing_ends_every_wait():
    """Who waits for room hears that there will be none."""
    box = Box(capacity=1)
    box.ref.tell_nowait(Add(0))
    waits = [box.tell(1), box.ask(2, timeout=None), box.tell(3)]
    await at_rest()
    box.mailbox.close(Down("it is over"))
    for task in waits:
        with pytest.raises(ActorStopped, match="it is over"):
            await task
    assert [Add(0)] == [letter.message for letter in box.letters]


async def test_any_mix_of_tells_cancellations_and_progress():
    """Never more than the capacity waits, nothing that was cancelled is sent, everything else is, in order."""
    for seed in range(30):
        dice = random.Random(seed)
        box = Box(capacity=dice.randint(1, 4))
        life = box.live()
        tasks, done = [], 0
        for number in range(60):
            deed = dice.random()
            if deed < 0.5:
                tasks.append((number, box.tell(number)))
            elif deed < 0.65 and tasks:
                dice.choice(tasks)[1].cancel()
            elif deed < 0.9 and done < len(life.received):
                done += 1
                box.say(ack_up_to=done)
            for _ in range(dice.randint(0, 2)):
                await asyncio.sleep(0)
            assert box.mailbox.depth <= box.mailbox.capacity.most
        for _ in range(200):
            await at_rest()
            done = len(life.received)
            box.say(ack_up_to=done)
        sent = [number for number, task in tasks if task.done() and not task.cancelled()]
        assert len([task for _, task in tasks if not task.done()]) == 0, seed
        assert sent == life.numbers, seed
        assert 0 == box.mailbox.depth


# ---- asks that end early


async def test_an_ask_that_times_out_before_it_was_given_away(box):
    """It leaves the mailbox: no life ever gets it."""
    with pytest.raises(AskTimeout, match="/root/a did not answer Add within 0.01 s"):
        await box.ref.ask(Add(1), timeout=0.01)
    assert (0, {"expired": 1}) == (box.mailbox.depth, +box.mailbox.fates)
    assert [] == box.live().numbers


async def test_an_ask_that_times_out_in_a_lifes_hands(box):
    """The life is told to drop it; until it answers the message is there."""
    life = box.live()
    with pytest.raises(AskTimeout):
        await box.ref.ask(Add(1), timeout=0.01)
    assert [1] == life.taken_back
    assert 1 == box.mailbox.depth
    box.say((1, kinds.CANCELLED, None), ack_up_to=1)
    assert (0, {"expired": 1}) == (box.mailbox.depth, +box.mailbox.fates)


async def test_a_cancelled_ask(box):
    """Before and after it is in a life's hands; a reply that comes all the same is dropped."""
    waiting = box.ask(1)
    await at_rest()
    waiting.cancel()
    await at_rest()
    life = box.live()
    assert [] == life.numbers
    flying = box.ask(2, timeout=None)
    await at_rest()
    flying.cancel()
    await at_rest()
    assert [2] == life.taken_back
    box.say((2, kinds.REPLY, 20), ack_up_to=2)
    for task in (waiting, flying):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert {"cancelled": 1, "handled": 1} == +box.mailbox.fates


async def test_an_ask_cancelled_before_it_ran(box):
    """A task that never ran has sent nothing."""
    task = box.ask(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (0, {}) == (box.mailbox.depth, +box.mailbox.fates)


LATE = "/root/a did not answer Add within 0.01 s: "


async def test_an_ask_that_times_out_says_how_far_it_came(box):
    """Whether its handler had begun, for how long it runs, and what is in front of it."""

    async def told(doing=None):
        if doing is not None:
            life.doing = doing
        with pytest.raises(AskTimeout) as caught:
            await box.ref.ask(Add(0), timeout=0.01)
        text = str(caught.value)
        assert text.startswith(LATE)
        return caught.value.started, text.removeprefix(LATE)

    down = "it has not begun: the actor has no running process; 0 other messages wait or are being handled"
    assert (False, down) == await told()
    life = box.live()
    idle = "it has not begun, and the actor handles no other: root.health() says whether its process is stopped"
    idle += "; 0 other messages wait or are being handled"
    assert (False, idle) == await told()
    hour_ago = time.monotonic_ns() - 3_600_000_000_000
    started, text = await told(Progress(3, frozenset({3}), hour_ago, 0))
    assert started
    assert re.fullmatch(r"it is being handled, for 3600\.\d s now", text)
    await box.ref.tell(Add(1))
    started, text = await told(Progress(3, frozenset({3}), hour_ago, 1))
    assert not started
    behind = "; 3 other messages wait or are being handled"
    assert re.fullmatch(r"it has not begun: the actor handles Try, for 3600\.\d s now" + behind, text)
    done = "it has been handled, and the reply is on its way"
    assert (True, done) == await told(Progress(6, frozenset(), hour_ago, 0))
    assert (True, "it is being handled") == await told(Progress(8, frozenset({7, 8}), hour_ago, 0))
    life.doing = Progress(8, frozenset({8}), hour_ago, 1)
    box.mailbox.consumers.disconnect("a")
    _, text = await told()
    assert re.match(r"it has not begun: the actor's process was asked to stop, and still handles Try, for 3600\.", text)


async def test_an_ask_that_times_out_while_its_life_has_ended_and_its_process_stays(box):
    """As after sys.exit in a handler that has started a thread: no handler runs, whatever the black box says."""
    life = box.live()
    asks = [asyncio.create_task(box.ref.ask(Add(number), timeout=0.01)) for number in range(2)]
    await at_rest()
    life.began(1)
    life.said_farewell = True
    stays = "the actor has ended, and its process stays; a thread that is not a daemon may keep it"
    first, second = await asyncio.gather(*asks, return_exceptions=True)
    assert (True, f"its handler has left: {stays}") == (first.started, str(first).removeprefix(LATE))
    assert not second.started
    assert f"it has not begun: {stays}; 1 other message waits or is being handled" == str(second).removeprefix(LATE)


async def test_an_ask_that_times_out_while_its_life_is_asked_to_stop(box):
    """What that life has begun, it handles: it says so, and the life gets to know that the answer is not wanted."""
    life = box.live()
    asks = [asyncio.create_task(box.ref.ask(Add(number), timeout=0.01)) for number in range(2)]
    await at_rest()
    life.doing = Progress(1, frozenset({1}), time.monotonic_ns(), 0)
    box.mailbox.consumers.disconnect("a")
    first, second = await asyncio.gather(*asks, return_exceptions=True)
    assert (True, False) == (first.started, second.started)
    assert "it is being handled" in str(first)
    assert "it has not begun: the actor handles Add" in str(second)
    assert [1, 2] == sorted(life.taken_back)
    box.die(life)
    assert box.mailbox.consumers.holding("a") is None


@pytest.mark.parametrize("many", [False, True])
async def test_an_ask_that_times_out_says_what_was_when_it_did(box, monkeypatch, many):
    """Not what the life makes of the news that the answer is not wanted, which ends its handler at once."""
    life = box.live()
    monkeypatch.setattr(life, "cancel", lambda _: life.began(1, 1))
    message = Add(1)
    asked = asyncio.create_task(
        box.ref.ask_many([message], timeout=0.01) if many else box.ref.ask(message, timeout=0.01)
    )
    await at_rest()
    life.began(1)
    (result,) = await asyncio.gather(asked, return_exceptions=True)
    error = result[0] if many else result
    assert (AskTimeout, True) == (type(error), error.started)
    assert "it is being handled" in str(error)


async def test_an_ask_without_room_had_not_begun():
    """It says so, too."""
    box = Box(capacity=1)
    await box.ref.tell(Add(1))
    with pytest.raises(AskTimeout) as caught:
        await box.ref.ask(Add(2), timeout=0.01)
    assert caught.value.started is False


async def test_cancelled_asks_that_a_life_only_acknowledges(box):
    """They end as cancelled, and nothing remembers them."""
    box.live()
    asks = [box.ask(number) for number in range(5)]
    await at_rest()
    for ask in asks[:4]:
        ask.cancel()
    await at_rest()
    box.say((5, kinds.REPLY, 5), ack_up_to=5)
    assert 5 == await asks[4]
    assert (0, {"cancelled": 4, "handled": 1}) == (box.mailbox.depth, +box.mailbox.fates)
    assert {} == box.mailbox.consumers.shared_queue._unwanted


async def test_a_reply_and_a_cancellation_in_the_same_turn(box):
    """An asker that is cancelled when the reply is there keeps asyncio's rules, and nothing is left."""
    box.live()
    task = box.ask(1)
    await at_rest()
    box.say((1, kinds.REPLY, 10), ack_up_to=1)
    task.cancel()
    await asyncio.wait([task])
    assert 0 == box.mailbox.depth
    assert {} == box.mailbox._settlement.askers


async def test_the_life_gets_the_deadline(box):
    """So that it need not begin what was cancelled."""
    life = box.live()
    tasks = [box.ask(1, timeout=50.0), box.ask(2, timeout=None)]
    await at_rest()
    with_deadline, without = life.received
    assert without.deadline is None
    assert 0 < with_deadline.deadline - asyncio.get_running_loop().time() <= 50.0
    for task in tasks:
        task.cancel()
    await at_rest()


# ---- lives that end


async def test_a_death_gives_each_message_its_fate(box):
    """Done, being handled, not begun: told and asked."""
    life = box.live()
    done, active, unbegun = box.ask(1, timeout=None), box.ask(2, timeout=None), box.ask(3, timeout=None)
    await at_rest()
    life.began(2, 1)
    box.die(life)
    with pytest.raises(ActorCrashed, match="after it had handled Add") as caught:
        await done
    assert (True, True, 1) == (caught.value.started, caught.value.finished, caught.value.report.life)
    with pytest.raises(ActorCrashed, match="while handling Add; it is not delivered again") as caught:
        await active
    assert (True, False) == (caught.value.started, caught.value.finished)
    assert [(Add(2), DeadReason.CRASHED, 1)] == [(each.message, each.reason, each.deliveries) for each in box.letters]
    second = box.live()
    assert [3] == second.numbers
    box.say((3, kinds.REPLY, 30), ack_up_to=3)
    assert 30 == await unbegun
    assert {"handled_unanswered": 1, "crashed_while_handling": 1, "handled": 1} == +box.mailbox.fates


async def test_idempotent_messages_get_another_life(box):
    """Until it has been begun too often."""
    asking = asyncio.create_task(box.ref.ask(Try(1), timeout=None))
    await at_rest()
    for _ in range(2):
        life = box.live()
        life.began(1)
        box.die(life)
    with pytest.raises(ActorCrashed, match="for time 2"):
        await asking
    (letter,) = box.letters
    assert (Try(1), DeadReason.POISON, 2) == (letter.message, letter.reason, letter.deliveries)


async def test_what_was_told_and_finished_was_handled(box):
    """Nothing is missing from a told message whose acknowledgement died."""
    life = box.live()
    box.ref.tell_nowait(Add(1))
    await at_rest()
    life.began(1, 1)
    box.die(life)
    assert ({"handled": 1}, []) == (+box.mailbox.fates, box.letters)


async def test_an_unwanted_message_ends_with_its_life(box):
    """It is not reported, and it does not come back."""
    life = box.live()
    asking = box.ask(1)
    await at_rest()
    asking.cancel()
    await at_rest()
    box.die(life)
    assert ([], {"cancelled": 1}) == (box.live().numbers, +box.mailbox.fates)
    assert [] == box.letters


async def test_a_life_that_is_stopping_gets_no_more(box):
    """Disconnected, it may still answer what it has."""
    life = box.live()
    asking = box.ask(1)
    await at_rest()
    box.mailbox.consumers.disconnect("a")
    box.ref.tell_nowait(Add(2))
    await at_rest()
    assert [1] == life.numbers
    box.say((1, kinds.REPLY, 10), ack_up_to=1)
    assert 10 == await asking
    box.die(life)
    assert [2] == box.live().numbers


async def test_when_down_fail(box):
    """Without a life such an ask ends at once, and so does one that waits when the last life ends."""
    with pytest.raises(ActorCrashed, match="no running process") as caught:
        await box.ref.ask(Add(0), when_down="fail")
    assert (False, False, None) == (caught.value.started, caught.value.finished, caught.value.report)
    life = box.live()
    fail_if_down, patient = box.ask(1, when_down="fail", timeout=None), box.ask(2, timeout=None)
    await at_rest()
    box.die(life)
    with pytest.raises(ActorCrashed) as caught:
        await fail_if_down
    assert (False, 1) == (caught.value.started, caught.value.report.life)
    assert [2] == box.live().numbers
    box.say((2, kinds.REPLY, 20), ack_up_to=2)
    assert 20 == await patient


# ---- the end


async def test_close(box):
    """What waits becomes dead letters in order, askers hear of it, later messages are refused."""
    box.ref.tell_nowait(Add(1))
    asking = box.ask(2, timeout=None)
    await at_rest()
    box.mailbox.close(Down("gone for good"))
    with pytest.raises(ActorStopped, match="gone for good.*had not begun"):
        await asking
    assert [(Add(1), None), (Add(2), None)] == [(letter.message, letter.sender) for letter in box.letters]
    assert {DeadReason.ACTOR_STOPPED} == {letter.reason for letter in box.letters}
    for send in (box.ref.ask, box.ref.tell):
        with pytest.raises(ActorStopped, match="gone for good.*Add was not sent"):
            await send(Add(3))
    with pytest.raises(ActorStopped):
        box.ref.tell_nowait(Add(3))
    box.mailbox.open()
    box.ref.tell_nowait(Add(4))
    assert [4] == box.live().numbers


async def test_terminated(box):
    """A watcher hears of the end, also afterwards."""
    watching = asyncio.create_task(box.ref.terminated())
    given_up = asyncio.create_task(box.ref.terminated())
    await at_rest()
    given_up.cancel()
    await at_rest()
    box.mailbox.close(Down("gone for good"))
    assert await watching == await box.ref.terminated()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert {} == box.mailbox._watchers


async def test_another_thread_is_refused(box):
    """Refs are not for every thread; the remedy is named."""
    caught = []

    def send():
        try:
            box.ref.tell_nowait(Add(1))
        except UsageError as error:
            caught.append(str(error))

    thread = threading.Thread(target=send)
    thread.start()
    thread.join()
    assert "run_coroutine_threadsafe" in caught[0]


# ---- lives that lie


@pytest.mark.parametrize(
    ("items", "ack_up_to"),
    [
        ([(7, kinds.REPLY, 1)], 0),
        ([(1, kinds.REPLY, "not a number")], 0),
        ([(1, 99, None)], 0),
        ([(1, kinds.STOPPED, "x")], 0),
        ([(1, kinds.FAILED, "no failure")], 0),
        ([(1, kinds.REJECTED, 5)], 0),
        ([(1, kinds.UNDECODABLE, None)], 0),
        ([(1, kinds.REPLY, 1), (1, kinds.REPLY, 1)], 0),
        ([], 1),
        ([], 2**62),
        ([(1, kinds.DONE, None)], 0),
        ([(1, kinds.CANCELLED, None)], 0),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_forged_outcomes(box, items, ack_up_to):
    """A life with an impossible report ends, and no asker waits for ever."""
    life = box.live()
    asking = box.ask(1, timeout=None)
    await at_rest()
    with pytest.raises(WireError):
        box.say(*items, ack_up_to=ack_up_to)
    life.began(1)
    box.die(life)
    box.mailbox.close(Down("over"))
    async with asyncio.timeout(5):
        await asyncio.wait([asking])
    assert asking.exception() is None or isinstance(asking.exception(), ActorCrashed | ActorStopped)
    assert 0 == box.mailbox.depth
    assert 1 == sum(box.mailbox.fates.values())


async def test_garbage_payloads(box):
    """Bytes that are no value are refused like a value of a wrong type."""
    life = box.live()
    asking = box.ask(1, timeout=None)
    await at_rest()
    with pytest.raises(WireError):
        box.mailbox.dispatcher.on_outcomes("a", Outcomes(0, [Outcome(1, kinds.REPLY, msgspec.Raw(b"\xc1"))]))
    with pytest.raises(ActorCrashed, match="does not decode"):
        await asking
    box.die(life)


@pytest.mark.parametrize("data", [b"\xc1", b"", b"\x93\xa3Add", encode(["Nobody", 1])], ids=repr)
async def test_bytes_of_an_actor_are_checked(box, data):
    """What one actor sends to another is of a class that this one handles, or a UsageError for the sender."""
    with pytest.raises(UsageError):
        box.mailbox.intake.check_bytes(msgspec.Raw(data), kinds.TELL, None, ())


async def test_fields_of_an_actor_s_message_are_not_decoded(box):
    """Nor by one call for many. The receiver decodes them; what was kept in a store is decoded before it enters."""
    wrong = encode(["Add", "x"])
    assert "Add" == box.mailbox.intake.check_bytes(msgspec.Raw(wrong), kinds.TELL, None, ()).name
    (part,) = box.mailbox.bulk.check_bytes(msgspec.Raw(b"\x92" + wrong + encode(Add(1))), kinds.TELL, "b")
    assert {"Add"} == {handler.message.__qualname__ for handler in part.handlers}
    with pytest.raises(UsageError, match="a field has the wrong type"):
        box.mailbox.intake.check_stored(wrong)


async def test_bytes_of_an_actor_for_one_that_is_down(box):
    """The same as for the daemon's own messages."""
    box.mailbox.close(Down("over"))
    with pytest.raises(ActorStopped):
        box.mailbox.intake.check_bytes(msgspec.Raw(encode(Add(1))), kinds.ASK, None, ())


# ---- pools


async def test_a_sender_at_the_end_of_its_stack_stops_no_other(box, monkeypatch):
    """Where its call cannot plan what happens next, the call of the next sender does."""
    life = box.live()
    box.ref.tell_nowait(Add(1))  # given at once; those that follow wait for the end of the turn
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "call_soon", raise_recursion_error)
        with pytest.raises(RecursionError):
            box.ref.tell_nowait(Add(2))
    box.ref.tell_nowait(Add(3))
    await at_rest()
    assert 3 == len(life.received)


def raise_recursion_error(*_: object) -> None:
    raise RecursionError


async def test_a_pool_shares_fairly():
    """Each free member gets the next message, none hoards."""
    box = Box(members=("a/0", "a/1"))
    lives = [box.live(member) for member in ("a/0", "a/1")]
    for number in range(20):
        box.ref.tell_nowait(Add(number))
    await at_rest()
    counts = [len(life.received) for life in lives]
    assert abs(counts[0] - counts[1]) <= 1
    assert sum(counts) < 20
    box.mailbox.dispatcher.on_outcomes("a/0", Outcomes(lives[0].received[-1].seq, []))
    await at_rest()
    assert len(lives[0].received) > counts[0]


async def test_a_dead_members_messages_go_to_the_others():
    """And are not taken for done because later ones are."""
    box = Box(members=("a/0", "a/1"))
    dead, other = box.live("a/0"), box.live("a/1")
    for number in range(2 * consumers.MOST_AHEAD):
        box.ref.tell_nowait(Add(number))
    await at_rest()
    had = dead.numbers
    box.mailbox.dispatcher.on_outcomes("a/1", Outcomes(other.received[-1].seq, []))
    box.die(dead, "a/0")
    await at_rest()
    box.mailbox.dispatcher.on_outcomes("a/1", Outcomes(other.received[-1].seq, []))
    assert set(had) <= set(other.numbers)
    before = len(box.letters)
    other.doing = Progress(0, frozenset(), 0, -1)
    box.die(other, "a/1")
    assert before == len(box.letters)
    assert sorted(had) == sorted(set(box.live("a/0").numbers) & set(had))


async def test_the_same_key_goes_to_the_same_member():
    """In its order, over all lives of that member."""
    box = Box(members=("a/0", "a/1", "a/2"), routing=Routing.BY_KEY, key="number")
    lives = {member: box.live(member) for member in ("a/0", "a/1", "a/2")}
    for _ in range(2):
        for number in range(12):
            box.ref.tell_nowait(Add(number))
            await at_rest()
            for member, life in lives.items():
                if life.received:
                    box.mailbox.dispatcher.on_outcomes(member, Outcomes(life.received[-1].seq, []))
    homes = [{member for member, life in lives.items() if number in life.numbers} for number in range(12)]
    assert [1] * 12 == [len(home) for home in homes]
    assert len(set.union(*homes)) > 1


async def test_in_turn():
    """Round robin: one for each, then again."""
    box = Box(members=("a/0", "a/1"), routing=Routing.ROUND_ROBIN)
    lives = [box.live(member) for member in ("a/0", "a/1")]
    for number in range(6):
        box.ref.tell_nowait(Add(number))
    await at_rest()
    assert [3, 3] == [len(life.received) for life in lives]


async def test_a_member_leaves_and_its_messages_do_not():
    """What waited for it goes to those that stay, and is answered there."""
    box = Box(members=("a/0", "a/1"), routing=Routing.ROUND_ROBIN)
    asks = [box.ask(number, timeout=None) for number in range(4)]
    await at_rest()
    box.mailbox.remove_member("a/1")
    life = box.live("a/0")
    assert [0, 1, 2, 3] == life.numbers
    for posted, number in zip(life.received, life.numbers, strict=True):
        box.say((posted.seq, kinds.REPLY, number), member="a/0")
    assert [0, 1, 2, 3] == await asyncio.gather(*asks)


def test_an_empty_payload_is_nil():
    """What has no payload decodes to None."""
    assert msgspec.msgpack.decode(NOTHING) is None
