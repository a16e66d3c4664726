"""RelayLog: log lines leave as records, and logging never breaks a handler."""

from __future__ import annotations

import pytest

from actors.output.log import ActorLog
from actors.wire.log_lines import Record
from tests.support.saying import KeptVoice


@pytest.fixture
def output_pipe():
    return KeptVoice()


@pytest.fixture
def sent(output_pipe):
    return output_pipe.said


@pytest.fixture
def log(output_pipe):
    return ActorLog(output_pipe)


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_levels(log, sent, level):
    """The level is the method's name; nothing is filtered here."""
    getattr(log, level)("file.parsed", path="a.py", size=3, part=0.5, good=True, why=None)
    fields = {"path": "a.py", "size": 3, "part": 0.5, "good": True, "why": None}
    assert [Record(level, "file.parsed", fields)] == sent


def test_an_exception_brings_its_traceback(log, sent):
    """An error line with the traceback of the exception being handled."""
    try:
        raise KeyError("x")
    except KeyError:
        log.exception("file.failed", path="a.py")
    (record,) = sent
    assert ("error", "file.failed", "a.py") == (record.level, record.event, record.fields["path"])
    assert record.fields["traceback"].rstrip().endswith("KeyError: 'x'")


def test_other_values_go_as_their_repr(log, sent):
    """What is no plain value is written as Python would."""
    log.info("odd.said", thing=[1, {"a": (2,)}])
    assert {"thing": "[1, {'a': (2,)}]"} == sent[0].fields


class Mute:
    def __repr__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "value", ["\udcff", 2**80, -(2**80), float("nan"), float("inf"), Mute(), Exception("\udcff")], ids=type
)
def test_no_value_breaks_the_handler(log, sent, value):
    """A line of a log is never worth a crash."""
    log.info("odd.said", value=value)
    assert "odd.said" == sent[0].event
    assert "value" in sent[0].fields


def test_an_event_that_utf8_cannot_carry(log, sent):
    """The same for the event's name."""
    log.info("caf\udce9")
    assert 1 == len(sent)
    assert sent[0].event.startswith("caf")


def test_subclasses_of_plain_types(log, sent):
    """An enum that is a string, a bool that is an int: they arrive as plain values."""
    from actors.exits import ExitKind  # noqa: PLC0415 - any StrEnum would do

    log.info("it.ended", kind=ExitKind.LOST)
    assert {"kind": "lost"} == sent[0].fields


class Seconds(float):
    pass


class Count(int):
    pass


def test_numbers_of_other_classes(log, sent):
    """As numpy's float64, which is a float: no encoder knows it."""
    log.info("it.took", seconds=Seconds(1.5), times=Count(3))
    assert {"seconds": 1.5, "times": 3} == sent[0].fields
