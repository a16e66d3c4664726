"""Failures: exceptions in words, bounded, whatever their classes do."""

from __future__ import annotations

from pathlib import Path

import pytest

import actors.child
from actors import Rejected
from actors.process.tracebacks import (
    EXIT_FAILED,
    MAX_MESSAGE_CHARACTERS,
    MAX_TRACEBACK_CHARACTERS,
    ActorFailed,
    failure_of,
    named_words_of,
    words_of,
)
from actors.wire.codec import encode


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


def test_the_name_of_the_class():
    """Builtins by their name, others with their module."""
    assert "KeyError" == failure_of(KeyError("x")).type_name
    assert "actors.errors.Rejected" == failure_of(Rejected("x")).type_name


@pytest.mark.parametrize("module", ["__main__", "__mp_main__"])  # of the program; of a process that it has started
def test_the_name_of_a_class_of_the_main_module(module):
    """It is the one that its author knows."""
    error = type("ConfigError", (Exception,), {"__module__": module})
    assert "ConfigError" == failure_of(error("no key")).type_name


def test_where_it_was_raised():
    """The traceback shows the line."""
    text = failure_of(raised(ValueError("oh"))).traceback
    assert text.startswith("Traceback (most recent call last):\n")
    assert "in raised" in text
    assert text.endswith("ValueError: oh\n")


def test_what_led_to_it():
    """A chain is shown, but for a lack of memory, which is raised again and again."""
    first, second = KeyError("first"), ValueError("second")
    second.__context__ = first
    assert "During handling" in failure_of(second).traceback
    lack = MemoryError()
    lack.__context__ = MemoryError()
    assert "MemoryError\n" == failure_of(lack).traceback


def test_long_words():
    """The beginning and the end are kept, and it says how much is not."""
    error = ValueError("a" * 1000 + "b" * 10**6 + "c" * 1000)
    said, traced = words_of(error), failure_of(error).traceback
    for text, most in ((said, MAX_MESSAGE_CHARACTERS), (traced, MAX_TRACEBACK_CHARACTERS)):
        assert most < len(text) < most + 100
        assert "characters left out" in text
    assert said.startswith("aaa")
    assert said.endswith("ccc")


class Mute(Exception):
    def __str__(self):
        raise ZeroDivisionError


class Exiting(Exception):
    def __str__(self):
        raise SystemExit(4)


class Nameless(type):
    """A metaclass whose classes tell nothing of themselves."""

    def __getattribute__(cls, name):
        raise ZeroDivisionError(name)


class Odd(Exception, metaclass=Nameless):
    pass


def test_a_metaclass_that_raises():
    """The class has its names all the same; the traceback has files and lines only."""
    report = ActorFailed("in A.a", raised(Odd("oh"))).crash_report()
    assert (f"{__name__}.Odd", "oh") == (report.failure.type_name, report.failure.message)
    assert "in raised" in report.failure.traceback
    assert (f"{__name__}.Odd", "Exception") == report.classes[:2]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("New\nLine", "New\\nLine"), ("Red\x1b[31m", "Red\\x1b[31m"), ("Half\udc80", "Half\\udc80"), ("É", "É")],
)
def test_a_name_that_is_no_line(name, shown):
    """It is quoted, so that the report keeps its first line, and can be sent."""
    error = type("Odd", (Exception,), {"__module__": "__main__", "__qualname__": name})
    report = ActorFailed("in A.a", error()).crash_report()
    assert shown == report.failure.type_name
    encode(report)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("cannot open \udcff"), "cannot open \\udcff"),
        (Mute(), "<no text: Mute.__str__ raised>"),
        (Exiting(), "<no text: Exiting.__str__ raised>"),
        (KeyError(), ""),
    ],
)
def test_words_that_cannot_be_said(error, words):
    """Something comes out that can be sent."""
    assert words == words_of(error)
    failure_of(error).traceback.encode()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("no running event loop", "no running event loop; an actor's event loop runs in its async methods alone: ..."),
        ("There is no current event loop in thread 'MainThread'.", "...; an actor's event loop runs in its async ..."),
        (
            f"Task <{'x' * 999}> got Future <y> attached to a different loop",
            "it awaits a task or future that is attached to a different loop; an actor's event loop runs in ...",
        ),
        ("no luck", "no luck"),
    ],
)
def test_what_asyncio_says_of_loops(said, words):
    """What to do follows, and the repr of a task does not hide it."""
    start, dots, end = words.partition("...")
    assert all(part in words_of(RuntimeError(said)) for part in (start, end.rstrip(".")))
    assert dots or words == words_of(RuntimeError(said))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("3"), EXIT_FAILED),
        (KeyboardInterrupt(), EXIT_FAILED),
        (SystemExit(), 0),
        (SystemExit(0), 0),
        (SystemExit(3), 3),
        (SystemExit("bye"), 1),
        (SystemExit(""), 1),
        (SystemExit(False), 0),
        (SystemExit(-1), 255),
        (SystemExit(2**32), 0),
        (SystemExit(2**70), 255),
        (SystemExit(-(2**70)), 255),
    ],
    ids=repr,
)
def test_exit_codes(error, code):
    """An exit keeps its code, anything else is a failure."""
    failed = ActorFailed("in A.a", error)
    assert code == failed.exit_code
    assert ("in A.a", type(error).__name__) == (failed.crash_report().where, failed.crash_report().failure.type_name)


def test_frames_of_the_package_are_left_out():
    """A traceback begins in the actor's code, not in what calls it."""
    caller = {}
    source = "def call(handler):\n    handler()\n"
    exec(compile(source, str(Path(actors.child.__file__).with_name("sync_runner.py")), "exec"), caller)

    def handler():
        raise ValueError("x")

    with pytest.raises(ValueError, match="x") as raised:
        caller["call"](handler)
    error = raised.value
    text = failure_of(error.with_traceback(error.__traceback__.tb_next)).traceback
    assert "in handler" in text
    assert "sync_runner" not in text


def test_named_words_end_with_the_class_where_there_is_no_text():
    """No colon stands before nothing: a TimeoutError of asyncio says no more than its name."""
    assert "LookupError: no backlog" == named_words_of(LookupError("no backlog"))
    assert "TimeoutError" == named_words_of(TimeoutError())
