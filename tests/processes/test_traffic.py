"""Random traffic between a daemon and three actors that die at random instants: each message's fate, against a model.

A short form runs with the suite; the long one, a thousand kills, with `make chaos` (ACTORS_LONG=1).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter, defaultdict
from contextlib import aclosing

import msgspec
import pytest

from actors import ActorCrashed, AskTimeout
from supervisor import Backoff, ChildSpec, ChildStarted, DeadLetter, DeadReason, Intensity, Supervisor
from supervisor.messaging.actor_sends import ActorSends
from tests.support.killing import collect
from tests.support.traffic import Agent, Clerk, Crowd, Errand, Job, Memo, Pid, Pull, Push
from tests.support.waiting import until

pytestmark = pytest.mark.processes

LONG = pytest.mark.skipif(os.environ.get("ACTORS_LONG") != "1", reason="takes minutes: make chaos")
NAMES = ("clerk", "agent", "crowd")
SENDERS = 4
AT_MOST = 100  # messages of one sender under way
FATES = {"handled", "handled_unanswered", "cancelled", "expired", DeadReason.CRASHED.value}
REFUSALS = {"CallCycle", "AskTimeout", "ActorCrashed"}  # what may come of an errand's ask but a reply


class Sent(msgspec.Struct):
    """What the daemon knows of one message it sent.

    Attributes:
        to: the actor's name.
        message: what.
        way: tell, ask, brief (an ask with a short timeout), cancel, stream, leave (a stream left early), feed.
        ends: how it ended, once for each end that was heard.
        error: of a crash.
        got: the reply, or the items of a stream.
    """

    to: str
    message: Job | Memo | Pull | Push | Errand
    way: str
    ends: list[str] = []
    error: ActorCrashed | None = None
    got: object = None


class Routed:
    """Counts what the daemon read of the actors' own messages, by receiver: those it took in, and those it refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken: Counter[str] = Counter()
        send, refuse = ActorSends.send, ActorSends._refuse

        def counted(sends, frame, attachments=()):
            self.taken[frame.to.rpartition("/")[2]] += 1
            send(sends, frame, attachments)

        def uncounted(sends, frame, asker, *rest):
            self.taken[frame.to.rpartition("/")[2]] -= asker is not None
            refuse(sends, frame, asker, *rest)

        monkeypatch.setattr(ActorSends, "send", counted)
        monkeypatch.setattr(ActorSends, "_refuse", uncounted)


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(24, id="24-kills"),
        pytest.param(1000, id="1000-kills", marks=[LONG, pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
async def test_every_message_has_the_fate_of_the_model(kills, tmp_path, monkeypatch, record_property):
    """Over random kills nothing is unaccounted for, nothing doubled, nothing overtaken, and the counters agree."""
    book = tmp_path / "book"
    routed = Routed(monkeypatch)
    letters: list[DeadLetter] = []
    sent: list[Sent] = []
    specs = [
        ChildSpec(actor, args=(str(book),), name=name, backoff=Backoff(initial=0.0, cap=0.0), max_deliveries=10_000)
        for actor, name in zip((Clerk, Agent, Crowd), NAMES, strict=True)
    ]
    async with Supervisor(*specs, intensity=Intensity.unlimited(), start="parallel") as root:
        burying = asyncio.create_task(collect(root, letters))
        over = asyncio.Event()
        senders = [asyncio.create_task(send(root, sent, f"s{number}", over)) for number in range(SENDERS)]
        await kill_often(root, kills)
        over.set()
        await asyncio.gather(*senders)
        await until(lambda: not any(child.mailbox for child in root.snapshot().children), f"quiet: {root}")
        await asyncio.gather(*(root[name].ask(Pid(), timeout=20.0) for name in NAMES))
        fates = {child.name: child.fates for child in root.snapshot().children}
        dead = sum(fates[name].get(DeadReason.CRASHED.value, 0) for name in NAMES)
        await until(lambda: len(letters) >= dead, "the last dead letters")
    await burying
    lines = [line.split() for line in book.read_text().splitlines()]
    for key, value in figures(sent, fates, letters, lines).items():
        record_property(key, str(value))
    judge_counters(sent, routed, fates, letters)
    judge_messages(sent, letters, lines)
    judge_errands(letters, lines)
    judge_order(lines)
    assert len(sent) > kills * 5


async def kill_often(root: Supervisor, kills: int) -> None:
    """Each life of each actor is killed at a random instant."""
    dice = random.Random(kills)
    events = root.events()
    for name in NAMES:
        os.kill(await root[name].ask(Pid(), timeout=20.0), signal.SIGKILL)
    done = len(NAMES)
    killers = set()

    async def kill(pid: int) -> None:
        longest = 0.4 if dice.random() < 0.3 else 0.05  # lives of both kinds: some see what they asked for
        await asyncio.sleep(dice.random() * longest)  # the load itself: a random instant of a life
        os.kill(pid, signal.SIGKILL)

    async for event in events:
        if isinstance(event, ChildStarted):
            killers.add(asyncio.create_task(kill(event.pid or 0)))
            done += 1
            if done >= kills:
                break
    await asyncio.gather(*killers)


# ---- the load


async def send(root: Supervisor, sent: list[Sent], sender: str, over: asyncio.Event) -> None:
    """Messages of all kinds in all ways, numbered, until the killing is over; then wait for their ends."""
    dice = random.Random(sender)
    under_way: set[asyncio.Task[None]] = set()
    number = 0
    while not over.is_set():
        for _ in range(dice.randrange(1, 8)):
            number += 1
            one = draw(dice, sender, number)
            sent.append(one)
            task = asyncio.create_task(do(root, one, dice.random()))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            await asyncio.sleep(0)  # the task has put its message into the mailbox
        await asyncio.sleep(dice.random() * 0.004)  # the load itself: its pace
        while len(under_way) > AT_MOST and not over.is_set():
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.gather(*under_way)


def draw(dice: random.Random, sender: str, number: int) -> Sent:
    to = dice.choice(NAMES)
    way = dice.choices(
        ("tell", "ask", "brief", "cancel", "stream", "leave", "feed", "errand"), (6, 6, 3, 3, 2, 2, 2, 6)
    )[0]
    if way in ("stream", "leave"):
        return Sent(to, Pull(sender, number, dice.choice((0, 3, 50, 300))), way, [])
    if way == "feed":
        return Sent(to, Push(sender, number), way, [])
    if way == "errand":
        other = dice.choice([name for name in NAMES if name != to])
        how = dice.choice(("ask", "tell"))
        return Sent(to, Errand(sender, number, other, how), dice.choice(("ask", "ask", "ask", "cancel", "brief")), [])
    return Sent(to, dice.choice((Job, Memo))(sender, number), way, [])


async def do(root: Supervisor, one: Sent, chance: float) -> None:
    """Send it, and note how it ended for the sender."""
    ref, message = root[one.to], one.message
    try:
        if one.way == "tell":
            if chance < 0.5:
                await ref.tell(message)
            else:
                ref.tell_nowait(message)
            one.ends.append("told")
            return
        if one.way == "ask":
            one.got = await ref.ask(message, timeout=None)
        elif one.way == "brief":
            one.got = await ref.ask(message, timeout=chance * 0.05)
        elif one.way == "cancel":
            async with asyncio.timeout(chance * 0.02):  # it cancels what is inside
                one.got = await ref.ask(message, timeout=None)
        elif one.way == "feed":
            one.got = await ref.feed(message, range(int(chance * 200)))
            assert one.got == sum(range(int(chance * 200)))
        else:
            await read(ref, one, chance)
            return
        one.ends.append("reply")
    except AskTimeout:
        one.ends.append("timeout")
    except TimeoutError:
        one.ends.append("cancelled")
    except ActorCrashed as error:
        one.ends.append("crashed")
        one.error = error


async def read(ref, one: Sent, chance: float) -> None:
    one.got = []
    async with aclosing(ref.stream(one.message)) as items:
        async for item in items:
            one.got.append(item)
            if one.way == "leave" and item >= chance * one.message.count:
                one.ends.append("left")
                return
    one.ends.append("reply")


# ---- the model


def key_of(to: str, message) -> tuple[str, str, str, int]:
    return to, type(message).__name__, message.sender, message.number


def steps(lines: list[list[str]], step: str) -> Counter[tuple[str, str, str, int]]:
    """How often that line is in the book, by message."""
    return Counter((name, kind, sender, int(number)) for name, what, kind, sender, number, *_ in lines if what == step)


def judge_counters(sent, routed, fates, letters) -> None:
    """The counters of a mailbox add up to what was sent to it, and its dead letters are as many as they say."""
    for name in NAMES:
        counted = fates[name]
        assert FATES >= counted.keys()
        pids = 2  # those that this test asked for, outside the ledger
        from_daemon = sum(one.to == name for one in sent) + pids
        assert from_daemon + routed.taken[name] == sum(counted.values()), f"{name}: {counted}, {routed.taken}"
        own = [letter for letter in letters if letter.actor == f"/root/{name}"]
        assert counted.get(DeadReason.CRASHED.value, 0) == len(own)
        unanswered = sum(one.to == name and one.error is not None and one.error.finished is True for one in sent)
        assert counted.get("handled_unanswered", 0) >= unanswered


def judge_messages(sent, letters, lines) -> None:
    """Each message that the daemon sent has one end, and it is the one of the model."""
    begun, ended = steps(lines, "begin"), steps(lines, "end")
    dead = Counter(key_of(letter.actor.rpartition("/")[2], letter.message) for letter in letters)
    assert not [key for key, count in dead.items() if count > 1], "died twice"
    too_late = [key for one in sent if one.ends == ["cancelled"] and (key := key_of(one.to, one.message)) in dead]
    assert len(too_late) < 10, "cancelled in the same turn of the loop in which the crash was told"
    for one in sent:
        key = key_of(one.to, one.message)
        assert len(one.ends) == 1, f"{key}: {one.ends}"
        end = one.ends[0]
        if isinstance(one.message, Memo):
            assert key not in dead
            assert end != "crashed", f"{key} is idempotent: {one.error}"
            assert ended[key] >= 1 or end in ("timeout", "cancelled"), f"{key} vanished"
        else:
            assert begun[key] <= 1, f"{key} was begun {begun[key]} times"
        if end == "reply":
            assert ended[key] >= 1
            assert key not in dead
        elif end == "told":
            assert ended[key] >= 1 or key in dead, f"{key} vanished"
        elif end == "crashed":
            assert (key in dead) == (one.error.finished is False)
            assert one.error.started is True
            assert ended[key] == 1 or not one.error.finished, f"{key} was begun {begun[key]} times and has not ended"
        elif end == "timeout":  # a stream may have crashed behind the items at which its reader left
            assert key not in dead, f"{key}: it was withdrawn"
        judge_reply(one, end)


def judge_reply(one: Sent, end: str) -> None:
    if isinstance(one.message, Pull):
        assert list(range(len(one.got))) == one.got, "items in order, none twice"
        assert end != "reply" or len(one.got) == one.message.count
    elif end == "reply" and isinstance(one.message, Job | Memo):
        assert one.message.number == one.got


def judge_errands(letters, lines) -> None:
    """What the actors sent to each other: begun at most once unless idempotent, and what they were told is true."""
    begun, ended = steps(lines, "begin"), steps(lines, "end")
    dead = {key_of(letter.actor.rpartition("/")[2], letter.message) for letter in letters}
    outcomes: defaultdict[tuple[str, str, str, int], list[str]] = defaultdict(list)
    for _, what, kind, sender, number, *words in lines:
        if what == "outcome":
            outcomes[words[0], kind, sender, int(number)].append(words[1])
    sends = {(words[0], k, s, int(n)) for _, what, k, s, n, *words in lines if what == "send"}
    assert outcomes.keys() <= sends
    for key in sends:
        said = outcomes[key]
        assert len(said) <= 1, f"{key} ended twice"
        assert begun[key] <= 1 or key[1] == "Memo"
        if said == ["told"]:
            assert ended[key] >= 1 or key in dead, f"{key} vanished"
        elif said and said[0].startswith("reply="):
            assert said[0] == f"reply={key[3]}"
            assert ended[key] >= 1
            assert key not in dead
        elif said:
            assert said[0] in REFUSALS
            assert begun[key] == 0 or said[0] != "CallCycle"


def judge_order(lines) -> None:
    """The first begins of one sender's messages at one actor ascend."""
    seen: set[tuple[str, str, str, int]] = set()
    last: dict[tuple[str, str], int] = {}
    for name, what, kind, sender, number, *_ in lines:
        key = (name, kind, sender, int(number))
        if what == "begin" and key not in seen:
            seen.add(key)
            assert last.get((name, sender), 0) < int(number), f"{key} was overtaken"
            last[name, sender] = int(number)


def figures(sent, fates, letters, lines) -> dict[str, object]:
    return {
        "sent": Counter(type(one.message).__name__ for one in sent),
        "ends": Counter(end for one in sent for end in one.ends),
        "between actors": Counter(
            words[1].partition("=")[0] for _, what, _, _, _, *words in lines if what == "outcome"
        ),
        "fates": fates,
        "dead letters": len(letters),
    }
