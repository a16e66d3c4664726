"""Channel: outcomes that arrive together are passed on as one; what came before a broken frame counts."""

from __future__ import annotations

import msgspec
import pytest

from actors.errors import WireError
from actors.wire import frames as wire
from actors.wire.codec import encode
from actors.wire.frames import Outcome, Outcomes, Withdraw
from actors.wire.framing import Attachment
from supervisor.process.channel import decoded


def outcomes(ack_up_to, *seqs):
    return Outcomes(ack_up_to, [Outcome(seq, wire.REPLY, msgspec.Raw(b"\x01")) for seq in seqs])


def test_outcomes_in_a_row_are_one():
    """In their order, with the last acknowledgement."""
    frames = [encode(frame) for frame in (outcomes(3, 3), outcomes(0, 9, 7), outcomes(4))]
    assert [outcomes(4, 3, 9, 7)] == list(decoded(frames))


def test_what_comes_between_keeps_its_place():
    """Other frames and attachments are not overtaken."""
    beside = Attachment(b"large")
    frames = [encode(outcomes(1, 1)), encode(Withdraw(5)), encode(outcomes(2, 2)), beside, encode(outcomes(3, 3))]
    assert [outcomes(1, 1), Withdraw(5), outcomes(2, 2), beside, outcomes(3, 3)] == list(decoded(frames))


def test_outcomes_before_a_broken_frame_count():
    """The error comes after them."""
    given = decoded([encode(outcomes(1, 1)), encode(outcomes(2, 2)), b"\xc1"])
    assert outcomes(2, 1, 2) == next(given)
    with pytest.raises(WireError, match="does not decode"):
        next(given)
