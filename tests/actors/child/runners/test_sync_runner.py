"""Life and its two drivers, against a daemon that is the other end in this process."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import time

import msgspec
import pytest

from actors import Actor, HandlerError, Message, NoSuchActor, Rejected, UsageError, handles
from actors.child.fork import Copies
from actors.child.life import Life
from actors.child.messages.outbox import ACK_EVERY
from actors.child.runners.async_runner import AsyncDriver
from actors.child.runners.handling import Handling
from actors.child.runners.sync_runner import run
from actors.errors import ActorCrashed, ActorStopped, AskTimeout, MailboxFull
from actors.event import SafeEvent
from actors.exits import ExitKind
from actors.ipc.blackbox import BlackBox
from actors.ipc.channel import Channel
from actors.ipc.output_pipe import OutputPipe
from actors.ipc.pipes import Duplex
from actors.output.capture import Output
from actors.process.memory import Reserve
from actors.process.tracebacks import ActorFailed
from actors.protocol.protocol import protocol_of
from actors.wire import kinds
from actors.wire.codec import encode
from actors.wire.framing import Framer, header
from actors.wire.from_child import Failure, FromChild, Outcomes, Send
from actors.wire.kinds import ASK, TELL
from actors.wire.to_child import Answer, AskBatch, Bulk, Cancel, Deliver, Envelope, Recall, StartActor, Stop
from tests.support.actors import (
    AskOther,
    AsyncPuppet,
    Block,
    Echo,
    Fail,
    FailBadly,
    Lie,
    Note,
    Notes,
    One,
    Puppet,
    Refuse,
    SetTimers,
    Stoic,
    StopYourself,
)
from tests.support.waiting import at_rest, until


class Daemon:
    """The daemon's side of one life."""

    def __init__(self, actor):
        self.end, self.child_end = Duplex.pair()
        os.set_blocking(self.end.incoming, False)
        self.box = BlackBox(actor.concurrency)
        self.stop_event = SafeEvent()
        self.reserve = Reserve()
        self.actor = actor()
        part = StartActor("/root/a", 2, "m", "A", b"")
        self.reading, writing = os.pipe()
        self.output_pipe = OutputPipe(writing)
        self.output_pipe.open()
        self.life = Life(
            part,
            protocol_of(actor),
            channel := Channel(self.child_end),
            self.box,
            self.stop_event,
            reserve=self.reserve,
            output=Output(self.output_pipe, captured=False),
            copies=Copies(channel, self.box),
        )
        self.actor.context = self.life.context
        self._framer = Framer()
        self._count = 0

    def close(self):
        self.end.close()
        self.child_end.close()
        self.reserve.release()
        self.box.close()
        self.stop_event.close()
        self.output_pipe.close()
        os.close(self.reading)

    def send(self, frame):
        data = frame if isinstance(frame, bytes) else encode(frame)
        self.end.send_all(header(len(data)) + data)

    def deliver(self, *messages, kind=ASK, deadline=None, sender=None):
        items = []
        for message in messages:
            self._count += 1
            raw = message if isinstance(message, bytes) else encode(message)
            items.append(Envelope(self._count, kind, sender, deadline, msgspec.Raw(raw)))
        self.send(Deliver(items))

    def stop(self):
        self.stop_event.set()
        self.box.ring()
        self.send(Stop())

    def frames(self):
        """Everything the actor has said so far."""
        said = []
        while True:
            try:
                chunk = self.end.recv(1_000_000)
            except BlockingIOError:
                return said
            said += [msgspec.msgpack.decode(data, type=FromChild) for data in self._framer.feed(chunk)]

    def outcomes(self):
        """How messages ended, as far as was said: number, kind, payload; and the last `ack_up_to`."""
        told = [frame for frame in self.frames() if isinstance(frame, Outcomes)]
        items = [(item.seq, item.kind, msgspec.msgpack.decode(item.payload)) for frame in told for item in frame.items]
        return items, max((frame.ack_up_to for frame in told), default=0)


@pytest.fixture
def daemon_of():
    made = []

    def make(actor):
        made.append(Daemon(actor))
        return made[-1]

    yield make
    for daemon in made:
        daemon.close()


# ---- one at a time, without a loop


def test_answers_in_order(daemon_of):
    """Each ask is answered, each tell is covered by `ack_up_to`; asked to stop, it leaves."""
    daemon = daemon_of(Puppet)
    daemon.deliver(Echo("a"), Note(1), Echo("b"))
    daemon.deliver(StopYourself())
    assert ExitKind.NORMAL is run(daemon.actor, daemon.life).kind
    daemon.life.outbox.flush()
    items, ack_up_to = daemon.outcomes()
    assert [(1, kinds.REPLY, "a"), (2, kinds.REPLY, None), (3, kinds.REPLY, "b"), (4, kinds.REPLY, "going")] == items
    assert 4 == ack_up_to


def test_tells_need_no_words(daemon_of):
    """A told message that went well costs no item."""
    daemon = daemon_of(Puppet)
    daemon.deliver(*[Note(number) for number in range(ACK_EVERY * 2)], StopYourself(), kind=TELL)
    run(daemon.actor, daemon.life)
    daemon.life.outbox.flush()
    assert ([], ACK_EVERY * 2 + 1) == daemon.outcomes()
    assert list(range(ACK_EVERY * 2)) == daemon.actor.notes


def test_the_daemon_hears_before_its_window_runs_dry(daemon_of):
    """Long before everything is handled the daemon is told how far it went."""
    daemon = daemon_of(Puppet)
    daemon.deliver(*[Note(number) for number in range(ACK_EVERY * 3)], StopYourself(), kind=TELL)
    run(daemon.actor, daemon.life)
    throughs = [frame.ack_up_to for frame in daemon.frames() if isinstance(frame, Outcomes)]
    assert len(throughs) >= 2
    assert throughs[0] <= ACK_EVERY + 1


def test_a_reply_does_not_wait_for_a_slow_successor(daemon_of):
    """What is answered leaves before the next message begins, however quick its last of the kind was."""
    daemon = daemon_of(Slow)
    daemon.actor.daemon = daemon
    daemon.deliver(Look(), Quick(), Look(), StopNow())
    run(daemon.actor, daemon.life)
    assert [(1, kinds.REPLY, None), (2, kinds.REPLY, None)] == daemon.actor.seen


def test_stop_overtakes(daemon_of):
    """What has not begun when the daemon asks to stop stays unbegun, whatever was read before."""
    daemon = daemon_of(Puppet)
    daemon.deliver(*[Note(number) for number in range(50)], kind=TELL)
    daemon.life.inbox.receive()
    daemon.stop()
    assert ExitKind.SHUTDOWN is run(daemon.actor, daemon.life).kind
    assert [] == daemon.actor.notes
    assert 0 == daemon.box.progress().begun


def test_cancelled_messages_do_not_begin(daemon_of):
    """A cancellation overtakes the message it names."""
    daemon = daemon_of(Puppet)
    daemon.deliver(Note(1), Note(2), Note(3), StopYourself())
    daemon.life.inbox.receive()
    daemon.send(Cancel([2]))
    daemon.box.ring()
    run(daemon.actor, daemon.life)
    daemon.life.outbox.flush()
    items, _ = daemon.outcomes()
    assert [kinds.REPLY, kinds.CANCELLED, kinds.REPLY, kinds.REPLY] == [kind for _, kind, _ in items]
    assert [1, 3] == daemon.actor.notes


@pytest.mark.parametrize("frame", ["bulk", "asks"])
def test_what_is_recalled_of_a_batch_does_not_begin(daemon_of, frame):
    """The rest of the batch does, and so does what has begun already."""
    daemon = daemon_of(Puppet)
    messages = [Note(1), Note(2), Note(3), Note(4), StopYourself()]
    daemon.send(Bulk(1, ASK, None, None, messages) if frame == "bulk" else AskBatch(1, [None] * 5, messages))
    daemon.life.inbox.receive()
    assert daemon.life.inbox.next_wanted().message == Note(1)
    daemon.send(Recall([1, 2, 4]))
    daemon.box.ring()
    run(daemon.actor, daemon.life)
    assert [3] == daemon.actor.notes
    assert [2, 4] == [seq for seq, kind, _ in daemon.outcomes()[0] if kind == kinds.CANCELLED]


def test_cancelling_what_is_over_leaves_nothing_behind(daemon_of):
    """A cancellation that comes too late is forgotten."""
    daemon = daemon_of(Puppet)
    daemon.deliver(Note(1), Note(2))
    daemon.send(Cancel([1]))
    daemon.deliver(StopYourself())
    daemon.life.inbox.receive()
    daemon.life.inbox.next_wanted()
    daemon.life.inbox.pending.clear()
    daemon.send(Cancel([1, 2]))
    daemon.deliver(StopYourself())
    run(daemon.actor, daemon.life)
    assert daemon.life.inbox.next_wanted() is None
    assert set() == daemon.life.inbox.cancelled


def test_expired_messages_do_not_begin(daemon_of):
    """No sender waits for them any more."""
    daemon = daemon_of(Puppet)
    daemon.deliver(Note(1), deadline=time.monotonic() - 1)
    daemon.deliver(Note(2), deadline=time.monotonic() + 60)
    daemon.deliver(StopYourself())
    run(daemon.actor, daemon.life)
    daemon.life.outbox.flush()
    items, ack_up_to = daemon.outcomes()
    assert [(1, kinds.EXPIRED), (2, kinds.REPLY), (3, kinds.REPLY)] == [item[:2] for item in items]
    assert 3 == ack_up_to
    assert [2] == daemon.actor.notes


def test_one_bad_message_does_not_spoil_the_batch(daemon_of):
    """It is answered for itself; its neighbours are handled."""
    daemon = daemon_of(Puppet)
    daemon.deliver(Note(1), encode(["Nobody", 1]), Note(2), StopYourself())
    run(daemon.actor, daemon.life)
    daemon.life.outbox.flush()
    items, _ = daemon.outcomes()
    assert {2} == {seq for seq, kind, _ in items if kind == kinds.UNDECODABLE}
    assert [1, 2] == daemon.actor.notes


def test_an_exception_answers_and_crashes(daemon_of):
    """The failure leaves first, then the life ends with the same words."""
    daemon = daemon_of(Puppet)
    daemon.deliver(Fail("oh"), Note(1))
    with pytest.raises(ActorFailed) as caught:
        run(daemon.actor, daemon.life)
    (item,) = daemon.outcomes()[0]
    assert (1, kinds.FAILED) == item[:2]
    assert ["ValueError", "oh"] == item[2][:2]
    words = caught.value.crash_report()
    assert ("in Puppet.fail", "ValueError", "oh") == (words.where, words.failure.type_name, words.failure.message)
    assert "in fail" in words.failure.traceback
    assert "runtime.py" not in words.failure.traceback


def test_on_error_reply_lives_on(daemon_of):
    """The class decides that an exception is only an answer."""
    daemon = daemon_of(Stoic)
    daemon.deliver(Fail("oh"), Note(1), StopYourself())
    assert ExitKind.NORMAL is run(daemon.actor, daemon.life).kind
    assert [1] == daemon.actor.notes


def test_a_refusal_lives_on(daemon_of):
    """Rejected is an answer in every actor."""
    daemon = daemon_of(Puppet)
    daemon.deliver(Refuse("no"), StopYourself())
    run(daemon.actor, daemon.life)
    daemon.life.outbox.flush()
    assert (1, kinds.REJECTED, "no") == daemon.outcomes()[0][0]


def test_a_wrong_reply_is_the_actors_fault(daemon_of):
    """The asker hears which type was promised."""
    daemon = daemon_of(Stoic)
    daemon.deliver(Lie(), StopYourself())
    run(daemon.actor, daemon.life)
    daemon.life.outbox.flush()
    _, kind, (name, text, _) = daemon.outcomes()[0][0]
    assert (kinds.FAILED, "actors.errors.UsageError") == (kind, name)
    assert "the reply is a str, the message promises int" in text


@pytest.mark.parametrize("how", ["surrogate", "no words"])
def test_exceptions_without_decent_words(daemon_of, how):
    """Whatever an exception's text is, it is an answer."""
    daemon = daemon_of(Stoic)
    daemon.deliver(FailBadly(how), StopYourself())
    run(daemon.actor, daemon.life)
    daemon.life.outbox.flush()
    assert [kinds.FAILED, kinds.REPLY] == [kind for _, kind, _ in daemon.outcomes()[0]]


def test_the_black_box_is_up_to_date(daemon_of):
    """What is being handled is in the box before the handler is called, and out of it after."""
    daemon = daemon_of(Slow)
    daemon.actor.daemon = daemon
    daemon.deliver(Quick(), Look(), StopNow())
    run(daemon.actor, daemon.life)
    assert (2, frozenset({2})) == (daemon.actor.progress.begun, daemon.actor.progress.active)
    assert (3, frozenset()) == (daemon.box.progress().begun, daemon.box.progress().active)


def test_timers_come_like_messages(daemon_of):
    """After once, every again and again, in the order in which they are due."""
    daemon = daemon_of(Ticking)
    daemon.deliver(Quick())
    run(daemon.actor, daemon.life)
    assert [("once", 0), ("again", 0), ("again", 0)] == daemon.actor.seen[:3]


def test_a_timer_that_is_always_late_leaves_the_mailbox_its_turn(daemon_of):
    """Its handler takes longer than its period; what arrives meanwhile is handled all the same."""
    daemon = daemon_of(Late)
    daemon.actor.daemon = daemon
    daemon.deliver(Quick())
    run(daemon.actor, daemon.life)
    assert daemon.actor.ticks < Late.MOST
    assert daemon.actor.context.missed_ticks > 0


def test_a_timer_checks_its_message(daemon_of):
    """What the actor does not handle is refused when the timer is set, and so is a period of nothing."""
    context = daemon_of(Puppet).life.context
    with pytest.raises(UsageError, match="does not handle Quick"):
        context.after(0, Quick())
    with pytest.raises(UsageError, match="the period of context.every in /root/a must be seconds from 0.001"):
        context.every(0, Note(1))


def test_the_context(daemon_of):
    """Name, path and life; siblings by name, everyone by path."""
    context = daemon_of(Puppet).life.context
    assert ("a", "/root/a", 2, "/root/a") == (context.name, context.path, context.life, context.ref.path)
    assert 2 == context.incarnation
    assert "/root/b" == context.actor("b").path
    assert "/other/b" == context.actor("/other/b").path
    assert contextvars.Context().run(lambda: context.sender) is None


async def test_a_sync_actor_cannot_ask(daemon_of):
    """The remedy is named."""
    context = daemon_of(Puppet).life.context
    with pytest.raises(UsageError, match="async def"):
        await context.actor("b").ask(Echo("x"))


class Quick(Message[None]):
    pass


class Look(Message[None]):
    pass


class StopNow(Message[None]):
    pass


class Slow(Actor):
    """Looks what its daemon has heard while it works."""

    @handles
    def quick(self, msg: Quick) -> None:
        pass

    @handles
    def look(self, msg: Look) -> None:
        self.seen = self.daemon.outcomes()[0]
        self.progress = self.daemon.box.progress()

    @handles
    def stop(self, msg: StopNow) -> None:
        self.context.stop()


class Late(Actor):
    """Its ticks take twice their period; a message to stop arrives during the third."""

    MOST = 200

    def __init__(self) -> None:
        self.ticks = 0

    @handles
    def begin(self, msg: Quick) -> None:
        self.context.every(0.001, Look())

    @handles
    def tick(self, msg: Look) -> None:
        self.ticks += 1
        if self.ticks == 3:
            self.daemon.deliver(StopNow())
        if self.ticks == self.MOST:
            self.context.stop()
        time.sleep(0.002)  # the load itself

    @handles
    def stop(self, msg: StopNow) -> None:
        self.context.stop()


class Ticking(Actor):
    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    @handles
    def begin(self, msg: Quick) -> None:
        self.context.after(0.0, StopNow())
        self.context.every(0.003, Look())

    @handles
    def again(self, msg: Look) -> None:
        self.seen.append(("again", 0))
        if len(self.seen) == 4:
            self.context.stop()

    @handles
    def once(self, msg: StopNow) -> None:
        self.seen.append(("once", 0))


# ---- several at a time, on a loop


async def read_and_run(driver: AsyncDriver):
    """As a process does between its hooks."""
    with driver.reading():
        return await driver.run()


@pytest.fixture
async def serving(daemon_of):
    tasks = []

    def serve(actor):
        daemon = daemon_of(actor)
        driver = AsyncDriver(daemon.actor, daemon.life)
        daemon.life.drive_with(driver)
        task = asyncio.create_task(read_and_run(driver))
        tasks.append(task)
        return daemon, task

    yield serve
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def collect(daemon, count):
    items = []

    def enough():
        items.extend(daemon.outcomes()[0])
        return len(items) >= count

    await until(enough, f"{count} outcomes")
    return items


async def test_concurrency(serving, tmp_path):
    """As many handlers as the class says are under way, no more; a free lane takes the next."""
    daemon, _ = serving(AsyncPuppet)

    gates = [str(tmp_path / str(number)) for number in range(5)]
    daemon.deliver(*[Block(gate) for gate in gates])
    await until(lambda: len(daemon.actor.notes) == 3, "three are under way")
    await at_rest()
    assert frozenset({1, 2, 3}) == daemon.box.progress().active
    (tmp_path / "1").touch()
    assert [(2, kinds.REPLY, None)] == await collect(daemon, 1)
    await until(lambda: len(daemon.actor.notes) == 4, "the fourth has begun")
    assert frozenset({1, 3, 4}) == daemon.box.progress().active
    for gate in (0, 2, 3, 4):
        (tmp_path / str(gate)).touch()
    assert {1, 3, 4, 5} == {seq for seq, *_ in await collect(daemon, 4)}


async def test_every_told_message_is_acknowledged(serving):
    """Out of order, `ack_up_to` cannot say it: each gets an item."""
    daemon, _ = serving(AsyncPuppet)
    daemon.deliver(Note(1), Note(2), kind=TELL)
    assert {(1, kinds.DONE, None), (2, kinds.DONE, None)} == set(await collect(daemon, 2))


async def test_async_one_at_a_time_keeps_order(serving):
    """With concurrency 1 an async actor works through its mailbox in order."""
    daemon, _ = serving(One)
    daemon.deliver(*[Note(number) for number in range(100)], kind=TELL)
    daemon.deliver(Notes())
    (item,) = await collect(daemon, 1)
    assert list(range(100)) == item[2]


async def test_an_async_exception_ends_the_life(serving, tmp_path):
    """The asker gets the failure, and the life ends with it."""
    daemon, task = serving(AsyncPuppet)
    daemon.deliver(Fail("oh"))
    with pytest.raises(ActorFailed):
        await task
    ((seq, kind, _),) = daemon.outcomes()[0]
    assert (1, kinds.FAILED) == (seq, kind)


async def test_async_stop_lets_handlers_finish(serving, tmp_path):
    """Asked to stop, what is under way ends, what waits does not begin."""
    daemon, task = serving(One)
    gate = tmp_path / "gate"
    daemon.deliver(Block(str(gate)), Note(7))
    await until(lambda: daemon.actor.notes == [0], "it is under way")
    daemon.stop()
    await at_rest()
    assert not task.done()
    gate.touch()
    assert ExitKind.SHUTDOWN is (await task).kind
    assert [0] == daemon.actor.notes


async def test_async_timers(serving):
    """Timers fire while nothing else happens."""
    daemon, _ = serving(AsyncPuppet)
    daemon.deliver(SetTimers(0.002, 1))
    await until(lambda: daemon.actor.notes.count(0) >= 3, "three ticks")
    assert 1 == daemon.actor.notes.count(-1)


ANSWERS = [
    ((kinds.REPLY, "hello"), "hello"),
    ((kinds.FAILED, Failure("KeyError", "'x'", "Traceback")), HandlerError),
    ((kinds.REJECTED, "no"), Rejected),
    ((kinds.STOPPED, "down"), ActorStopped),
    ((kinds.CRASHED, ("died", True, None)), ActorCrashed),
    ((kinds.UNKNOWN, "nobody"), NoSuchActor),
    ((kinds.FULL, "full"), MailboxFull),
    ((kinds.EXPIRED, "late"), AskTimeout),
    ((kinds.UNDECODABLE, "what?"), UsageError),
]


@pytest.mark.parametrize(("answer", "expected"), ANSWERS, ids=lambda value: getattr(value, "__name__", ""))
async def test_asking_another(serving, answer, expected):
    """An ask leaves as a frame, and each kind of answer is its reply or its error."""
    daemon, _ = serving(AsyncPuppet)
    asking = asyncio.create_task(daemon.life.context.actor("b").ask(Echo("x")))
    await at_rest()
    (sent,) = daemon.frames()
    assert ("/root/b", False) == (sent.to, sent.fail_if_down)
    kind, payload = answer
    daemon.send(Answer(sent.correlation, kind, msgspec.Raw(encode(payload))))
    if isinstance(expected, str):
        assert expected == await asking
    else:
        with pytest.raises(expected):
            await asking
    assert {} == daemon.life.calls.waiters


async def test_asking_in_vain(serving):
    """No answer in time is AskTimeout, and a late one is dropped."""
    daemon, _ = serving(AsyncPuppet)
    with pytest.raises(AskTimeout, match="/root/b did not answer Echo within 0.01 s"):
        await daemon.life.context.actor("b").ask(Echo("x"), timeout=0.01)
    (sent,) = [frame for frame in daemon.frames() if isinstance(frame, Send)]
    daemon.send(Answer(sent.correlation, kinds.REPLY, msgspec.Raw(encode("late"))))
    daemon.deliver(Echo("still here"))
    assert [(1, kinds.REPLY, "still here")] == await collect(daemon, 1)
    assert {} == daemon.life.calls.waiters


async def test_what_cannot_be_sent_to_another(serving):
    """It fails in the handler that wanted to send it, and nothing leaves."""
    daemon, _ = serving(AsyncPuppet)
    ref = daemon.life.context.actor("b")
    for message in ("text", Echo("\udcff"), Note(2**80), Echo(object())):
        with pytest.raises(UsageError):
            await ref.ask(message)
        with pytest.raises(UsageError):
            ref.tell_nowait(message)
    assert [] == daemon.frames()
    assert {} == daemon.life.calls.waiters


async def test_asking_is_seen_by_the_asker_only(serving):
    """An actor that asks another in a handler goes on handling meanwhile."""
    daemon, _ = serving(AsyncPuppet)
    daemon.deliver(AskOther("b", "x"), Echo("meanwhile"))
    frames = []

    def both():
        frames.extend(daemon.frames())
        return len(frames) == 2

    await until(both, "the question and the meanwhile")
    (sent,) = [frame for frame in frames if isinstance(frame, Send)]
    (told,) = [frame for frame in frames if isinstance(frame, Outcomes)]
    assert [2] == [item.seq for item in told.items]
    daemon.send(Answer(sent.correlation, kinds.REPLY, msgspec.Raw(encode("y"))))
    assert [(1, kinds.REPLY, "y")] == await collect(daemon, 1)


# ---- what has arrived is never passed over: the daemon would take it as handled


async def test_an_answer_behind_the_cancellation_of_its_handler(serving):
    """What comes behind both of them begins."""
    daemon, _ = serving(AsyncPuppet)
    daemon.deliver(AskOther("b", "x"))
    frames = []
    await until(lambda: frames.extend(daemon.frames()) or frames, "the question")
    daemon.send(Cancel([1]))
    daemon.send(Answer(frames[0].correlation, kinds.REPLY, msgspec.Raw(encode("y"))))
    daemon.deliver(Note(7))
    assert {(1, kinds.CANCELLED, None), (2, kinds.REPLY, None)} == set(await collect(daemon, 2))
    assert [7] == daemon.actor.notes


async def test_a_reading_that_fails_ends_the_life(serving):
    """Nothing that has arrived later begins."""
    daemon, task = serving(AsyncPuppet)
    daemon.life.inbox.takers[Answer] = raise_it
    daemon.send(Answer(1, kinds.REPLY, msgspec.Raw(encode("y"))))
    daemon.deliver(Note(1))
    with pytest.raises(ZeroDivisionError):
        await task
    daemon.deliver(Note(2))
    await at_rest()
    assert 0 == daemon.box.progress().begun


def test_a_reading_that_fails_in_a_sync_handler(daemon_of):
    """The life ends, also when the handler suppresses the exception."""
    daemon = daemon_of(Suppressing)
    daemon.life.inbox.takers[Answer] = raise_it
    daemon.deliver(Look())
    daemon.life.inbox.receive()
    daemon.send(Answer(1, kinds.REPLY, msgspec.Raw(encode("y"))))
    daemon.deliver(Quick())
    with pytest.raises(ActorFailed, match="reading its channel"):
        run(daemon.actor, daemon.life)
    assert 1 == daemon.box.progress().begun


async def test_nothing_begins_behind_what_could_not_begin(serving, monkeypatch):
    """A message that has not begun is below all that have."""
    daemon, task = serving(AsyncPuppet)
    begin = Handling.begin
    monkeypatch.setattr(
        Handling,
        "begin",
        lambda handling, envelope, *rest: begin(handling, envelope, *rest) if envelope.seq != 2 else raise_it(envelope),
    )
    daemon.deliver(Note(1), Note(2), Note(3))
    with pytest.raises(ZeroDivisionError):
        await task
    assert 1 == daemon.box.progress().begun


async def test_a_cancelled_handler_that_never_waits(serving):
    """Cancelled just before it begins, it ends as ever, and the next message begins."""
    daemon, _ = serving(One)
    await at_rest()
    daemon.deliver(Note(1), Note(2))
    driver = daemon.life.calls.driver
    driver._readable()
    driver.revoke(1)
    await collect(daemon, 2)
    assert [1, 2] == daemon.actor.notes


def raise_it(frame):
    raise ZeroDivisionError(frame)


class Suppressing(Actor):
    """Its handler carries on, whatever an ask raises."""

    @handles
    def look(self, msg: Look) -> None:
        with contextlib.suppress(Exception):
            self.context.actor("b").call(Quick())

    @handles
    def quick(self, msg: Quick) -> None: ...
