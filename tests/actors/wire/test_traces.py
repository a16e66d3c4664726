"""The trace context of a message as one text."""

from __future__ import annotations

import pytest

from actors.wire.traces import MAX_TRACE, carrier_of, is_sampled, text_of

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)])
def test_whether_it_is_sampled(flags, sampled):
    assert sampled is is_sampled(f"{PARENT}{flags}")
    assert sampled is is_sampled(f"{PARENT}{flags} vendor=1")


@pytest.mark.parametrize("text", ["", "01", "x" * 54, "no trace at all"])
def test_what_is_none_is_not_sampled(text):
    assert not is_sampled(text)


@pytest.mark.parametrize("state", ["", "vendor=1", "a=1,b=2"])
def test_there_and_back(state):
    carrier = {"traceparent": f"{PARENT}01"} | ({"tracestate": state} if state else {})
    text = text_of(carrier)
    assert text is not None
    assert carrier == carrier_of(text)


def test_without_any():
    assert text_of({}) is None
    assert text_of({"tracestate": "vendor=1"}) is None


def test_a_state_that_is_too_long_is_left_out():
    """What an actor sends with it would not decode in the daemon."""
    room = MAX_TRACE - len(PARENT) - 3
    assert MAX_TRACE == len(text_of({"traceparent": f"{PARENT}01", "tracestate": "s" * room}))
    assert f"{PARENT}01" == text_of({"traceparent": f"{PARENT}01", "tracestate": "s" * (room + 1)})
