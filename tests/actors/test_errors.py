"""The errors: whose fault, what they carry, how they read."""

from __future__ import annotations

import inspect

import pytest

import actors.errors
import supervisor.errors
from actors.errors import (
    ActorCrashed,
    ActorsError,
    ActorStopped,
    AskTimeout,
    DeliveryError,
    FrameTooLarge,
    HandlerError,
    MailboxFull,
    NoSuchActor,
    Rejected,
    UndecodableMessage,
    UsageError,
    WireError,
)
from supervisor.errors import (
    InvalidSpec,
    NoSuchChild,
    RestartIntensityExceeded,
    StartFailed,
    SupervisorBusy,
    SupervisorError,
)

ALL = [
    cls
    for module in (actors.errors, supervisor.errors)
    for _, cls in inspect.getmembers(module, inspect.isclass)
    if issubclass(cls, Exception)
]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_one_root(cls):
    """Everything we raise on purpose can be caught as ActorsError."""
    assert issubclass(cls, ActorsError)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_each_says_what_it_means(cls):
    """Each class has a docstring of its own."""
    assert vars(cls).get("__doc__")
    assert cls.__doc__ != cls.__mro__[1].__doc__


@pytest.mark.parametrize("cls", [ActorStopped, ActorCrashed, MailboxFull, NoSuchActor, AskTimeout])
def test_what_did_not_arrive(cls):
    """Errors of the way are DeliveryErrors."""
    assert issubclass(cls, DeliveryError)


@pytest.mark.parametrize("cls", [HandlerError, Rejected, WireError, UsageError])
def test_what_is_no_fault_of_the_way(cls):
    """The actor's, the peer's and your own faults are no DeliveryErrors."""
    assert not issubclass(cls, DeliveryError)


def test_bases_of_the_standard_library():
    """Callers who only know Python's own errors catch ours, too."""
    assert issubclass(AskTimeout, TimeoutError)
    assert issubclass(UsageError, TypeError)
    assert issubclass(NoSuchActor, KeyError)
    assert issubclass(NoSuchChild, KeyError)
    assert issubclass(InvalidSpec, ValueError)
    assert issubclass(InvalidSpec, UsageError)
    assert issubclass(FrameTooLarge, WireError)
    assert issubclass(UndecodableMessage, WireError)
    for cls in (InvalidSpec, NoSuchChild, RestartIntensityExceeded, StartFailed, SupervisorBusy):
        assert issubclass(cls, SupervisorError)


def test_key_errors_read_as_written():
    """KeyError would print its text in quotes."""
    assert "nobody has it" == str(NoSuchActor("nobody has it"))
    assert "no child 'x'" == str(NoSuchChild("no child 'x'"))


def test_a_handler_error_shows_the_remote_traceback():
    """Below its own, as a note; its text is one line."""
    error = HandlerError("KeyError", "'x'", "Traceback ...\nKeyError: 'x'\n")
    assert "KeyError: 'x'" == str(error)
    assert ["Traceback ...\nKeyError: 'x'"] == error.__notes__
    assert "ValueError: first ..." == str(HandlerError("ValueError", "first\nsecond", "Traceback ..."))
    assert ("KeyError", "'x'") == (error.type_name, error.message)


def test_a_handler_error_without_words():
    """An exception without text and traceback is its name."""
    assert "StopIteration" == str(HandlerError("StopIteration", ""))


def test_a_crash_says_how_far_the_message_came():
    """Started and finished are True, False or unknown."""
    error = ActorCrashed("gone", started=True, finished=None)
    assert ("gone", True, None, None) == (str(error), error.started, error.finished, error.report)


def test_an_invalid_spec_names_place_value_and_reason():
    """One line with all three, and each for itself."""
    error = InvalidSpec("$.children[2].shutdown", -1, "expected seconds >= 0")
    assert "$.children[2].shutdown: expected seconds >= 0, got -1" == str(error)
    assert ("$.children[2].shutdown", -1, "expected seconds >= 0") == (error.path, error.value, error.why)
