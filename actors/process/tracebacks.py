"""Tracebacks: exceptions of an actor's code as bounded text for the daemon.

No exception object leaves this process. Whatever a user's class raises while it is converted to text, a text results.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import importlib
from typing import Final

from actors.exits import exception_name, exception_names, qualified_name
from actors.process.traceback_text import traced
from actors.ref import TAKES_MESSAGES, ActorRef
from actors.wire.from_child import CrashReport, Failure

MAX_MESSAGE_CHARACTERS: Final = 16 * 1024  # characters of an exception's own text
MAX_TRACEBACK_CHARACTERS: Final = 32 * 1024  # characters of a traceback; its last lines matter most

_PACKAGE: Final = __file__.rpartition("process")[0]
_OURS: Final = (f"{_PACKAGE}child", f"{_PACKAGE}job")  # the modules that call an actor's code, and a job's
_NO_LOOP: Final = ("no running event loop", "There is no current event loop")  # asyncio's words
_OTHER_LOOP: Final = "attached to a different loop"
_LOOPS: Final = "an actor's event loop runs in its async methods alone: make this one async, and await there"
_FROZEN: Final = "<frozen importlib"

_TOO_LARGE: Final = 2**63  # no C long: Python exits with -1 then
EXIT_FAILED: Final = 1  # exit code of a life whose own code raised; its crash report says what


class ActorFailed(Exception):
    """The actor's code raised and this life must end.

    Attributes:
        where: a phrase, as in `CrashReport`.
        error: what was raised. It is converted late: while it travels up there may be no memory for that.
    """

    def __init__(self, where: str, error: BaseException) -> None:
        super().__init__(where)
        self.where = where
        self.error = error

    @property
    def exit_code(self) -> int:
        """Exit code of the process; SystemExit keeps its own, of which the system keeps a byte."""
        if not isinstance(self.error, SystemExit):
            return EXIT_FAILED
        code = self.error.code
        if code is None:
            return 0
        if not isinstance(code, int):
            return EXIT_FAILED
        return (code if abs(code) < _TOO_LARGE else -1) & 0xFF

    def crash_report(self) -> CrashReport:
        """The crash report of this failure."""
        return CrashReport(self.where, failure_of(self.error), exception_names(type(self.error)))


def failure_of(error: BaseException) -> Failure:
    """An exception as text, without the frames of this package at the top of its traceback."""
    trace = error.__traceback__
    while trace and trace.tb_next and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    name = exception_name(type(error))
    return Failure(name, words_of(error), _cut(printable(traced(error, trace)), MAX_TRACEBACK_CHARACTERS))


def words_of(error: BaseException) -> str:
    """The text of an exception, whatever its class does.

    An undecodable file name is quoted, a broken __str__ is named. What asyncio says of a missing loop, and Python of a
    method that a ref does not have, is followed by what to do.
    """
    try:
        words = printable(str(error))
    except BaseException:  # no text is worth the end of this process
        return f"<no text: {qualified_name(type(error))}.__str__ raised>"
    return _cut(_with_remedy(error, words), MAX_MESSAGE_CHARACTERS)


def named_words_of(error: BaseException) -> str:
    """The class of an exception and its text, `KeyError: 'a'`; the class alone where there is no text."""
    words = words_of(error)
    name = exception_name(type(error))
    return f"{name}: {words}" if words else name


def _with_remedy(error: BaseException, words: str) -> str:
    """The text, and what to do where the words of Python and asyncio know nothing of actors."""
    if isinstance(error, AttributeError) and isinstance(error.obj, ActorRef) and TAKES_MESSAGES not in words:
        return f"{words}; {TAKES_MESSAGES}"
    if isinstance(error, RuntimeError):
        if words.startswith(_NO_LOOP):
            return f"{words}; {_LOOPS}"
        if words.endswith(_OTHER_LOOP):
            return f"it awaits a task or future that is {_OTHER_LOOP}; {_LOOPS}"
    return words


def _is_ours(file: str) -> bool:
    return file.startswith((*_OURS, _FROZEN)) or file == importlib.import_module.__code__.co_filename


def printable(text: str) -> str:
    """A text that can be sent: half a surrogate pair, as of an undecodable file name, is quoted."""
    return text.encode("utf-8", "backslashreplace").decode()


def _cut(text: str, most: int) -> str:
    """The beginning and the end of a text that is too long; three quarters of what is kept are its end."""
    if len(text) <= most:
        return text
    return f"{text[: most // 4]}\n... {len(text) - most} characters left out ...\n{text[-most // 4 * 3 :]}"
