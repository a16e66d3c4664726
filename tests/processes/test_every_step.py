"""A process is killed before each of its steps, one life after the other; each message has the fate of the model."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from contextlib import suppress

import msgspec
import pytest

from actors import Actor, ActorCrashed, HandlerError, Message, Rejected
from supervisor import Backoff, ChildSpec, DeadLetter, DeadReason, Intensity, Routing, Supervisor
from supervisor.store import SQLiteStore
from tests.support.forking import fork_instead_of_spawning
from tests.support.killing import collect
from tests.support.stepping import (
    AsyncStepper,
    Bad,
    DurableStepper,
    Four,
    Job,
    Maybe,
    Memo,
    Paid,
    Pay,
    Pull,
    Push,
    SyncStepper,
    Two,
)
from tests.support.waiting import until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("ACTORS_LONG") != "1", reason="takes minutes: make chaos"),
    pytest.mark.skipif(sys.platform != "linux", reason="a fork that has threads runs Python code safely"),
    pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning"),
]
LONG = os.environ.get("ACTORS_LONG") == "1"
MOST = 2000  # rounds of the long form; a life of the plain ones survives when there are no more steps
STRIDE = 1 if LONG else 7  # steps


class Sent(msgspec.Struct):
    """A message, whether it was told, and how it ended for its sender."""

    message: Message
    told: bool
    end: str = ""
    error: ActorCrashed | None = None


@pytest.fixture(autouse=True)
def forks(monkeypatch):
    fork_instead_of_spawning(monkeypatch)


@pytest.mark.timeout(3600 if LONG else 300)
@pytest.mark.parametrize("every", [pytest.param(False, id="visible"), pytest.param(True, id="every")])
@pytest.mark.parametrize(
    ("actor", "options", "rounds"),
    [
        pytest.param(SyncStepper, {}, 10, id="sync"),
        pytest.param(AsyncStepper, {}, 2, id="async"),
        pytest.param(Two, {}, 2, id="two"),
        pytest.param(Four, {}, 5, id="four"),
        pytest.param(SyncStepper, {"max_messages": 30}, 2, id="recycled"),
        pytest.param(SyncStepper, {"size": 2}, 2, id="pool"),
        pytest.param(SyncStepper, {"size": 2, "routing": Routing.BY_KEY, "key": "number"}, 3, id="keyed"),
    ],
)
async def test_before_each_step(actor: type[Actor], options, rounds: int, every: bool, tmp_path) -> None:
    """Tells, asks, streams and feeds, of all kinds, many together."""
    book = tmp_path / "book"
    letters: list[DeadLetter] = []
    sent: list[Sent] = []
    spec = ChildSpec(
        actor,
        args=(str(book), STRIDE, every),
        name="stepper",
        backoff=Backoff(initial=0.0, cap=0.0),
        max_deliveries=1_000_000,
        **options,
    )
    async with Supervisor(spec, intensity=Intensity.unlimited(), spares=0) as root:
        burying = asyncio.create_task(collect(root, letters))
        pid = root.snapshot().children[0].pid
        for number in range(MOST if LONG else rounds):
            await one_round(root, sent, number)
            lives = [(child.life, child.pid) for child in root.snapshot().children]
            if not options and not lives[0][0] % 2:
                break  # it had no step of that number
            for at, (_, pid) in enumerate(lives):
                await kill(root, at, pid)
        counted = dict(root.snapshot().children[0].fates)
        counts = {dict(series.labels)["kind"]: total for series, total in totals(root).items()}
    await burying
    judge(sent, letters, [line.split() for line in book.read_text().splitlines()], counted, counts)


async def kill(root: Supervisor, at: int, pid: int | None) -> None:
    """Kill a life, if it has a process now, and wait until that is known."""
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        await until(lambda: root.snapshot().children[at].pid != pid, "the death")


def totals(root: Supervisor):
    """What the actor has counted."""
    return root["stepper"].mailbox.counted.totals()


async def one_round(root: Supervisor, sent: list[Sent], number: int) -> None:
    """Messages that a life finds in its mailbox, and some that come alone."""
    ref, first = root["stepper"], number * 100
    asks = []

    def ask(message: Message) -> None:
        one = Sent(message, told=False)
        sent.append(one)
        asks.append(asyncio.create_task(ended(ref, one)))

    def tell(message: Message) -> None:
        sent.append(Sent(message, told=True, end="told"))
        ref.tell_nowait(message)

    for at in range(4):
        tell((Job, Memo)[at % 2](first + at))
    for at in range(4, 9):
        ask((Job, Memo, Bad)[at % 3](first + at))
    await asyncio.sleep(0)
    for at in range(10, 13):
        tell((Memo, Bad, Job)[at % 3](first + at))
    ask(Pull(first + 13))
    ask(Push(first + 14))
    late = asyncio.create_task(withdrawn(ref, Maybe(first + 15)))
    for at in range(20, 23):
        ask((Memo, Job, Bad)[at % 3](first + at))
    await asyncio.sleep(0)
    many = [(Job, Memo)[at % 2](first + at) for at in range(30, 36)]
    sent += (bulk := [Sent(message, told=False) for message in many])
    for one, reply in zip(bulk, await ref.ask_many(many, timeout=None), strict=True):
        settle(one, reply)
    told = [(Job, Memo, Bad)[at % 3](first + at) for at in range(40, 46)]
    sent += [Sent(message, told=True, end="told") for message in told]
    await ref.tell_many(told)
    await asyncio.gather(*asks, late)
    ask(Job(first + 50))
    await asks[-1]
    await until(lambda: not root.snapshot().children[0].mailbox, "all have ended")


async def withdrawn(ref, message: Maybe) -> None:
    with suppress(ActorCrashed, TimeoutError):
        async with asyncio.timeout(0):
            await ref.ask(message, timeout=None)


async def ended(ref, one: Sent) -> None:
    message = one.message
    try:
        if isinstance(message, Pull):
            assert [0, 1, 2] == [item async for item in ref.stream(message)]
            settle(one, message.number)
        elif isinstance(message, Push):
            assert 5 == await ref.feed(message, range(5))
            settle(one, message.number)
        else:
            settle(one, await ref.ask(message, timeout=None))
    except (HandlerError, Rejected, ActorCrashed) as error:
        settle(one, error)


def settle(one: Sent, reply: object) -> None:
    """What its sender got."""
    if isinstance(reply, ActorCrashed):
        one.end, one.error = "crashed", reply
    elif isinstance(one.message, Bad):
        assert isinstance(reply, Rejected if one.message.number % 2 else HandlerError)
        one.end = "failed"
    else:
        assert reply == one.message.number, reply
        one.end = "reply"


def judge(sent, letters, lines, fates, counts) -> None:
    """Nothing is lost, nothing doubled, what is said of a death is true, and counters count what was handled."""
    begun = Counter((kind, int(number)) for step, kind, number, _ in lines if step == "begin")
    done = Counter((kind, int(number)) for step, kind, number, _ in lines if step == "end")
    dead = Counter((type(letter.message).__name__, letter.message.number) for letter in letters)
    assert {DeadReason.CRASHED} >= {letter.reason for letter in letters}
    handled: Counter[str] = Counter()
    for one in sent:
        kind, key = type(one.message).__name__, (type(one.message).__name__, one.message.number)
        assert one.end, f"{key} has no end"
        if kind != "Memo":
            assert begun[key] <= 1, f"{key} was begun {begun[key]} times"
        if key in dead:
            assert kind != "Memo", f"{key} is idempotent"
            assert one.end in ("told", "crashed")
            assert dead[key] == 1
            continue
        assert done[key] >= 1, f"{key} vanished: {one}"
        handled[kind] += 1
        if one.end == "crashed":
            assert one.error.started
            assert one.error.finished
            assert kind != "Memo"
    for one in sent:
        if one.error is not None and not one.error.finished:
            assert (type(one.message).__name__, one.message.number) in dead
    for kind in ("Job", "Bad", "Pull", "Push"):
        assert handled[kind] == counts[kind], kind
    assert handled["Memo"] <= counts["Memo"]
    assert sum(dead.values()) == fates.get(DeadReason.CRASHED.value, 0)


@pytest.mark.timeout(3600 if LONG else 300)
async def test_a_durable_actor_before_each_step(tmp_path) -> None:
    """What was sent is in its state once."""
    spec = ChildSpec(
        DurableStepper,
        args=(str(tmp_path / "book"), STRIDE, LONG),
        name="stepper",
        durable=True,
        backoff=Backoff(initial=0.0, cap=0.0),
        max_deliveries=1_000_000,
    )
    store = SQLiteStore(tmp_path / "store")
    numbers: list[int] = []
    async with Supervisor(spec, intensity=Intensity.unlimited(), spares=0, store=store) as root:
        ref = root["stepper"]
        for number in range(MOST if LONG else 4):
            some = range(number * 10, number * 10 + 10)
            numbers += some
            sent = (ref.ask(Pay(one), timeout=None) if one % 3 else ref.tell(Pay(one)) for one in some)
            await asyncio.gather(*sent)
            await until(lambda: not root.snapshot().children[0].mailbox, "all have ended")
            child = root.snapshot().children[0]
            if not child.life % 2:
                break  # it had no step of that number
            await kill(root, 0, child.pid)
        assert numbers == sorted(await ref.ask(Paid(), timeout=None))
        assert {"handled"} == root.snapshot().children[0].fates.keys()
