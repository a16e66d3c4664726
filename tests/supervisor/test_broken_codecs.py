"""A codec of the user's that stops working in the daemon is the trouble of its message, and of nothing else."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import msgspec
import pytest

from actors import Actor, ActorCrashed, Codec, Message, Topic, UsageError, handles
from actors.exits import ExitKind
from actors.wire.codec import encode, register
from actors.wire.from_child import Publish, Send
from actors.wire.kinds import ACCEPTED, ASK, TELL, UNDECODABLE
from actors.wire.progress import Progress
from supervisor import DeadReason, Routing
from tests.support.scripted import child, states, tree
from tests.support.waiting import at_rest, until


class Place:
    """A type that only its codec knows."""

    def __init__(self, name: str) -> None:
        self.name = name


class Faults:
    """What the codec raises from now on."""

    encoding: BaseException | None = None
    decoding: BaseException | None = None


def plain(place: Place) -> str:
    if Faults.encoding is not None:
        raise Faults.encoding
    return place.name


def from_plain(name: str) -> Place:
    if Faults.decoding is not None:
        raise Faults.decoding
    return Place(name)


class Go(Message[int]):
    key: str
    place: Place


class Come(Message[int]):
    idempotent: ClassVar[bool] = True
    key: str
    place: Place


class Traveller(Actor):
    codecs = (Codec(Place, plain, from_plain),)

    @handles
    def go(self, msg: Go) -> int: ...

    @handles
    def come(self, msg: Come) -> int: ...


register(*Traveller.codecs)


@pytest.fixture(autouse=True)
def sound():
    yield
    Faults.encoding = Faults.decoding = None


class Mute(Exception):
    """Cannot say what is wrong."""

    def __str__(self):
        raise RuntimeError("no text")


class Abrupt(Exception):
    """Leaves when it is asked what is wrong."""

    def __str__(self):
        raise SystemExit(3)


ANY = [Mute(), Abrupt(), RuntimeError("the database is down"), SystemExit(3), MemoryError(), RecursionError()]


@pytest.mark.parametrize("error", ANY, ids=lambda error: type(error).__name__)
async def test_at_a_death(error):
    """Each message in the life's hands gets its fate, the next life follows, the tree stops."""
    async with tree(child(actor=Traveller)) as root:
        letters = root.dead_letters()
        begun = asyncio.create_task(root["a"].ask(Go("k", Place("x")), timeout=None))
        again = asyncio.create_task(root["a"].ask(Come("k", Place("y")), timeout=None))
        await root["a"].tell(Come("k", Place("z")))
        life = root.launcher.life("/root/a")
        await until(lambda: len(life.received) == 3, "the messages")
        life.doing = Progress(2, frozenset({1, 2}), 1, 0)
        Faults.decoding = error
        life.exit(ExitKind.KILLED)
        with pytest.raises(ActorCrashed, match="while handling Go") as caught:
            await begun
        assert (True, False) == (caught.value.started, caught.value.finished)
        letter = await anext(letters)
        assert ("Go", None, DeadReason.CRASHED) == (letter.message_type, letter.message, letter.reason)
        await until(lambda: len(root.launcher.life("/root/a").received) == 2, "what may be begun again")
        assert {"a": "running"} == states(root)
        assert not again.done()
        again.cancel()


async def test_at_a_resize():
    """What waits for a member that goes finds its new queue by its key, without being read."""
    spec = child(actor=Traveller, size=2, routing=Routing.BY_KEY, key="key")
    async with tree(spec) as root:
        for member in ("0", "1"):
            root.launcher.life(f"/root/a/{member}").congested = True
        for number in range(20):
            root["a"].tell_nowait(Go(str(number), Place("x")))
        Faults.decoding = RuntimeError("no more")
        await root.resize("a", 1)
        root.launcher.life("/root/a/0").writable()
        await until(lambda: len(root.launcher.life("/root/a/0").received) == 20, "all messages")


@pytest.mark.parametrize("error", ANY, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("way", ["encoding", "decoding"])
async def test_at_the_sender(way, error):
    """A message whose codec raises is refused to its sender, in every way of sending."""
    setattr(Faults, way, error)
    message = Go("k", Place("x"))
    async with tree(child(actor=Traveller)) as root:
        ref = root["a"]
        for send in (ref.ask(message), ref.tell(message), ref.tell(message, delay=1.0)):
            with pytest.raises(UsageError, match=f"Go cannot be sent to Traveller: .*{type(error).__name__}"):
                await send
        with pytest.raises(UsageError, match=type(error).__name__):
            ref.tell_nowait(message)
        with pytest.raises(UsageError, match=type(error).__name__):
            root.publish(Topic("places", Go), message)
        assert {} == root.snapshot().children[0].fates


async def test_what_an_actor_sends():
    """Is not decoded here, unless a field says where it goes: then it is refused to its sender, whose life goes on."""
    sent = msgspec.Raw(encode(Go("k", Place("x"))))
    Faults.decoding = RuntimeError("no more")
    pool = child("c", Traveller, size=2, routing=Routing.BY_KEY, key="key")
    async with tree(child("a", Traveller), child("b", Traveller), pool) as root:
        life = root.launcher.life("/root/a")
        for first, to in ((0, "/root/b"), (2, "/root/c")):
            for kind, correlation in ((TELL, 0), (TELL, first + 1), (ASK, first + 2)):
                life.say(Send(to, kind, correlation, None, 0.0, False, False, sent))
        life.say(Publish("places", sent))
        await at_rest()
        answers = [msgspec.msgpack.decode(one) for one in life.answers]
        assert [(1, ACCEPTED), (3, UNDECODABLE), (4, UNDECODABLE)] == [(number, kind) for _, number, kind, _ in answers]
        assert {} == root.snapshot().children[1].fates
        assert {"undecodable": 1} == root.snapshot().children[2].fates
        assert not life.over


async def test_a_key_that_is_no_plain_value():
    """A message without a key is refused at its sender, before anything of it is kept."""
    async with tree(child(actor=Traveller, size=2, routing=Routing.BY_KEY, key="place")) as root:
        with pytest.raises(UsageError, match="Go cannot be routed by its 'place': TypeError"):
            root["a"].tell_nowait(Go("k", Place("x")))
        assert 0 == root.snapshot().children[0].mailbox
