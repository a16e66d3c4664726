"""What messages do: flow, time, cancellation, streams, topics, the fate of each; between processes, and inline."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
from contextlib import aclosing

import numpy as np
import pytest

from actors import (
    ActorCrashed,
    ActorRef,
    ActorStopped,
    AskTimeout,
    HandlerError,
    MailboxFull,
    Terminated,
    UsageError,
)
from actors.ref import STREAM_CREDIT
from actors.wire.framing import MAX_MESSAGE, _Arriving
from examples.arrays import Scale, Scaler
from supervisor import Backoff, ChildSpec, DeadReason, Intensity, Missed, Overflow, RestartPolicy, Supervisor
from supervisor.io.fds import CHUNK
from tests.support.engines import either_way
from tests.support.messages import (
    ODD,
    PRICES,
    AfterStall,
    AskSender,
    AskToHold,
    Async,
    Blob,
    Count,
    Grow,
    Hold,
    Kill,
    KillOften,
    Many,
    Me,
    Odd,
    Price,
    Publish,
    Put,
    ReadOther,
    Ring,
    Said,
    Seen,
    SendBlob,
    Sender,
    Stall,
    Stalling,
    Stoic,
    Subscriber,
    Sum,
    Sync,
    TellOther,
    Through,
    Timers,
    WatchOther,
)
from tests.support.waiting import DEADLINE, Watch, at_rest, dead_letter, until

AT_ONCE = Backoff(initial=0.0, cap=0.0)
BOTH = pytest.mark.parametrize("actor", [Sync, Async])


def tree(*specs, **options):
    """Started together, and not giving up soon."""
    return Supervisor(*specs, **{"intensity": Intensity(100, 5.0), "start": "parallel", "spares": 0, **options})


def child(actor=Sync, name="a", *args, **options):
    return ChildSpec(actor, args=args, **{"name": name, "backoff": AT_ONCE, **options})


def fates(root, name="a"):
    return next(one.fates for one in root.snapshot().children if one.name == name)


async def counted(root, wanted, name="a"):
    """Wait until the messages of an actor have ended so."""
    try:
        await until(lambda: fates(root, name) == wanted)
    except AssertionError:
        assert wanted == fates(root, name)


def depth(root, name="a"):
    return next(one.mailbox for one in root.snapshot().children if one.name == name)


async def held(root, path, name="a"):
    """An ask that holds the actor, once it does."""
    asking = asyncio.create_task(root[name].ask(Hold(str(path)), timeout=None))
    await until(lambda: next(one for one in root.snapshot().children if one.name == name).handling == "Hold", "holding")
    return asking


async def said(path, line, times=1):
    """Wait for a line in an actor's diary."""
    await until(lambda: path.exists() and path.read_text().splitlines().count(line) >= times, f"{line!r} in the diary")


# ---- back-pressure


@pytest.mark.processes
async def test_overflow_wait(tmp_path):
    """A tell waits for room; an ask waits, within its timeout; tell_nowait is refused; nothing is dropped."""
    gate = tmp_path / "gate"
    async with tree(child(mailbox=2)) as root:
        holding, ref = await held(root, gate), root["a"]
        ref.tell_nowait(Put(1))
        ref.tell_nowait(Put(2))
        with pytest.raises(MailboxFull, match=r"as many as its mailbox holds; Put was not sent. Wait with"):
            ref.tell_nowait(Put(3))
        with pytest.raises(AskTimeout, match="had no room"):
            await ref.ask(Put(4), timeout=0.02)
        waiting = asyncio.create_task(ref.tell(Put(5)))
        await at_rest()
        assert not waiting.done()
        gate.touch()
        await waiting
        await holding
        assert [1, 2, 5] == await ref.ask(Seen())
        await counted(root, {"handled": 5})


@pytest.mark.processes
async def test_a_cancelled_tell_that_waited_sends_nothing(tmp_path):
    """Nor does it take the room of the next in line."""
    gate = tmp_path / "gate"
    async with tree(child(mailbox=1)) as root:
        holding, ref = await held(root, gate), root["a"]
        ref.tell_nowait(Put(1))
        waiting = [asyncio.create_task(ref.tell(Put(number))) for number in (2, 3)]
        await at_rest()
        waiting[0].cancel()
        gate.touch()
        await waiting[1]
        await holding
        assert [1, 3] == await ref.ask(Seen())
        assert waiting[0].cancelled()


@pytest.mark.processes
async def test_an_actors_tell_that_is_cancelled_while_it_waits_sends_nothing(tmp_path):
    """Cancelling the handler that waits for room takes its tell out of the line."""
    gate, diary = tmp_path / "gate", tmp_path / "diary"
    async with tree(child(mailbox=1), child(Async, "b", str(diary))) as root:
        holding, ref = await held(root, gate), root["a"]
        telling = asyncio.create_task(root["b"].ask(TellOther(ref, [1, 2])))
        mailbox = root._tree.registry.find("/root/a")
        await until(lambda: mailbox.capacity.line, "waiting for room")
        telling.cancel()
        await until(lambda: not mailbox.capacity.line, "leaving the line")
        gate.touch()
        await holding
        assert [1] == await ref.ask(Seen())
        await counted(root, {"cancelled": 1}, "b")


@pytest.mark.processes
async def test_an_actors_tells_keep_their_order_while_they_wait(tmp_path):
    """Tells of one actor that wait for room together are taken in the order in which they were sent."""
    gate = tmp_path / "gate"
    async with tree(child(mailbox=3), child(Async, "b")) as root:
        holding, ref = await held(root, gate), root["a"]
        telling = asyncio.create_task(root["b"].ask(TellOther(ref, list(range(500)), how="gather"), timeout=20.0))
        await until(lambda: depth(root) >= 3, "a full mailbox")
        gate.touch()
        await holding
        assert "told" == await telling
        assert list(range(500)) == await ref.ask(Seen())


@pytest.mark.processes
@pytest.mark.parametrize("way", ["tell", "tell_nowait", "ask"])
async def test_overflow_fail(tmp_path, way):
    """A sender of one message more gets MailboxFull at once."""
    gate = tmp_path / "gate"
    async with tree(child(mailbox=2, overflow=Overflow.FAIL)) as root:
        holding, ref = await held(root, gate), root["a"]
        ref.tell_nowait(Put(1))
        ref.tell_nowait(Put(2))
        with pytest.raises(MailboxFull, match="With overflow='fail' no sender waits: send it again later"):
            sent = getattr(ref, way)(Put(3))
            await sent
        gate.touch()
        await holding
        await until(lambda: depth(root) == 0, "an empty mailbox")
        assert [1, 2] == await ref.ask(Seen())


@pytest.mark.processes
@pytest.mark.parametrize("way", ["tell", "tell_nowait"])
async def test_overflow_drop_oldest(tmp_path, way):
    """The longest-waiting message becomes a dead letter, its asker gets MailboxFull, the new one is taken."""
    gate = tmp_path / "gate"
    async with tree(child(mailbox=4, overflow=Overflow.DROP_OLDEST)) as root:
        letters = root.dead_letters()
        holding, ref = await held(root, gate), root["a"]
        asked = asyncio.create_task(ref.ask(Put(0), timeout=None))
        await at_rest()
        for number in range(1, 20):
            sent = getattr(ref, way)(Put(number))
            if sent is not None:
                await sent
        gate.touch()
        await holding
        await until(lambda: depth(root) == 0, "an empty mailbox")
        seen = await ref.ask(Seen())
        dropped = [(await dead_letter(letters)).message.number for _ in range(20 - len(seen))]
        assert sorted(dropped) == dropped
        assert list(range(20)) == sorted(dropped + seen)
        assert [17, 18, 19] == seen[-3:]
        assert len(dropped) == fates(root)["mailbox_full"]
        if 0 in dropped:
            with pytest.raises(MailboxFull, match="the oldest goes"):
                await asked
        else:
            assert 0 == await asked


@pytest.mark.processes
async def test_overflow_drop_newest(tmp_path):
    """The new message becomes a dead letter: a tell returns, an asker gets MailboxFull."""
    gate = tmp_path / "gate"
    async with tree(child(mailbox=2, overflow=Overflow.DROP_NEWEST)) as root:
        letters = root.dead_letters()
        holding, ref = await held(root, gate), root["a"]
        ref.tell_nowait(Put(1))
        ref.tell_nowait(Put(2))
        ref.tell_nowait(Put(3))
        await ref.tell(Put(4))
        with pytest.raises(MailboxFull):
            await ref.ask(Put(5))
        with pytest.raises(MailboxFull):
            await anext(ref.stream(Count(3)))
        with pytest.raises(MailboxFull):
            await ref.feed(Sum(), [1])
        dead = [await dead_letter(letters) for _ in range(5)]
        assert ["Put", "Put", "Put", "Count", "Sum"] == [letter.message_type for letter in dead]
        assert {DeadReason.MAILBOX_FULL} == {letter.reason for letter in dead}
        gate.touch()
        await holding
        await until(lambda: depth(root) == 0, "an empty mailbox")
        assert [1, 2] == await ref.ask(Seen())
        await counted(root, {"handled": 4, "mailbox_full": 5})


@pytest.mark.processes
async def test_an_actors_tell_nowait_to_a_full_mailbox_is_a_dead_letter(tmp_path):
    """It cannot be refused there, so the message itself is in the dead letter, with its sender."""
    gate = tmp_path / "gate"
    async with tree(child(mailbox=1), child(Async, "b")) as root:
        letters = root.dead_letters()
        holding, ref = await held(root, gate), root["a"]
        assert "told" == await root["b"].ask(TellOther(ref, [1, 2], how="nowait"))
        letter = await dead_letter(letters)
        assert (Put(2), "/root/b", DeadReason.MAILBOX_FULL) == (letter.message, letter.sender, letter.reason)
        gate.touch()
        await holding
        await counted(root, {"handled": 2, "mailbox_full": 1})


@pytest.mark.processes
async def test_mailbox_bytes(tmp_path):
    """A mailbox may be full of bytes, too; dropping makes as much room as one message more needs."""
    gate = tmp_path / "gate"
    oldest = child(name="b", mailbox_bytes=10_000, overflow=Overflow.DROP_OLDEST, mailbox=2)
    async with tree(child(mailbox_bytes=10_000, overflow=Overflow.FAIL), oldest) as root:
        for name in "ab":
            holding, ref = await held(root, gate, name), root[name]
            ref.tell_nowait(Blob(b"x" * 6000))
            ref.tell_nowait(Blob(b"x" * 6000))
            if name == "a":
                with pytest.raises(
                    MailboxFull, match=r"has messages of 1\d{4} bytes, .* holds 10000; .* `mailbox_bytes="
                ):
                    ref.tell_nowait(Put(1))
            else:
                ref.tell_nowait(Put(1))
            gate.touch()
            await holding
            await until(lambda name=name: depth(root, name) == 0, "an empty mailbox")
            assert ([] if name == "a" else [1]) == await ref.ask(Seen())
            gate.unlink()
        await counted(root, {"handled": 4}, "a")
        await counted(root, {"handled": 4, "mailbox_full": 1}, "b")


@either_way
async def test_max_message_bytes():
    """A message that is too large is refused at its sender, in the daemon and in an actor."""
    async with tree(child(max_message_bytes=1000), child(Async, "b")) as root:
        with pytest.raises(UsageError, match="Blob for /root/a has .* bytes, the most is 1000"):
            await root["a"].ask(Blob(b"x" * 1000))
        assert b"x" * 900 == await root["a"].ask(Blob(b"x" * 900))
        assert (await root["b"].ask(SendBlob(root["a"], 1000))).startswith("UsageError: Blob for /root/a has")
        assert "900" == await root["b"].ask(SendBlob(root["a"], 900))
        await counted(root, {"handled": 2})


@either_way
async def test_what_fits_no_frame():
    """A message or a reply above what any channel carries is refused where it is made; the life goes on."""
    async with tree(child(Stoic)) as root:
        with pytest.raises(
            HandlerError, match="the reply has .* bytes, the most is .*; return Shared, a stream, or a path"
        ):
            await root["a"].ask(Grow(MAX_MESSAGE + 1))
        assert (await root["a"].ask(SendBlob(root["a"], MAX_MESSAGE))).startswith("UsageError: Blob has ")
        await counted(root, {"failed": 1, "handled": 1})
        assert 1 == root.snapshot().children[0].life


@pytest.fixture
def copies(monkeypatch):
    """The largest pieces of large values that this process has copied."""
    sizes = [0]
    put = _Arriving.put

    def noted(arriving, piece):
        sizes.append(len(piece))
        put(arriving, piece)

    monkeypatch.setattr(_Arriving, "put", noted)
    return sizes


@pytest.mark.processes
@pytest.mark.parametrize("reading", ["thread", "loop"])
async def test_large_payloads_stall_nobody(reading, copies):
    """64 MiB go through an ask and back, while another actor answers; no more than a little is ever copied at once."""
    async with tree(child(), child(name="b"), reading=reading) as root:
        blob = random.Random(1).randbytes(64 * 1024 * 1024)
        asking = asyncio.create_task(root["a"].ask(Blob(blob), timeout=None))
        answered = 0
        while not asking.done():
            await root["b"].ask(Put(answered))
            answered += 1
        assert blob == await asking
        assert answered > 10
    assert max(copies) <= CHUNK


@pytest.mark.processes
async def test_large_payloads_pass_through(copies):
    """The same from one actor to another: the daemon passes on what it gets."""
    size = 64 * 1024 * 1024
    async with tree(child(), child(Async, "b"), child(name="c")) as root:
        asking = asyncio.create_task(root["b"].ask(SendBlob(root["a"], size), timeout=None))
        answered = 0
        while not asking.done():
            await root["c"].ask(Put(answered))
            answered += 1
        assert str(size) == await asking
        assert answered > 10
    assert max(copies) <= CHUNK


@either_way
async def test_a_large_message_survives_a_crash():
    """Waiting for its next life, or buried, it is all there."""
    blob = random.Random(2).randbytes(2 * 1024 * 1024)
    async with tree(child(backoff=AT_ONCE), child(Sync, "b", restart=RestartPolicy.TEMPORARY)) as root:
        with pytest.raises(ActorCrashed):
            await root["a"].ask(Kill())
        assert blob == await root["a"].ask(Blob(blob))
        letters = root.dead_letters()
        root["b"].tell_nowait(Kill())
        root["b"].tell_nowait(Blob(blob))
        assert Kill() == (await dead_letter(letters)).message
        assert Blob(blob) == (await dead_letter(letters)).message


@either_way
async def test_an_async_actor_makes_large_replies():
    """As a sync one does."""
    async with tree(child(Async)) as root:
        replies = await asyncio.gather(*(root["a"].ask(Grow(size * 1024 * 1024)) for size in (3, 0, 2)))
        assert [3 * 1024 * 1024, 0, 2 * 1024 * 1024] == list(map(len, replies))


# ---- deadlines


@pytest.mark.processes
@pytest.mark.parametrize("actor", [Sync, Async])
async def test_a_deadline_is_inherited(tmp_path, actor):
    """An ask that a handler makes ends with the ask the handler works for, whatever its own timeout says."""
    gate, diary = tmp_path / "gate", tmp_path / "diary"
    async with tree(child(Async), child(actor, "b", str(diary))) as root:
        try:
            answer = await root["b"].ask(AskToHold(root["a"], str(gate)), timeout=0.2)
        except AskTimeout:
            pass
        else:  # the inner one noticed first
            assert answer.startswith("AskTimeout")
        await until(lambda: diary.exists() and diary.read_text(), "the end of the inner ask")
        assert diary.read_text().split()[0] in ("AskTimeout", "cancelled")
        await until(lambda: depth(root) == 0, "the held message is withdrawn")


@pytest.mark.processes
async def test_expired_work_is_skipped_and_counted(tmp_path):
    """What was cancelled is not begun, wherever it is."""
    gate = tmp_path / "gate"
    async with tree(child()) as root:
        holding, ref = await held(root, gate), root["a"]
        asks = [asyncio.create_task(ref.ask(Put(number), timeout=0.05)) for number in range(2000)]
        assert {AskTimeout} == {type(end) for end in await asyncio.gather(*asks, return_exceptions=True)}
        gate.touch()
        await holding
        assert [] == await ref.ask(Seen())
        await counted(root, {"handled": 2, "expired": 2000})


# ---- cancellation


@pytest.mark.processes
@pytest.mark.parametrize("actor", [Async, Many])
async def test_cancelling_an_ask_cancels_its_handler(tmp_path, actor):
    """The handler gets CancelledError, soon, and the actor goes on."""
    diary = tmp_path / "diary"
    async with tree(child(actor, "a", str(diary))) as root:
        asking = await held(root, tmp_path / "never")
        asking.cancel()
        await said(diary, "cancelled")
        assert ["holding", "cancelled"] == await root["a"].ask(Said())
        await counted(root, {"cancelled": 1, "handled": 1})


@pytest.mark.processes
async def test_a_timeout_cancels_the_handler(tmp_path):
    """As a cancellation does; it counts as expired."""
    diary = tmp_path / "diary"
    async with tree(child(Async, "a", str(diary))) as root:
        with pytest.raises(AskTimeout):
            await root["a"].ask(Hold(str(tmp_path / "never")), timeout=0.05)
        await said(diary, "cancelled")
        await counted(root, {"expired": 1})


@pytest.mark.processes
@BOTH
async def test_cancelling_removes_a_queued_message(tmp_path, actor):
    """In the daemon's queue and in the actor's process."""
    gate = tmp_path / "gate"
    async with tree(child(actor)) as root:
        holding, ref = await held(root, gate), root["a"]
        asks = [asyncio.create_task(ref.ask(Put(number), timeout=None)) for number in range(1500)]
        await at_rest()
        for ask in asks:
            ask.cancel()
        await asyncio.gather(*asks, return_exceptions=True)
        gate.touch()
        await holding
        assert [] == await ref.ask(Seen())
        await counted(root, {"cancelled": 1500, "handled": 2})


@pytest.mark.processes
async def test_a_cancellation_read_early_does_not_hold_up_an_async_actor(tmp_path):
    """What the doorbell let it read is not read again when its loop sees the channel readable: that would block."""
    gate = tmp_path / "gate"
    async with tree(child(Stalling)) as root:
        after = asyncio.create_task(root["a"].ask(AfterStall(), timeout=DEADLINE))
        stalling = asyncio.create_task(root["a"].ask(Stall(str(gate)), timeout=DEADLINE))
        await until((tmp_path / "gate.begun").exists, "the loop of the actor to be held up")
        queued = asyncio.create_task(root["a"].ask(Put(1), timeout=None))
        await until(lambda: depth(root) == 3, "the third ask to be sent")
        queued.cancel()
        await asyncio.gather(queued, return_exceptions=True)
        gate.touch()
        await stalling
        assert "after" == await after


@pytest.mark.processes
async def test_cancelling_cannot_stop_a_sync_handler(tmp_path):
    """It runs to its end; its reply is dropped, and it counts as handled."""
    gate = tmp_path / "gate"
    async with tree(child()) as root:
        asking = await held(root, gate)
        asking.cancel()
        await at_rest()
        gate.touch()
        assert ["holding", "held"] == await root["a"].ask(Said())
        await counted(root, {"handled": 2})


@pytest.mark.processes
async def test_cancellation_travels_on(tmp_path):
    """A handler that is cancelled cancels the ask it waits for."""
    diary = tmp_path / "diary"
    async with tree(child(Async, "a", str(diary)), child(Async, "b")) as root:
        asking = asyncio.create_task(root["b"].ask(AskToHold(root["a"], str(tmp_path / "never")), timeout=None))
        await said(diary, "holding")
        asking.cancel()
        await said(diary, "cancelled")
        await until(lambda: fates(root) == fates(root, "b") == {"cancelled": 1}, "both fates")


# ---- streams


@either_way
@BOTH
async def test_a_stream(actor):
    """All items, in order, then its end."""
    async with tree(child(actor)) as root:
        assert list(range(1000)) == [item async for item in root["a"].stream(Count(1000))]
        assert [] == [item async for item in root["a"].stream(Count(0))]
        await counted(root, {"handled": 2})


@either_way
@BOTH
async def test_credit_bounds_how_far_a_stream_is_ahead(tmp_path, actor):
    """The actor makes as many items as its reader has room for, and waits."""
    diary = tmp_path / "diary"
    async with tree(child(actor, "a", str(diary))) as root:
        async with aclosing(root["a"].stream(Count(10_000))) as items:
            assert 0 == await anext(items)
            await said(diary, f"made {STREAM_CREDIT - 1}")
            ahead = diary.read_text().count("made")
            assert ahead <= STREAM_CREDIT + 1
            for _ in range(500):
                await anext(items)
            assert diary.read_text().count("made") <= 501 + STREAM_CREDIT + 1
        await said(diary, "closed")
        await counted(root, {"cancelled": 1})


@pytest.mark.processes
@BOTH
async def test_an_item_does_not_wait_for_the_next(actor):
    """The reader has all that was made while the generator is busy with the next one."""
    async with (
        tree(child(actor, shutdown=0.0)) as root,
        aclosing(root["a"].stream(Count(20, at=10, then="hold"))) as items,
    ):
        async with asyncio.timeout(DEADLINE):
            assert list(range(10)) == [await anext(items) for _ in range(10)]


@either_way
@BOTH
async def test_leaving_a_stream_closes_its_generator(tmp_path, actor):
    """Its `finally` runs in the actor, and the actor goes on."""
    diary = tmp_path / "diary"
    async with tree(child(actor, "a", str(diary))) as root:
        async for item in root["a"].stream(Count(10**9)):
            if item == 100:
                break
        await said(diary, "closed")
        assert 1 == await root["a"].ask(Put(1))
        await counted(root, {"cancelled": 1, "handled": 1})


@either_way
@BOTH
async def test_a_crash_in_mid_stream(actor):
    """The items that arrived, none twice, then ActorCrashed; and a dead letter."""
    async with tree(child(actor)) as root:
        letters, got = root.dead_letters(), []
        with pytest.raises(ActorCrashed) as caught:
            async for item in root["a"].stream(Count(1000, at=300, then="kill")):
                got.append(item)
        assert list(range(300)) == got
        assert (True, False) == (caught.value.started, caught.value.finished)
        assert DeadReason.CRASHED is (await dead_letter(letters)).reason


@either_way
@BOTH
async def test_a_generator_that_raises(actor):
    """The items, then HandlerError; the life ends as for any exception."""
    async with tree(child(actor)) as root:
        watch, got = Watch(root), []
        with pytest.raises(HandlerError, match="in the middle"):
            async for item in root["a"].stream(Count(10, at=5, then="raise")):
                got.append(item)
        assert list(range(5)) == got
        assert "ValueError: in the middle" in (await watch.exited("a")).reason.detail
        await counted(root, {"failed": 1})


@pytest.mark.processes
async def test_the_timeout_of_a_stream_is_for_each_item(tmp_path):
    """AskTimeout when the next one does not come, and the generator is closed."""
    diary = tmp_path / "diary"
    async with tree(child(Async, "a", str(diary))) as root:
        got = []
        with pytest.raises(AskTimeout, match="no further item of Count within 0.2 s"):
            async for item in root["a"].stream(Count(10, at=3, then="hold"), timeout=0.2):
                got.append(item)
        assert [0, 1, 2] == got
        await said(diary, "closed")
        assert 1 == await root["a"].ask(Put(1))


@either_way
@BOTH
async def test_an_actor_reads_anothers_stream(tmp_path, actor):
    """To its end, over more than the credit; or leaves it, which closes the generator."""
    diary = tmp_path / "diary"
    async with tree(child(actor, "a", str(diary)), child(Async, "b")) as root:
        assert list(range(500)) == await root["b"].ask(ReadOther(root["a"], 500))
        assert list(range(10)) == await root["b"].ask(ReadOther(root["a"], 10**9, leave=10))
        await said(diary, "closed", 2)
        await counted(root, {"handled": 1, "cancelled": 1})


@either_way
@BOTH
async def test_stopping_the_tree_ends_an_endless_stream(tmp_path, actor):
    """Within its grace, as a stop of any actor; the reader hears that the actor is stopped."""
    diary = tmp_path / "diary"
    async with tree(child(actor, "a", str(diary), shutdown=15.0)) as root:
        watch = Watch(root)
        stream = root["a"].stream(Count(10**9))
        assert 0 == await anext(stream)
        reading = asyncio.create_task(drain(stream))
        await until(lambda: diary.read_text().count("made") > 1000, "flowing")
        root.request_stop()
        report = await watch.exited("a")
        assert "shutdown" == report.reason.kind.value
        assert isinstance(await reading, ActorStopped)
        await counted(root, {"shutdown": 1})
    assert "closed" in diary.read_text()


async def drain(stream):
    """How a stream ends."""
    try:
        async for _ in stream:
            pass
    except Exception as error:
        return error
    return None


@either_way
async def test_ways_must_fit():
    """A stream is not asked for, an ask does not stream, what is fed is fed: UsageError, and nothing is sent."""
    async with tree(child()) as root:
        ref = root["a"]
        for wrong in (
            ref.ask(Count(1)),
            ref.tell(Count(1)),
            ref.ask(Sum()),
            anext(ref.stream(Put(1))),
            ref.feed(Put(1), []),
        ):
            with pytest.raises(UsageError, match="is to be sent with"):
                await wrong
        assert {} == fates(root)


# ---- feeds


async def test_items_that_are_none():
    """What is no iterable of items is a UsageError, and nothing is sent."""
    async with tree(child()) as root:
        for wrong in (None, 5, Sum()):
            with pytest.raises(UsageError, match="Sum to /root/a is followed by items; .* is not an iterable of them"):
                await root["a"].feed(Sum(), wrong)
        assert {} == fates(root)


@either_way
@BOTH
async def test_feed(actor):
    """From an iterable and from an async one, over more than the credit, or of nothing at all."""

    async def slow():
        for number in range(200):
            await asyncio.sleep(0)
            yield number

    async with tree(child(actor)) as root:
        assert sum(range(1000)) == await root["a"].feed(Sum(), range(1000))
        assert sum(range(200)) == await root["a"].feed(Sum(), slow())
        assert 0 == await root["a"].feed(Sum(), [])
        await counted(root, {"handled": 3})


@either_way
@BOTH
async def test_a_feed_whose_items_fail(tmp_path, actor):
    """What the items raise comes out, a wrong item is refused; the handler ends, the actor goes on."""
    diary = tmp_path / "diary"

    async def failing():
        yield 1
        raise KeyError("mine")

    async with tree(child(actor, "a", str(diary))) as root:
        with pytest.raises(KeyError, match="mine"):
            await root["a"].feed(Sum(), failing())
        with pytest.raises(
            UsageError,
            match=r"an item of the feed cannot be sent: the item is a str, .*; it follows \w+ to /",
        ):
            await root["a"].feed(Sum(), [1, "two"])
        await until(lambda: depth(root) == 0, "the ends of both handlers")
        await counted(root, {"cancelled": 2})
        assert 1 == await root["a"].ask(Put(1))


@either_way
@BOTH
@pytest.mark.parametrize(("then", "error"), [("raise", HandlerError), ("kill", ActorCrashed)])
async def test_a_feed_whose_handler_fails(actor, then, error):
    """As an ask, in mid-feed; the items that are left are not read."""
    taken = []

    def items():
        for number in range(100_000):
            taken.append(number)
            yield number

    async with tree(child(actor)) as root:
        with pytest.raises(error):
            await root["a"].feed(Sum(after=50, then=then), items())
        assert len(taken) < 1000


@either_way
@BOTH
async def test_a_feed_whose_items_and_handler_fail_at_once(actor):
    """One of the two comes out; the other is not left to asyncio, which would log it as never retrieved."""
    untold = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: untold.append(context))

    async def items():
        for number in range(4):
            yield number
        while "failed" not in fates(root):
            await asyncio.sleep(0)
        raise KeyError("mine")

    async with tree(child(actor)) as root:
        with pytest.raises(KeyError):
            await root["a"].feed(Sum(after=3, then="raise"), items())
    gc.collect()
    assert [] == untold


@either_way
@BOTH
async def test_a_feed_whose_handler_has_enough(actor):
    """The reply is the reply, though items are left."""
    async with tree(child(actor)) as root:
        assert sum(range(10)) == await root["a"].feed(Sum(after=10, then="reply"), range(100_000))


# ---- actor to actor


@either_way
async def test_call():
    """From sync handlers it waits; in the daemon and in async handlers it would hold up others: UsageError."""
    async with tree(child(), child(name="b"), child(Async, "c")) as root:
        assert 7 == await root["a"].ask(Through(root["b"]))
        with pytest.raises(UsageError, match="would block the daemon's event loop"):
            root["a"].call(Put(1))
        with pytest.raises(HandlerError, match="UsageError.*would hold up the other handlers"):
            await root["c"].ask(Through(root["b"], how="call"))


@either_way
@pytest.mark.parametrize(
    ("way", "cycle"),
    [
        (["a"], "/root/a waits for /root/a"),
        (["b", "a"], "/root/b waits for /root/a waits for /root/b"),
        (["b", "c", "a"], "/root/c waits for /root/a waits for /root/b waits for /root/c"),
    ],
    ids=["self", "two", "three"],
)
async def test_a_cycle_of_asks_is_reported(way, cycle):
    """At once, in the actor that would close it, with the names of those who wait for each other."""
    async with tree(child(), child(Async, "b"), child(name="c")) as root:
        answer = await root["a"].ask(Ring(way), timeout=30.0)
        assert answer.startswith("CallCycle: ")
        assert cycle in answer
        assert "round" == await root["a"].ask(Ring(["b", "c"])), "no wait is left behind"


@either_way
async def test_no_false_alarm():
    """An actor that can go on while it waits closes no cycle: several at once, pools, asks of background tasks."""
    specs = child(Many), child(Async, "b"), child(Async, "pool", size=3), child(name="c")
    async with tree(*specs) as root:
        assert "round" == await root["a"].ask(Ring(["b", "a"]))
        assert "round" == await root["a"].ask(Ring(["a"]))
        assert "round" == await root["pool"].ask(Ring(["pool"]))
        await root["b"].tell(Through(root["a"], how="later"))
        async with asyncio.timeout(DEADLINE):
            while await root["b"].ask(Said()) != ["7"]:
                pass


@pytest.mark.processes
async def test_a_wait_that_was_given_up_closes_no_cycle(tmp_path):
    """A wait ends with the life that waits, too, also while there was no room for it."""
    gate = tmp_path / "gate"
    async with tree(child(mailbox=1), child(Async, "b")) as root:
        holding = await held(root, gate)
        root["a"].tell_nowait(Put(0))
        asking = asyncio.create_task(root["b"].ask(Through(root["a"]), timeout=None))
        await until(lambda: root._tree.waits.cycle("/root/a", "/root/b"), "waiting for room")
        os.kill(root.which_children()[1].pid, signal.SIGKILL)
        with pytest.raises(ActorCrashed):
            await asking
        assert root._tree.waits.cycle("/root/a", "/root/b") is None
        gate.touch()
        await holding
        assert 7 == await root["a"].ask(Through(root["b"]))
        assert [] == [number for number in await root["a"].ask(Seen()) if number == 7]


@either_way
async def test_refs_in_messages_and_replies():
    """A ref may be sent and replied, and works where it arrives."""
    async with tree(child(), child(Async, "b")) as root:
        for name in "ab":
            ref = await root[name].ask(Me())
            assert isinstance(ref, ActorRef)
            assert (root[name], 3) == (ref, await ref.ask(Put(3)))
        assert "told" == await root["b"].ask(TellOther(await root["a"].ask(Me()), [4]))
        assert [3, 4] == await root["a"].ask(Seen())


@either_way
@pytest.mark.parametrize("size", [1, 2])
async def test_who_sent_it(size):
    """The sender of an actor's message is its ref, the pool's for one of a pool, which finds its siblings by name."""
    async with tree(child(), child(Async, "b", size=size)) as root:
        assert root["b"] == await root["b"].ask(AskSender("a")) == await root["b"].ask(Me())
        with pytest.raises(HandlerError, match="nobody"):
            await root["a"].ask(Sender())


@either_way
async def test_arrays_through_a_codec():
    """A type that msgpack does not know, in a message and in its reply."""
    async with tree(child(Scaler)) as root:
        array = np.arange(6.0).reshape(2, 3)
        scaled = await root["a"].ask(Scale(array, 10.0))
        assert isinstance(scaled, np.ndarray)
        assert np.array_equal(array * 10.0, scaled)


@either_way
async def test_watch():
    """An actor that watches another is told when it is down for good, not when it is restarted."""
    specs = child(), child(name="b", restart=RestartPolicy.TRANSIENT)
    async with tree(*specs) as root:
        watch = Watch(root)
        await root["a"].ask(WatchOther(root["b"]))
        await root["b"].tell(Kill())
        await watch.exited("b")
        await watch.started("b")
        assert [] == await root["a"].ask(Said())
        ended = asyncio.create_task(root["b"].terminated())
        await at_rest()
        await root.terminate_child("b")
        assert isinstance(await ended, Terminated)
        async with asyncio.timeout(DEADLINE):
            while not (lines := await root["a"].ask(Said())):
                pass
        assert len(lines) == 1
        assert lines[0].startswith("/root/b ")


# ---- time


@either_way
async def test_timers_end_with_the_life():
    """What `after` and `every` would have sent is forgotten at a restart."""
    async with tree(child()) as root:
        watch = Watch(root)
        await root["a"].ask(Timers(0.01))
        async with asyncio.timeout(DEADLINE):
            while len(await root["a"].ask(Seen())) < 5:
                await asyncio.sleep(0.002)
        await root["a"].tell(Kill())
        await watch.exited("a")
        await watch.started("a")
        await root["a"].tell(Put(-1), delay=0.05)  # several periods
        async with asyncio.timeout(DEADLINE):
            while not (seen := await root["a"].ask(Seen())):
                await asyncio.sleep(0.002)
        assert [-1] == seen


@pytest.mark.processes
async def test_a_delayed_tell(tmp_path):
    """It enters the mailbox when its time comes; a full mailbox or the supervisor's end makes it a dead letter."""
    gate = tmp_path / "gate"
    async with tree(child(), child(Async, "b"), child(name="c", mailbox=1)) as root:
        letters, ref = root.dead_letters(), root["a"]
        await ref.tell(Put(2), delay=0.2)
        await ref.tell(Put(1))
        async with asyncio.timeout(DEADLINE):
            while await ref.ask(Seen()) != [1, 2]:
                pass
        assert "told" == await root["b"].ask(TellOther(ref, [3], delay=0.01))
        async with asyncio.timeout(DEADLINE):
            while await ref.ask(Seen()) != [1, 2, 3]:
                pass
        holding = await held(root, gate, "c")
        await root["c"].tell(Put(4))
        await root["c"].tell(Put(5), delay=0.01)
        letter = await dead_letter(letters)
        assert (Put(5), DeadReason.MAILBOX_FULL) == (letter.message, letter.reason)
        gate.touch()
        await holding
        await until(lambda: depth(root, "c") == 0, "an empty mailbox")
        await ref.tell(Put(6), delay=3600.0)
    letter = await dead_letter(letters)
    assert (Put(6), DeadReason.SHUTDOWN) == (letter.message, letter.reason)
    assert "its supervisor ended" in letter.detail


# ---- topics


@either_way
async def test_topics():
    """What an actor or the daemon publishes reaches every subscriber, actors and tasks of the daemon."""
    async with tree(child(Subscriber), child(Subscriber, "b"), child(Async, "c")) as root:
        prices = root.subscribe(PRICES)
        root.publish(PRICES, Price(1))
        await root["c"].ask(Publish(2))
        async with asyncio.timeout(DEADLINE):
            assert [Price(1), Price(2)] == [await anext(prices) for _ in range(2)]
            for name in "ab":
                assert [1, 2] == await root[name].ask(Seen())


@either_way
async def test_a_topic_is_read_to_the_end_of_the_tree():
    """Its readers end with the tree, also those that begin when it has ended."""
    async with tree(child(Subscriber)) as root:
        early = root.subscribe(PRICES)
        root.publish(PRICES, Price(1))
    async with asyncio.timeout(DEADLINE):
        assert [Price(1)] == [price async for price in early]
        assert [] == [price async for price in root.subscribe(PRICES)]
        assert [] == [odd async for odd in root.subscribe(ODD)]


@either_way
async def test_a_message_of_another_type_is_not_published():
    """UsageError where it is published; under another topic of the same name it is a dead letter, and missed."""
    async with tree(child(Subscriber), child(Async, "c")) as root:
        letters, prices = root.dead_letters(), root.subscribe(PRICES)
        with pytest.raises(UsageError, match="topic 'prices' is for Price, not for Odd"):
            root.publish(PRICES, Odd("x"))
        with pytest.raises(HandlerError, match="topic 'prices' is for Price, not for Odd"):
            await root["c"].ask(Odd("refused"))
        await root["c"].ask(Odd("sent"))
        assert DeadReason.UNDECODABLE is (await dead_letter(letters)).reason
        assert Missed(1) == await anext(prices)
        root.publish(ODD, Odd("y"))
        assert Missed(1) == await anext(prices)
        root.publish(PRICES, Price(1))
        assert Price(1) == await anext(prices)


@pytest.mark.processes
async def test_a_full_subscriber_misses(tmp_path):
    """Its publisher does not wait for it: it gets a dead letter, the others the message."""
    gate = tmp_path / "gate"
    async with tree(child(Subscriber, mailbox=1), child(Subscriber, "b")) as root:
        letters, holding = root.dead_letters(), await held(root, gate)
        for number in (1, 2):
            root.publish(PRICES, Price(number))
        letter = await dead_letter(letters)
        assert ("/root/a", Price(2), DeadReason.MAILBOX_FULL) == (letter.actor, letter.message, letter.reason)
        gate.touch()
        await holding
        assert ([1], [1, 2]) == (await root["a"].ask(Seen()), await root["b"].ask(Seen()))


@either_way
async def test_a_subscription_outlives_a_restart():
    """What is published while the actor is down waits in its mailbox, and it is subscribed once."""
    async with tree(child(Subscriber)) as root:
        watch = Watch(root)
        await root["a"].tell(Kill())
        await watch.exited("a")
        root.publish(PRICES, Price(1))
        await watch.started("a")
        root.publish(PRICES, Price(2))
        assert [1, 2] == await root["a"].ask(Seen())


# ---- fates


@either_way
@BOTH
async def test_poison(actor):
    """A message that kills its actor is begun max_deliveries times, and then the rest goes on."""
    async with tree(child(actor, max_deliveries=3)) as root:
        letters, watch = root.dead_letters(), Watch(root)
        asking = asyncio.create_task(root["a"].ask(KillOften(), timeout=None))
        await at_rest()
        await root["a"].tell(Put(1))
        with pytest.raises(ActorCrashed, match="for time 3; it is not delivered again"):
            await asking
        letter = await dead_letter(letters)
        assert (KillOften(), DeadReason.POISON, 3) == (letter.message, letter.reason, letter.deliveries)
        assert 3 == [await watch.started("a") for _ in range(3)][-1].life - 1
        assert [1] == await root["a"].ask(Seen())
        await counted(root, {"poison": 1, "handled": 2})


@either_way
async def test_an_exhausted_budget_makes_dead_letters():
    """What waits when the tree gives up is buried, every message of it."""
    root = tree(child(), intensity=Intensity(1, 60.0))
    letters = root.dead_letters()
    with pytest.raises(Exception, match="gave up"):
        async with root:
            for _ in range(2):
                root["a"].tell_nowait(Kill())
            for number in range(5):
                root["a"].tell_nowait(Put(number))
            await root.wait()
    dead = [letter async for letter in letters]
    assert ["Kill", "Kill", *["Put"] * 5] == [letter.message_type for letter in dead]
    assert [0, 1, 2, 3, 4] == [letter.message.number for letter in dead[2:]]
    assert {DeadReason.ACTOR_STOPPED} == {letter.reason for letter in dead[2:]}


@pytest.mark.processes
async def test_dead_letters_are_logged_with_a_count(tmp_path, logs):
    """One line for each actor and reason, then with every tenth power."""
    gate = tmp_path / "gate"
    async with tree(child(mailbox=1, overflow=Overflow.DROP_NEWEST)) as root:
        holding = await held(root, gate)
        for number in range(101):
            await root["a"].tell(Put(number))
        gate.touch()
        await holding
    lines = [line for line in logs if line["event"] == "message.dead_lettered" and line["reason"] == "mailbox_full"]
    assert [1, 10, 100] == [line["count"] for line in lines]
    assert {("/root/a", "mailbox_full", "Put")} == {(line["actor"], line["reason"], line["message"]) for line in lines}
