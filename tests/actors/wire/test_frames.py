"""Envelope: two closed sets of frames."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Message
from actors.wire.codec import encode
from actors.wire.from_child import (
    CrashReport,
    Failure,
    FromChild,
    Goodbye,
    MoreItems,
    Outcome,
    Outcomes,
    Publish,
    Send,
    Subscribe,
    Watch,
    Withdraw,
)
from actors.wire.kinds import ASK, NOTHING, REPLY, TELL
from actors.wire.to_child import Answer, Cancel, Credit, Deliver, Envelope, Items, StartActor, Stop


class Add(Message[int]):
    a: int


class Sub(Message[int]):
    a: int


FROM_CHILD = [
    Outcomes(3, [Outcome(2, REPLY, msgspec.Raw(b"\x01"))]),
    Send("/root/a", 1, 1, None, 0.0, False, False, msgspec.Raw(b"\x01")),
    MoreItems(1, 32),
    Withdraw(1),
    Watch("/root/a", 0),
    Subscribe("prices"),
    Publish("prices", msgspec.Raw(b"\x01")),
    CrashReport("in on_start", Failure("KeyError", "'x'", "Traceback")),
    Goodbye(),
]


@pytest.mark.parametrize("frame", FROM_CHILD, ids=lambda frame: type(frame).__name__)
def test_from_child(frame):
    """Each frame of a child comes back as what it was."""
    assert encode(frame) == encode(msgspec.msgpack.decode(encode(frame), type=FromChild))
    assert type(frame) is type(msgspec.msgpack.decode(encode(frame), type=FromChild))


@pytest.mark.parametrize(
    "frame",
    [
        Answer(1, REPLY, NOTHING),
        Cancel([1, 2]),
        Credit(1, 2),
        Items(1, [msgspec.Raw(b"\x01")], over=True),
        Stop(),
        StartActor("/root/a", 1, "module", "Class", b"\x80"),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_to_child(frame):
    """Each frame of the daemon comes back as what it was."""
    union = Answer | Cancel | Stop | StartActor | Credit | Items
    assert encode(frame) == encode(msgspec.msgpack.decode(encode(frame), type=union))


def test_a_batch_decodes_typed_at_once():
    """The daemon sends bytes it does not look into; the child gets messages from one decode."""
    messages = [Add(1), Sub(2), Add(3)]
    raw = Deliver([Envelope(n, TELL, None, None, msgspec.Raw(encode(m))) for n, m in enumerate(messages, 1)])
    batch = msgspec.msgpack.decode(encode(raw), type=Deliver[Add | Sub])
    assert messages == [item.message for item in batch.items]
    assert [1, 2, 3] == [item.seq for item in batch.items]


def test_an_envelope_keeps_everything():
    """Sequence, kind, sender and deadline travel with the message."""
    sent = Envelope(7, ASK, "/root/b", 12.5, msgspec.Raw(encode(Add(1))))
    (got,) = msgspec.msgpack.decode(encode(Deliver([sent])), type=Deliver[Add]).items
    assert (7, ASK, "/root/b", 12.5, Add(1)) == (got.seq, got.kind, got.sender, got.deadline, got.message)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_frame_or_refused(data):
    """A child can send what it likes: a known frame or msgspec's error comes of it."""
    try:
        frame = msgspec.msgpack.decode(data, type=FromChild)
    except msgspec.MsgspecError:
        return
    assert isinstance(frame, FromChild)


@pytest.mark.parametrize("frame", [[99], [-1, "x"], ["Outcomes", 1, []], [], {}, None, 0], ids=str)
def test_a_frame_that_does_not_exist_is_refused(frame):
    """The set is closed: an unknown number, no number, no frame at all."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(encode(frame), type=FromChild)
