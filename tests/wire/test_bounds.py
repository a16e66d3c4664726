"""What one actor may have under way in the daemon has bounds; beyond them its life ends, or it is told no."""

from __future__ import annotations

import asyncio
import time
import weakref

import msgspec
import pytest

from actors import MailboxFull
from actors.ref import STREAM_CREDIT
from actors.wire import from_child, kinds
from actors.wire.codec import encode
from actors.wire.framing import ROOM, attachment_header, header
from actors.wire.from_child import CrashReport, MoreItems, Outcome, Outcomes, Publish, Send, Subscribe, Watch, Withdraw
from actors.wire.kinds import ASK, NOTHING, STREAM, TELL
from supervisor import ChildSpec, InvalidSpec, SupervisorSpec
from supervisor.io import pipe_writer
from supervisor.mailbox import capacity
from supervisor.messaging import actor_sends, pubsub, remote_ask
from supervisor.spec_validation import check_child
from tests.support.bare import BareSupervisor, narrow
from tests.support.everything import Everything, Feed, Flow, Sync, Word
from tests.support.waiting import at_rest, until

WORD = msgspec.Raw(encode(Word("w")))


def send(correlation=0, kind=TELL, to="/root/b", message=WORD, **options):
    fields = {"deadline": None, "delay": 0.0, "fail_if_down": False, "blocking": False, **options}
    return Send(to, kind, correlation, message=message, **fields)


def bare(**options):
    return BareSupervisor("a", "b", actor=Everything, **options)


async def refused(root, why, *frames):
    """These frames end the life of `a` with that reason, and no other."""
    a, b = root.child("a"), root.child("b")
    a.say(*frames)
    assert a.refused is not None
    assert why in a.refused
    await until(lambda: root.child("a") is not a, "the next life")
    assert b is root.child("b")
    assert b.refused is None


async def test_a_flood_of_asks(monkeypatch):
    """One more than may wait is answered at once: full; the others go on."""
    monkeypatch.setattr(remote_ask, "MAX_ASKS", 100)
    async with bare() as root:
        a = root.child("a")
        a.say(*(send(number, ASK) for number in range(1, 121)))
        a.read()
        assert [kinds.FULL] * 20 == [answer.kind for answer in a.answers]
        assert 100 == root["b"]._mailbox.depth
        a.say(*(Withdraw(number) for number in range(1, 101)), send(500, ASK))
        a.read()
        assert 20 == len(a.answers)
        assert a.refused is None


async def test_a_number_that_is_in_use():
    """Two waiters under one number could not be told apart."""
    async with bare() as root:
        await refused(root, "two of it wait under the number 1", send(1, ASK), send(1, ASK))
        await refused(root, "two of it wait under the number 2", Watch("/root/b", 2), Watch("/root/b", 2))


async def test_an_ask_that_nobody_waits_for():
    """There is no such thing."""
    async with bare() as root:
        await refused(root, "without a correlation number", send(0, ASK))


async def test_bytes_in_line(monkeypatch):
    """What waits for room in another's mailbox is bounded in bytes; beyond them the sender is told so."""
    monkeypatch.setattr(actor_sends, "MAX_WAITING_BYTES", 10_000)
    async with bare(mailbox=1) as root:
        a = root.child("a")
        big = msgspec.Raw(encode(Word("x" * 1000)))
        a.say(*(send(number, message=big) for number in range(1, 31)))
        a.read()
        answers = [answer.kind for answer in a.answers]
        assert 1 == answers.count(kinds.ACCEPTED)
        assert 20 == answers.count(kinds.FULL)
        assert a.refused is None


async def test_delayed_messages():
    """As many as the mailbox holds wait for their time."""
    async with bare(mailbox=5) as root:
        a = root.child("a")
        a.say(*(send(number, delay=3600.0) for number in range(1, 9)))
        a.read()
        assert [kinds.ACCEPTED] * 5 + [kinds.FULL] * 3 == [answer.kind for answer in a.answers]
        with pytest.raises(MailboxFull, match="5 delayed messages for /root/b wait for their time"):
            await root["b"].tell(Word(), delay=3600.0)


@pytest.mark.parametrize("delay", [float("nan"), -1.0])
async def test_times_that_are_none(delay):
    """No clock goes by them."""
    async with bare() as root:
        await refused(root, "does not decode: Expected `float` >= 0.0", send(delay=delay))
        await refused(root, "does not decode: Expected `float` >= 0.0", send(1, ASK, deadline=delay))


async def test_topics(monkeypatch):
    """Topics of one actor are bounded in number and in length."""
    monkeypatch.setattr(pubsub, "MAX_TOPICS", 10)
    async with bare() as root:
        await refused(root, "subscribes to more than 10 topics", *(Subscribe(f"t{number}") for number in range(11)))
        await refused(root, "does not decode: Expected `str` of length <= 255", Subscribe("x" * 256))
        await refused(root, "does not decode: Expected `str` of length <= 255", Publish("x" * 256, NOTHING))


async def test_watches(monkeypatch):
    """An actor that watches unknown paths endlessly and reads no notice ends."""
    monkeypatch.setattr(capacity, "WATCHED", 10)
    async with bare(mailbox=5) as root:
        await refused(
            root,
            "has more notices of ended actors waiting than allowed",
            *(Watch("/root/nobody", 0) for _ in range(30)),
        )
    async with BareSupervisor("a", "b", actor=Sync) as root:
        await refused(root, "does not handle Terminated", Watch("/root/b", 0))


async def test_a_watch_ends_with_its_life():
    """Nothing of it is left at the watched one."""
    async with bare() as root:
        a = root.child("a")
        watchers = root["b"]._mailbox._watchers
        a.say(*(Watch("/root/b", number) for number in range(1, 11)))
        assert 10 == len(watchers)
        a.say(Withdraw(3))
        assert 9 == len(watchers)
        a.life.kill()
        await until(lambda: root.child("a") is not a, "the next life")
        assert 0 == len(watchers)


async def test_items_that_nobody_asked_for():
    """A stream is not further ahead than its reader lets it: in the daemon."""
    async with bare() as root:
        reading = root["a"].stream(Flow())
        first = asyncio.create_task(anext(reading))
        await at_rest()
        item = Outcome(1, kinds.ITEM, msgspec.Raw(encode(1)))
        await refused(root, "more than 64 items ahead", Outcomes(0, [item] * (STREAM_CREDIT + 2)))
        assert 1 == await first
        await reading.aclose()


async def test_items_between_actors():
    """Nor between actors: a sender of too many items ends, and so does a reader that takes too many."""
    async with bare() as root:
        a, b = root.child("a"), root.child("b")
        a.say(send(1, STREAM, message=msgspec.Raw(encode(Flow()))))
        await at_rest()
        item = Outcome(1, kinds.ITEM, msgspec.Raw(encode(1)))
        b.say(Outcomes(0, [item] * STREAM_CREDIT))
        a.say(MoreItems(1, 32))
        b.say(Outcomes(0, [item] * 32))
        assert b.refused is None
        b.say(Outcomes(0, [item]))
        assert "streams more items than its reader takes" in b.refused
        assert a.refused is None
        a.read()
        assert 96 == sum(answer.kind == kinds.ITEM for answer in a.answers)
        await until(lambda: root.child("b") is not b, "the next life")
        a.say(send(2, STREAM, message=msgspec.Raw(encode(Flow()))))
        await refused(root, "takes 65 items of a stream at once", MoreItems(2, 1))


@pytest.mark.parametrize("count", [2**40, 65, -1, "x"])
async def test_wants_of_a_feed(count):
    """A handler that is fed asks for a few items at a time."""
    async with bare() as root:
        feeding = asyncio.create_task(root["a"].feed(Feed(), range(1_000_000)))
        await at_rest()
        why = "wants" if isinstance(count, int) and count > 0 else "does not decode"
        await refused(root, why, Outcomes(0, [Outcome(1, kinds.WANT, msgspec.Raw(encode(count)))]))
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def test_two_farewells():
    """No process leaves twice."""
    async with bare() as root:
        words = CrashReport("in f", from_child.Failure("E", "m", "t"))
        await refused(root, "it said goodbye twice", words, words)


@pytest.mark.parametrize("place", range(4))
async def test_last_words_without_end(place):
    """What goes into a report and a log is no book."""
    words = ["x" * 300_000 if at == place else "x" for at in range(4)]
    async with bare() as root:
        await refused(
            root,
            "does not decode: Expected `str` of length <= 262144",
            CrashReport(words[0], from_child.Failure(*words[1:])),
        )


async def test_who_does_not_read(monkeypatch):
    """What waits for a child is bounded: a child that lets it grow without end is ended."""
    monkeypatch.setattr(pipe_writer, "MAX_PIECES", 200)
    async with bare() as root:
        a = root.child("a")
        narrow(a, 1)
        for number in range(1, 2000):
            a.say(Watch(f"/root/nobody{'x' * 500}", number))
            if a.refused:
                break
        assert "it does not read" in a.refused
        assert root.child("b").refused is None


async def test_unknown_names_cost_little():
    """Looking for what comes near takes a small part of the loop's time; a long name is not repeated."""
    async with bare() as root:
        a = root.child("a")
        began = time.thread_time()
        a.say(*(send(number, ASK, to=f"/root/{'c' * 150}{number}") for number in range(1, 2001)))
        assert time.thread_time() - began < 2.0
        a.say(send(5000, ASK, to="/root/" + "x" * 1_000_000))
        assert a.refused is None
        a.read()
        assert {kinds.UNKNOWN} == {answer.kind for answer in a.answers}
        assert len(bytes(a.answers[-1].payload)) < 500


async def test_attachments_that_belong_to_nothing():
    """A message without room for them is refused with its life."""
    async with bare() as root:
        a = root.child("a")
        frame = encode(send(message=WORD, beside=(0,)))
        a.feed(header(len(frame)) + frame)
        assert "attachments came for the fields [0] of Word" in a.refused


def test_frames_of_a_spec():
    """A frame holds the largest message; the arithmetic is in the refusal."""
    parent = SupervisorSpec()
    check_child(ChildSpec(Everything, max_frame_bytes=2 * ROOM, max_message_bytes=ROOM), parent)
    with pytest.raises(InvalidSpec, match=r"max_frame_bytes: expected 1048577 to 134217728 bytes"):
        check_child(ChildSpec(Everything, max_frame_bytes=ROOM), parent)
    with pytest.raises(
        InvalidSpec,
        match=r"a message of max_message_bytes=1048577 and the 1048576 bytes of what goes with it make a frame of "
        r"2097153: lower max_message_bytes to 1048576, or raise max_frame_bytes, got 2097152",
    ):
        check_child(ChildSpec(Everything, max_frame_bytes=2 * ROOM, max_message_bytes=ROOM + 1), parent)


async def test_a_frame_over_the_limit_of_its_spec():
    """The limit is that of the child."""
    async with bare(max_frame_bytes=2 * ROOM, max_message_bytes=ROOM) as root:
        a = root.child("a")
        a.feed(header(2 * ROOM + 1))
        assert f"a frame announces {2 * ROOM + 1} bytes, the limit is {2 * ROOM}" in a.refused


async def test_what_never_comes_whole_is_given_back():
    """A life that ends in the middle of a large value releases it, even while the life object is still referenced."""
    async with BareSupervisor("a", actor=Everything) as root:
        child = root.child("a")
        child.feed(attachment_header(3) + b"one" + attachment_header(2**20) + b"x")
        assert child.unfinished
        reader = weakref.ref(child.life._frames)
        child.worker.hang_up()
        await until(lambda: root.child("a") is not child, "the next life")
        assert reader() is None
