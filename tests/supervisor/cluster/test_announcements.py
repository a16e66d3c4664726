"""Where a stream announces values in shared memory and kept replies, however it is chunked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from actors.errors import WireError
from actors.wire.codec import encode
from actors.wire.framing import SHARED_LENGTH, Announced, attachment_header, header, shared_header
from actors.wire.from_child import KeptReplies
from supervisor.cluster.agent.announcements import Announcements

SIZES = some.integers(0, 40)
FRAMES = some.lists(some.tuples(some.sampled_from(["frame", "beside", "shared", "kept"]), SIZES))


def kept(size):
    """A frame that announces replies."""
    body = encode(KeptReplies(size, 0, 2**40, more=False))
    return header(len(body)) + body


def stream(frames):
    """Bytes of frames. Those of their content look like announcements."""
    pieces = []
    for kind, size in frames:
        content = (shared_header(7) * 4)[:size]
        if kind == "shared":
            pieces.append(shared_header(size))
        elif kind == "kept":
            pieces.append(kept(size))
        else:
            pieces.append((header if kind == "frame" else attachment_header)(size) + content)
    return b"".join(pieces)


@given(FRAMES, some.lists(some.integers(1, 30)))
def test_the_same_announcements_in_the_same_places(frames, sizes):
    data = stream(frames)
    cutter, found, at = Announcements(), [], 0
    for size in [*sizes, len(data)]:
        if at < len(data):
            found += cutter.cut(data[at : at + size])
            at += size
    announced = [one for one in found if not isinstance(one, bytes)]
    assert [(kind, size) for kind, size in frames if kind in ("shared", "kept")] == [
        ("shared", one.size) if isinstance(one, Announced) else ("kept", one.mark) for one in announced
    ]
    assert data == b"".join(map(again, found))
    assert cutter.heard == sum(kind in ("frame", "kept") for kind, _ in frames)


def again(one):
    """The bytes that it was."""
    if isinstance(one, bytes):
        return one
    return shared_header(one.size) if isinstance(one, Announced) else kept(one.mark)


@pytest.mark.parametrize("body", [encode(KeptReplies(1, 1, 1, more=False)) + bytes(40), b"\x95\x23\xc1"])
def test_what_announces_no_replies(body):
    with pytest.raises(WireError):
        list(Announcements().cut(header(len(body)) + body))


def test_a_length_that_no_announcement_has():
    with pytest.raises(WireError):
        list(Announcements().cut((SHARED_LENGTH + 1).to_bytes(4, "little")))
