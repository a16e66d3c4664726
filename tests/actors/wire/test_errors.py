"""Errors on the wire: what is encoded is decoded as the same error."""

import msgspec
import pytest

from actors.errors import (
    ActorCrashed,
    ActorStopped,
    AskTimeout,
    CallCycle,
    HandlerError,
    MailboxFull,
    NoSuchActor,
    Rejected,
    UndecodableMessage,
    UsageError,
)
from actors.wire import kinds
from actors.wire.errors import decode_error, encode_error


@pytest.mark.parametrize(
    "error",
    [
        HandlerError("KeyError", "'x'", "Traceback"),
        ActorCrashed("it ended", started=True, finished=None),
        Rejected("not now"),
        ActorStopped("down"),
        NoSuchActor("none"),
        MailboxFull("full"),
        AskTimeout("late", started=False),
        UsageError("wrong"),
        CallCycle("a waits for a"),
    ],
)
def test_there_and_back(error):
    """Class, text and attributes arrive."""
    kind, payload = encode_error(error)
    arrived = decode_error(kind, msgspec.Raw(payload))
    assert type(error) is type(arrived)
    assert str(error) == str(arrived)
    assert vars(error) == vars(arrived)


@pytest.mark.parametrize(
    "error", [UsageError("no file \udcff"), ActorCrashed("no file \udcff", started=None, finished=None)]
)
def test_a_text_that_is_no_utf_8(error):
    """It is quoted: an error that could not be told would be none of its sender's."""
    kind, payload = encode_error(error)
    assert "no file \\udcff" == str(decode_error(kind, msgspec.Raw(payload)))


def test_an_error_without_a_kind_of_its_own():
    """It travels as UNDECODABLE and arrives as UsageError."""
    kind, payload = encode_error(UndecodableMessage("no such type"))
    assert kinds.UNDECODABLE == kind
    assert isinstance(decode_error(kind, msgspec.Raw(payload)), UsageError)


def test_a_kind_that_is_no_error():
    """REPLY has no error."""
    with pytest.raises(KeyError):
        decode_error(kinds.REPLY, msgspec.Raw(b"\xc0"))
