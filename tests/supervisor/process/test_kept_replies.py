"""Replies in the black box of a process: announced, found by a look, found at its end; wrong ones end its life."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable

import msgspec
import pytest

from actors.errors import WireError
from actors.ipc.blackbox import BlackBox
from actors.ipc.reply_area import RUN
from actors.ipc.reply_cells import CELLS, CLOSE
from actors.wire.codec import encode
from actors.wire.framing import header
from actors.wire.from_child import KeptReplies as Announcement
from actors.wire.from_child import Outcome, Outcomes, Replies
from actors.wire.kinds import ITEM, NOTHING
from supervisor.process.channel import FrameReader
from supervisor.process.kept_replies import LOOK, KeptReplies


class Listener:
    def __init__(self) -> None:
        self.heard: list[Outcomes] = []
        self.some = asyncio.Event()

    def life_outcomes(self, frame, attachments):
        assert not attachments
        self.heard.append(frame)
        self.some.set()

    @property
    def seqs(self) -> list[int]:
        return [outcome.seq for frame in self.heard for outcome in frame.items]


@pytest.fixture
def box():
    box = BlackBox()
    yield box
    box.close()


def reader_of(box: BlackBox, listener: Listener, errors: list[Exception], loop: Timers | None = None) -> FrameReader:
    return FrameReader(
        1000,
        listener,  # type: ignore[arg-type]
        on_farewell=list,
        on_error=errors.append,
        kept=KeptReplies(box, loop or asyncio.get_running_loop()),  # type: ignore[arg-type]
    )


def of_the_child(box: BlackBox) -> BlackBox:
    """The box as the process has it."""
    child = BlackBox.__new__(BlackBox)
    child.__setstate__((1, box._replies_at, _Handle(box)))
    return child


def put(box: BlackBox, seq: int) -> None:
    assert box.replies.put(encode(Outcome(seq, 0, NOTHING)))


def frame_of(value: object) -> bytes:
    data = encode(value)
    return header(len(data)) + data


async def test_each_is_heard_once_whoever_finds_it_first(box):
    """Two objects of the area, one file, two mappings."""
    errors: list[Exception] = []
    listener, child = Listener(), of_the_child(box)
    reader = reader_of(box, listener, errors)
    sent = child.replies.sent_cell()
    put(child, 1)
    sent[0] += 1
    reader.arrived(frame_of(Announcement(child.replies.mark, 0, 0, more=True)))
    assert [1] == listener.seqs
    put(child, 2)
    listener.some.clear()
    async with asyncio.timeout(30):
        await listener.some.wait()
    put(child, 3)
    sent[0] += 1
    reader.arrived(frame_of(Announcement(child.replies.mark, 3, 5, more=False)))
    assert (3, 5) == (listener.heard[-1].ack_up_to, listener.heard[-1].began)
    put(child, 4)
    reader.take_rest()
    reader.take_rest()
    assert [1, 2, 3, 4] == listener.seqs
    assert not errors
    child.close()


async def test_replies_of_one_call_are_heard_as_one_frame_each_time(box):
    """Also where a reply has the bytes of a head in it, and where outcomes come between them."""
    errors: list[Exception] = []
    listener, child = Listener(), of_the_child(box)
    reader = reader_of(box, listener, errors)
    area = child.replies
    for seq in (3, 4):
        assert area.put_reply(seq, encode(seq))
    reader.arrived(frame_of(Announcement(area.mark, 4, 7, more=False)))
    assert area.put_reply(5, encode(RUN + bytes(8)))
    put(child, 6)
    for seq in (7, 8):
        assert area.put_reply(seq, encode(seq))
    reader.take_rest()
    replies = [
        (one.first, one.count, msgspec.msgpack.decode(one.replies))
        for one in listener.heard
        if isinstance(one, Replies)
    ]
    assert [(3, 2, [3, 4]), (5, 1, [RUN + bytes(8)]), (7, 2, [7, 8])] == replies
    outcomes = [one for one in listener.heard if isinstance(one, Outcomes)]
    assert [(4, 7, []), (0, 0, [6])] == [(one.ack_up_to, one.began, [i.seq for i in one.items]) for one in outcomes]
    assert not errors
    child.close()


async def test_a_reply_overtakes_no_frame_that_was_sent_before_it(box):
    """A look that finds it waits until as many frames have arrived as were sent."""
    errors: list[Exception] = []
    listener, child = Listener(), of_the_child(box)
    reader = reader_of(box, listener, errors)
    sent = child.replies.sent_cell()
    sent[0] += 1
    reader.arrived(frame_of(Announcement(child.replies.mark, 0, 0, more=True)))
    assert [] == listener.seqs
    sent[0] += 1  # an item of a stream, which is on its way
    put(child, 7)  # and the end of that stream
    listener.some.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(20 * LOOK):
            await listener.some.wait()
    reader.arrived(frame_of(Outcomes(0, [Outcome(7, ITEM, NOTHING)])))
    listener.some.clear()
    async with asyncio.timeout(30):
        await listener.some.wait()
    assert [ITEM, 0] == [outcome.kind for frame in listener.heard for outcome in frame.items]
    child.close()


async def test_outcomes_that_came_together_count_as_the_frames_they_were(box):
    """They are heard as one; a look that waited for the others would never end, and give no reply."""
    errors: list[Exception] = []
    listener, child = Listener(), of_the_child(box)
    reader = reader_of(box, listener, errors)
    child.replies.sent_cell()[0] += 3
    joined = b"".join(frame_of(Outcomes(seq, [Outcome(seq, 0, NOTHING)])) for seq in (1, 2))
    reader.arrived(joined + frame_of(Announcement(child.replies.mark, 0, 0, more=True)))
    put(child, 3)
    async with asyncio.timeout(30):
        while 3 not in listener.seqs:
            listener.some.clear()
            await listener.some.wait()
    assert [1, 2, 3] == listener.seqs
    child.close()


class Timers:
    """A loop whose timers are called one by one."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[..., None], tuple[int, ...]]] = deque()

    def call_later(self, _: float, deed: Callable[..., None], *args: int) -> None:
        self._waiting.append((deed, args))

    def call(self) -> bool:
        """Call the next one; whether there was one."""
        if not self._waiting:
            return False
        deed, args = self._waiting.popleft()
        deed(*args)
        return True


@pytest.mark.parametrize("called", range(3))
def test_a_frame_that_comes_while_a_look_is_on_its_way_is_followed_by_a_look_of_its_own(box, called):
    """What is kept after that frame was not there when the look began."""
    timers, child, marks = Timers(), of_the_child(box), []
    kept = KeptReplies(box, timers)  # type: ignore[arg-type]
    kept.announced(Announcement(child.replies.mark, 0, 0, more=True), lambda mark, _: marks.append(mark))
    for _ in range(called):
        timers.call()
    kept.announced(Announcement(child.replies.mark, 0, 0, more=True), lambda mark, _: marks.append(mark))
    put(child, 1)
    while timers.call():
        pass
    assert child.replies.mark in marks
    child.close()


class _Handle:
    def __init__(self, box: BlackBox) -> None:
        self._fd = box.fileno()

    def detach(self) -> int:
        return os.dup(self._fd)


@pytest.mark.parametrize("outcome", [b"\xc1", encode("no outcome")])
async def test_bytes_that_are_no_outcomes_end_the_life(box, outcome):
    errors: list[Exception] = []
    listener = Listener()
    reader = reader_of(box, listener, errors)
    mark = (1 << 32) | len(outcome)
    box._mapping[box._replies_at + 128 : box._replies_at + 128 + len(outcome)] = outcome
    reader.arrived(frame_of(Announcement(mark, 0, 0, more=False)))
    reader.take_rest()
    assert 1 == len(errors)
    assert reader.refused
    assert not listener.heard


async def test_a_life_whose_replies_are_not_read_may_not_announce_any(box):
    errors: list[Exception] = []
    reader = FrameReader(1000, Listener(), on_farewell=list, on_error=errors.append)  # type: ignore[arg-type]
    reader.arrived(frame_of(Announcement(0, 0, 0, more=False)))
    assert "keeps replies" in str(errors[0])


async def test_replies_in_cells_are_found_by_a_look_at_a_death_and_by_a_frame(box):
    """Each once; while the run is open, as far as its messages have ended."""
    errors: list[Exception] = []
    listener, child, loop = Listener(), of_the_child(box), Timers()
    reader = reader_of(box, listener, errors, loop)
    area, sent = child.replies, child.replies.sent_cell()
    cells, shift = area.open_run(4, 100, float) or pytest.fail("no room")

    def handle(*seqs: int, last: int | None = None) -> None:
        for seq in seqs:
            child.recorder.begin(seq, 0, 1)
            cells[seq + shift] = seq / 2
            child.recorder.done(seq)
        if last is not None:
            child.recorder.begin(last, 0, 1)

    def announce() -> None:
        area.checkpoint()
        sent[0] += 1
        reader.arrived(frame_of(Announcement(area.mark, 0, 0, more=True)))

    handle(4, 5)
    announce()
    handle(6, 7, last=8)
    loop.call()
    handle(8, last=9)  # after the look
    loop.call()
    assert [4, 5, 6, 7] == seqs_of(listener)
    handle(9, last=10)
    announce()
    handle(10, last=11)
    assert [4, 5, 6, 7, 8, 9] == seqs_of(listener)
    reader.take_rest()
    reader.take_rest()
    found = [msgspec.msgpack.decode(one.replies) for one in listener.heard if isinstance(one, Replies)]
    assert [seq / 2 for seq in range(4, 11)] == [value for values in found for value in values]
    assert [4, 5, 6, 7, 8, 9, 10] == seqs_of(listener)
    assert not errors
    child.close()


def seqs_of(listener: Listener) -> list[int]:
    runs = [one for one in listener.heard if isinstance(one, Replies)]
    return [seq for one in runs for seq in range(one.first, one.first + one.count)]


@pytest.mark.parametrize(
    "item",
    [
        CELLS + bytes(15) + b"\x09",  # of no kind
        CELLS + bytes(16) + CLOSE + (5000).to_bytes(8, "big"),  # more than one call has
    ],
)
async def test_runs_that_cannot_be_end_the_life(box, item):
    errors: list[Exception] = []
    listener, child = Listener(), of_the_child(box)
    reader = reader_of(box, listener, errors)
    assert child.replies._put(item, 1 + (CLOSE in item))
    reader.arrived(frame_of(Announcement(child.replies.mark, 0, 0, more=False)))
    assert isinstance(errors[0], WireError)
    assert not listener.heard
    child.close()
