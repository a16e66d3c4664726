"""Where a stream announces values in shared memory, however it is chunked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from actors.errors import WireError
from actors.wire.framing import SHARED_LENGTH, Announced, attachment_header, header, shared_header
from supervisor.cluster.agent.announcements import Announcements

SIZES = some.integers(0, 40)
FRAMES = some.lists(some.tuples(some.sampled_from(["frame", "beside", "shared"]), SIZES))


def stream(frames):
    """Bytes of frames. Those of their content look like announcements."""
    pieces = []
    for kind, size in frames:
        content = (shared_header(7) * 4)[:size]
        if kind == "shared":
            pieces.append(shared_header(size))
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
    assert [size for kind, size in frames if kind == "shared"] == [
        one.size for one in found if isinstance(one, Announced)
    ]
    assert data == b"".join(shared_header(one.size) if isinstance(one, Announced) else one for one in found)


def test_a_length_that_no_announcement_has():
    with pytest.raises(WireError):
        list(Announcements().cut((SHARED_LENGTH + 1).to_bytes(4, "little")))
