"""What a child can write: random, truncated, bent, hostile. Its own life may end by it; nothing else may happen.

The parser of the daemon is whole here: `ProcessLife`, the mailboxes, the ways between actors, the topics; only the
process is missing. The frames that are bent were recorded from real processes.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from actors import ActorsError
from actors.wire import from_child
from actors.wire.codec import encode
from actors.wire.framing import HEADER, attachment_header, header
from supervisor import ChildSpec, Supervisor
from supervisor.process.channel import FrameReader
from tests.support.bare import BareSupervisor
from tests.support.everything import Blob, Everyone, Everything, Feed, Flow, News, Tree, Word
from tests.support.waiting import at_rest, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200 if os.environ.get("ACTORS_LONG") == "1" else 120)]

LONG = os.environ.get("ACTORS_LONG") == "1"
STREAMS = 20_000 if LONG else 600  # bent recordings
EXAMPLES = 2_000 if LONG else 60
LONGEST_TURN = 2.0  # seconds that one piece of input may take; a hundred times what the worst takes on a quiet machine

FRAMES = from_child.FromChild.__args__
TAGS = [*(frame.__struct_config__.tag for frame in FRAMES), 0, 19, 22, 255, -1]
NUMBERS = [0, 1, 2, 3, 4, 5, 10, 63, 64, 65, 2**31, 2**32, 2**63 - 1, 2**64 - 1, -1, -(2**31), -(2**63)]
FLOATS = [0.0, -0.0, 1e-9, 1.0, -1.0, 1e300, -1e300, float("inf"), float("-inf"), float("nan")]
NAMES = [
    "sibling",
    "/root/sibling",
    "/root/hostile",
    "other",
    "/",
    "",
    "../x",
    "nobody",
    "news",
    "x" * 256,
    "y" * 50_000,
]
DEEP = [
    b"\x91" * 50_000,
    b"\x81\xa0" * 50_000,
    b"\xdd\xff\xff\xff\xff" * 10_000,
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
]
BROKEN = [b"\xa1\xff", b"\xa4\xed\xa0\x80x", b"\xc1", b"", b"\xd9", b"\xc7\xff\x00", b"\xd6\xff\x00\x00\x00\x00"]


def raw(data: bytes) -> msgspec.Raw:
    return msgspec.Raw(data)


PAYLOADS = [
    *(encode(message) for message in (Word("w"), News(1), Flow(), Feed(), Tree([[]]), Blob(b"b"))),
    *(
        encode(value)
        for value in (None, 7, "text", b"bytes", [], [1, None, "x"], {"a": 1}, ["T", True, False], 2**64 - 1)
    ),
    encode(from_child.Failure("KeyError", "'x'", "Traceback")),
    *DEEP,
    *BROKEN,
]


class Scene:
    """A tree of two: one whose bytes are hostile and which has every kind of message in flight, and its sibling."""

    def __init__(self, root: BareSupervisor) -> None:
        self.root = root
        self.wrong: list[dict[str, object]] = []
        self.slowest = 0.0
        self.refusals: list[str] = []
        self.told = 1_000_000  # what the hostile one may send to its sibling has other numbers
        self.tasks: list[asyncio.Task[object]] = []
        self.sibling = root.child("sibling")
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.wrong.append(context))

    def busy(self) -> None:
        """Give the hostile one something of everything, unless it has enough of it."""
        hostile = self.root["hostile"]
        if self.root.child("hostile").life.congested or len(self.tasks) > 50:
            return
        hostile.tell_nowait(Word("tell"))

        async def read() -> None:
            async for _ in hostile.stream(Flow()):
                pass

        asks = (hostile.ask(Word("ask"), timeout=60.0), hostile.ask(Blob(b"x"), timeout=None), read())
        for work in (*asks, hostile.ask(Tree([]), timeout=60.0), hostile.feed(Feed(), range(1000))):
            task = asyncio.create_task(work)
            self.tasks.append(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self.tasks.remove(task)
        if not task.cancelled() and task.exception() is not None:
            assert isinstance(task.exception(), ActorsError), task.exception()

    def feed(self, data: bytes) -> None:
        """Let the daemon read what the hostile one wrote."""
        child = self.root.child("hostile")
        refused = child.refused
        began = time.thread_time()
        child.feed(data)
        child.scribble(data)
        self.slowest = max(self.slowest, time.thread_time() - began)
        if child.refused and not refused:
            self.refusals.append(child.refused)

    async def judge(self) -> None:
        """The sibling is not disturbed: what is sent to it arrives, once and in order, and its answers do, too."""
        sibling = self.root["sibling"]
        told = [self.told + 1, self.told + 2]
        self.told += 2
        for number in told:
            sibling.tell_nowait(News(number))
        asking = asyncio.create_task(sibling.ask(Word("still there?"), timeout=60.0))
        heard = await self.sibling.serve(
            lambda data: msgspec.msgpack.decode(data)[1] if data[1:6] == b"\xa4Word" else 0
        )
        numbers = [message[1] for data in heard if (message := msgspec.msgpack.decode(data))[0] == "News"]
        assert told == [number for number in numbers if number in told]
        for _ in range(100):
            if asking.done():
                break
            await self.sibling.serve(lambda _: "still there?")
        assert "still there?" == await asking
        assert self.root.child("sibling") is self.sibling
        assert self.sibling.refused is None
        assert not self.wrong, self.wrong
        assert self.slowest < LONGEST_TURN

    async def renew(self) -> None:
        """The next stream is read from its beginning: not by a life that ends, or waits for the rest of a frame."""
        child = self.root.child("hostile")
        if child.refused is None and child.unfinished:
            child.worker.hang_up()
        elif child.refused is None:
            return
        await until(lambda: self.root.child("hostile") is not child, "the next life")

    async def end(self) -> None:
        for task in tuple(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def attack(streams: list[list[bytes]]) -> Scene:
    """Feed one stream of chunks after the other, each to a life that reads, and judge after each."""
    async with BareSupervisor("hostile", "sibling", "other", actor=Everything, mailbox=200) as root:
        scene = Scene(root)
        for chunks in streams:
            scene.busy()
            await at_rest()
            for chunk in chunks:
                scene.feed(chunk)
            await at_rest()
            await scene.judge()
            await scene.renew()
        await scene.end()
    return scene


def whole(frame: bytes) -> bytes:
    return header(len(frame)) + frame


# ---- shapes of frames, with values that no child of ours would send

numbers = st.sampled_from(NUMBERS) | st.integers(-(2**63), 2**64 - 1)
floats = st.sampled_from(FLOATS) | st.floats()
names = st.sampled_from(NAMES) | st.text(max_size=20)
payloads = st.sampled_from(PAYLOADS).map(raw)
anything = st.one_of(numbers, floats, names, payloads, st.none(), st.booleans(), st.binary(max_size=20))
small = st.integers(-1, 17)


def shape(kind: inspect.Type) -> st.SearchStrategy[object]:
    """Values of about that type, whatever its bounds are."""
    match kind:
        case inspect.StructType(fields=fields, tag=tag):
            cells = [shape(field.type) for field in fields]
            return st.tuples(*([] if tag is None else [st.just(tag)]), *cells)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return st.lists(shape(item), max_size=5)
        case inspect.TupleType(item_types=items):
            return st.tuples(*map(shape, items))
        case inspect.UnionType(types=types):
            return st.one_of(*map(shape, types))
        case inspect.IntType() | inspect.LiteralType():
            return small | numbers
        case inspect.FloatType():
            return floats | st.just(0.0)
        case inspect.StrType():
            return names
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.RawType():
            return payloads
        case inspect.BytesType():
            return st.binary(max_size=40)
    raise AssertionError(f"no shape for {kind}: say here what a child may write")


whole_frames = st.one_of(*(shape(inspect.type_info(frame)) for frame in FRAMES))  # each that there is
hostile = st.one_of(
    whole_frames,
    whole_frames.flatmap(lambda cells: st.integers(0, 6).map(lambda size: cells[:size])),
    st.lists(anything, max_size=6).map(lambda cells: [20, *cells]),
    st.tuples(st.sampled_from(TAGS), anything, anything),
)

# ---- and such as a child of ours might send, at another time

said = st.sampled_from(PAYLOADS[:17]).map(raw)
waiting = st.integers(1, 6)
to = st.sampled_from(["/root/sibling", "/root/other", "/root/hostile", "/root/nobody"])
marks = st.integers(0, 3).map(lambda count: count << 32 | count * 20)
plausible = st.one_of(
    st.tuples(st.just(20), st.integers(0, 8), st.lists(st.tuples(waiting, st.integers(0, 15), said), max_size=4)),
    st.tuples(
        st.just(21), to, st.integers(0, 2), waiting, st.none() | st.floats(0, 1e9),
        st.sampled_from([0.0, 0.0, 0.001, 1e9]), st.booleans(), st.booleans(), said,
    ),
    st.tuples(st.just(26), waiting, st.integers(0, 65)),
    st.tuples(st.just(25), waiting),
    st.tuples(st.just(35), marks, waiting, st.just(0), st.booleans()),
    st.tuples(st.just(24), to, st.integers(0, 4)),
    st.tuples(st.just(27), st.sampled_from(["news", "other"])),
    st.tuples(st.just(28), st.sampled_from(["news", "other"]), said),
)  # fmt: skip
frames = (hostile | plausible | plausible).map(encode)
attachments = st.binary(max_size=40).map(lambda data: attachment_header(len(data)) + data)
lengths = st.sampled_from(
    [b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x01\x00\x00\x80", b"\x00\x00\x00\x80", b"\x00" * 4]
)
written = st.one_of(
    frames.map(whole), plausible.map(encode).map(whole), frames.map(whole), attachments, lengths, st.binary(max_size=64)
)


@settings(max_examples=EXAMPLES)
@given(st.lists(st.lists(written, min_size=1, max_size=12), min_size=1, max_size=6))
def test_hostile_frames(streams):
    """Whatever the numbers, names, kinds and payloads are, at worst that life ends."""
    asyncio.run(attack(streams))


# ---- bent recordings


@pytest.fixture(scope="module")
def recording():
    """Everything that two real processes wrote while they used every way there is, frame by frame.

    In which chunks it arrived is chance, and would make it chance how much of what is bent is understood.
    """
    written: dict[str, bytes] = {"/root/hostile": b"", "/root/other": b""}

    def arrived(frames, chunk):
        written[frames._listener._path] += chunk
        plain(frames, chunk)

    async def run():
        async with Supervisor(ChildSpec(Everything, name="other"), ChildSpec(Everything, name="hostile")) as root:
            one = root["hostile"]
            await one.ask(Everyone(), timeout=20.0)
            assert 45 == await one.feed(Feed(), range(10))
            for number in range(20):
                await one.tell(Word("x" * number))
            with suppress(ActorsError):
                await one.ask(Tree([object]), timeout=1.0)
            await one.ask(Word("end"), timeout=20.0)

    with pytest.MonkeyPatch.context() as patch:
        plain = FrameReader.arrived
        patch.setattr(FrameReader, "arrived", arrived)
        asyncio.run(run())
    return [frame for data in written.values() for frame in framed(data) if len(frame) < 100_000]


def framed(data: bytes) -> list[bytes]:
    """Frames and attachments, headers included."""
    frames = []
    while data:
        size = HEADER + (int.from_bytes(data[:HEADER], "little") & 0x7FFF_FFFF)
        frames.append(data[:size])
        data = data[size:]
    return frames


def bend(data: bytes, dice: random.Random) -> bytes:
    """The same bytes with something wrong: bits, lengths, an end, a piece too many or too few."""
    bent = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 10))):
        at = dice.randrange(len(bent)) if bent else 0
        match dice.randrange(6):
            case 0 if bent:
                bent[at] ^= 1 << dice.randrange(8)
            case 1:
                del bent[at:]
            case 2:
                del bent[at : at + dice.randrange(1, 9)]
            case 3:
                bent[at:at] = dice.choice((dice.randbytes(dice.randrange(1, 9)), *DEEP, *BROKEN))
            case 4 if bent:
                bent[at] = dice.choice((0, 0x7F, 0x80, 0xC0, 0xC1, 0xCA, 0xD9, 0xDD, 0xDF, 0xFF))
            case _:
                bent += bent[at : at + dice.randrange(1, 200)]
    return bytes(bent)


def cut(data: bytes, dice: random.Random) -> list[bytes]:
    """Where a stream is cut is chance."""
    places = sorted(dice.randrange(len(data) + 1) for _ in range(dice.randrange(4)))
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    return [piece for piece in pieces if piece]


async def test_bent_recordings(recording, record_property):
    """Hundreds of times real frames with something wrong in them; nothing but a WireError comes of it."""
    dice = random.Random(6)
    assert len(recording) > 10  # how many outcomes share a frame is chance
    streams = [cut(bend(b"".join(dice.choices(recording, k=dice.randrange(1, 4))), dice), dice) for _ in range(STREAMS)]
    scene = await attack(streams)
    record_property("streams, ended lives, slowest piece", (len(streams), len(scene.refusals), scene.slowest))
    assert len(scene.refusals) > STREAMS / 2


async def test_memory_stays(recording):
    """What bent frames leave behind in the daemon does not grow with their number."""
    dice = random.Random(7)

    async def round_of(count):
        await attack([cut(bend(dice.choice(recording), dice), dice) for _ in range(count)])

    await round_of(100)
    grown = []
    for _ in range(4):  # a heap grows in steps, and keeps one; what is left behind shows in every round
        before = resident()
        await round_of(100)
        grown.append(resident() - before)
    assert min(grown) < 5 * 1024 * 1024


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_every_frame_in_pieces_says_the_same(recording):
    """Byte by byte or all at once: the daemon comes to the same answers."""

    async def tell(chunks):
        async with BareSupervisor("hostile", "sibling", "other", actor=Everything) as root:
            for chunk in chunks:
                root.child("hostile").feed(chunk)
            await until(lambda: True)
            return root.child("hostile").refused

    data = b"".join(recording)[:20_000]
    assert await tell([data]) == await tell([data[at : at + 1] for at in range(len(data))])
