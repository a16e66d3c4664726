"""Channel: outcomes that arrive together are passed on as one; what came before a broken frame counts."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from actors.errors import WireError
from actors.wire import kinds
from actors.wire.codec import encode
from actors.wire.framing import Attachment
from actors.wire.from_child import Outcome, Outcomes, Withdraw
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from supervisor.process.channel import FrameWriter, decoded
from tests.support.traffic import Clerk, Job, Pid
from tests.support.waiting import until


def outcomes(ack_up_to, *seqs):
    return Outcomes(ack_up_to, [Outcome(seq, kinds.REPLY, msgspec.Raw(b"\x01")) for seq in seqs])


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


@pytest.mark.processes
async def test_messages_that_cannot_be_written(monkeypatch, tmp_path):
    """Nothing is written behind them, or they would count as handled: the next life gets them."""
    book = tmp_path / "book"
    send = FrameWriter.send_joined

    def fail(*_):
        monkeypatch.setattr(FrameWriter, "send_joined", send)
        raise MemoryError

    spec = ChildSpec(Clerk, args=(str(book),), name="clerk", backoff=Backoff(initial=0.0, cap=0.0))
    async with Supervisor(spec, intensity=Intensity.unlimited(), spares=0) as root:
        pid = await root["clerk"].ask(Pid(), timeout=None)
        monkeypatch.setattr(FrameWriter, "send_joined", fail)
        for number in (1, 2, 3):
            await root["clerk"].tell(Job("a", number))
            await asyncio.sleep(0)
        assert pid != await root["clerk"].ask(Pid(), timeout=None)
        await until(lambda: not root.snapshot().children[0].mailbox, "the last of them")
    assert ["1", "2", "3"] == [line.split()[4] for line in book.read_text().splitlines() if " end " in line]
