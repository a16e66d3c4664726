"""Framing: any chunking of the same bytes yields the same frames."""

from __future__ import annotations

import gc
import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.errors import FrameTooLarge, WireError
from actors.wire.framing import (
    HEADER,
    MAX_ATTACHMENTS,
    MAX_FRAME,
    MAX_MESSAGE,
    Attachment,
    Framer,
    attachment_header,
    header,
    shared_header,
)


def stream_of(frames):
    return b"".join(header(len(frame)) + frame for frame in frames)


@st.composite
def chunked(draw):
    frames = draw(st.lists(st.binary(max_size=300), max_size=12))
    stream = stream_of(frames)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=40)))
    edges = [0, *cuts, len(stream)]
    return frames, [stream[start:stop] for start, stop in itertools.pairwise(edges)]


@given(chunked())
@example(([b""], [b"\0", b"\0", b"\0", b"\0"]))
@example(([b"ab"], [b"\2\0\0", b"\0a", b"b"]))
def test_any_chunking_yields_the_same_frames(case):
    """Where the bytes are cut does not matter, and no frame waits longer than for its last byte."""
    frames, chunks = case
    framer = Framer()
    received = []
    arrived = 0
    for chunk in chunks:
        received += framer.feed(chunk)
        arrived += len(chunk)
        whole = 0
        for count, frame in enumerate(frames):
            whole += HEADER + len(frame)
            if whole <= arrived:
                assert len(received) > count
    assert frames == received


@given(st.lists(st.binary(max_size=64), max_size=6), st.integers(0, 64))
def test_byte_by_byte_with_a_limit(frames, limit):
    """Everything up to the limit passes; the first frame above it is refused by its header alone."""
    framer = Framer(limit)
    received = []
    refused = None
    try:
        for byte in stream_of(frames):
            received += framer.feed(bytes([byte]))
    except FrameTooLarge as error:
        refused = error
    good = []
    for frame in frames:
        if len(frame) > limit:
            break
        good.append(frame)
    assert good == received
    assert (len(good) < len(frames)) == (refused is not None)


def test_too_large_is_refused_before_it_is_read():
    """Four bytes are enough to know."""
    with pytest.raises(FrameTooLarge, match=f"{MAX_FRAME + 1} bytes, the limit is {MAX_FRAME}"):
        Framer().feed(header(MAX_FRAME + 1))


def test_the_largest_length_there_is():
    """A hostile header asks for four gigabytes."""
    with pytest.raises(WireError):
        Framer().feed(b"\xff" * HEADER)


def test_a_message_of_the_largest_size_fits_in_a_frame():
    """What is around a message has room."""
    assert MAX_MESSAGE + 1024 < MAX_FRAME


def test_large_frame_in_small_pieces_is_not_copied_each_time():
    """A frame of many chunks costs one pass: nothing is cut out before its last byte is there."""
    size, piece = 4_000_000, 4_000
    data = header(size) + bytes(size)
    framer = Framer()
    received = []
    for start in range(0, len(data), piece):
        received += framer.feed(data[start : start + piece])
    assert [size] == [len(frame) for frame in received]


@st.composite
def mixed(draw):
    """Frames and attachments in any order, and the bytes of all of them cut anywhere."""
    pieces = draw(st.lists(st.tuples(st.booleans(), st.binary(max_size=300)), max_size=12))
    stream = b"".join((attachment_header if beside else header)(len(data)) + data for beside, data in pieces)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=40)))
    return pieces, [stream[start:stop] for start, stop in itertools.pairwise([0, *cuts, len(stream)]) if start < stop]


@given(mixed())
def test_any_chunking_yields_the_same_attachments(case):
    """Attachments come between the frames where they were, as plain bytes."""
    pieces, chunks = case
    framer = Framer()
    received = [frame for chunk in chunks for frame in framer.feed(chunk)]
    assert pieces == [
        (True, frame.value) if isinstance(frame, Attachment) else (False, bytes(frame)) for frame in received
    ]
    assert all(type(frame.value) is bytes for frame in received if isinstance(frame, Attachment))


def test_attachments_are_bounded():
    """Together they are no larger than a frame may be, and no more than belong to one."""
    framer = Framer(limit=1000)
    framer.feed(attachment_header(600) + bytes(600))
    with pytest.raises(FrameTooLarge, match="attachments announce 1001 bytes for one frame, the limit is 1000"):
        framer.feed(attachment_header(401))
    framer = Framer()
    framer.feed(attachment_header(1) + b"x" + header(0))
    for _ in range(MAX_ATTACHMENTS):
        framer.feed(attachment_header(1) + b"x")
    with pytest.raises(WireError, match=f"more than {MAX_ATTACHMENTS} attachments"):
        framer.feed(attachment_header(1) + b"x")


def test_a_attachment_that_never_comes_whole():
    """A framer that ends in the middle of one, as part of a cycle, goes without a word."""
    framer = Framer()
    assert [] == framer.feed(attachment_header(1_000_000) + b"x")
    cycle = [framer]
    cycle.append(cycle)
    del framer, cycle
    gc.collect()


@pytest.mark.parametrize("announced", [attachment_header(3) + b"abc", shared_header(3)])
def test_a_frame_with_attachments_is_cut_by_the_framer(announced):
    """Its reader cuts small frames itself only where nothing has come that belongs to them."""
    framer = Framer()
    assert framer.between
    framer.feed(announced)
    assert not framer.between
    framer.feed(header(1) + b"x")
    assert framer.between
