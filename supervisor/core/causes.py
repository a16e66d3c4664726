"""Causes: the facts about a death, and rules that decide by them. Pure values.

A death has several causes, the most exact one first: the exit code that `sys.exit` gave, the class of an exception and
its bases, a hang, a kill for lack of memory, an exit code, a signal, a failed start. The first one that has a rule
decides; without one, the policy does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import ClassVar, Final

import msgspec

from actors.bounds import shown
from actors.errors import UsageError
from actors.exits import exception_named, exception_names, module_without, near_name

_SIGNALS: Final = re.compile(  # those of Linux, macOS and the BSDs
    "SIG(ABRT|ALRM|BUS|CHLD|CONT|EMT|FPE|HUP|ILL|INFO|INT|IO|KILL|PIPE|PROF|PWR|QUIT|RTMAX|RTMIN|SEGV|STKFLT|STOP|SYS|TERM"
    "|TRAP|TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ)"
)


class CauseKind(StrEnum):
    """What kind of fact a cause is."""

    EXCEPTION = "exception"
    HANG = "hang"
    OUT_OF_MEMORY = "out_of_memory"
    EXIT_CODE = "exit_code"
    SIGNAL = "signal"
    FAILED_START = "failed_start"


class RestartAction(StrEnum):
    """What a rule decides."""

    RESTART = "restart"  # and count it, as the policy would
    RESTART_UNCOUNTED = "restart_uncounted"  # after the same backoff; the supervisor does not give up because of it
    STOP = "stop"  # leave it down, as a transient child after a normal end; health tells of an abnormal one
    ESCALATE = "escalate"  # the supervisor gives up at once


class Cause(msgspec.Struct, frozen=True):
    """One fact about a death.

    Made by its functions and constants: `Cause.exception("shop.ConfigError")`, `Cause.exit_code(78)`,
    `Cause.signal("SIGABRT")`, `Cause.out_of_memory`, `Cause.hang`, `Cause.failed_start`.

    Attributes:
        kind: what kind of fact.
        value: the qualified name of an exception, an exit code, the name of a signal; empty for the others.
    """

    kind: CauseKind
    value: str = ""

    out_of_memory: ClassVar[Cause]  # the kernel killed it for lack of memory
    hang: ClassVar[Cause]  # it exceeded its handler_timeout and was killed
    failed_start: ClassVar[Cause]  # it ended before it was ready, or was not ready in time

    @classmethod
    def exception(cls, exception: str | type[BaseException]) -> Cause:
        """An exception of this class or of a subclass ended it.

        Args:
            exception: the class, or its name with its module, `"shop.ConfigError"`; that of a builtin needs none. The
                name may be an alias, as `"IOError"`, or that of a package which re-exports it.

        Raises:
            UsageError: it is neither; or the module is loaded here, and has no such class.
        """
        if isinstance(exception, type) and issubclass(exception, BaseException):
            return cls(CauseKind.EXCEPTION, exception_names(exception)[0])
        if not isinstance(exception, str) or not all(part.isidentifier() for part in exception.split(".")):
            raise UsageError(f"Cause.exception takes an exception class or its name, not {shown(exception)}")
        found = exception_named(exception)
        if found is not None:
            return cls(CauseKind.EXCEPTION, exception_names(found)[0])
        if "." not in exception.removeprefix("builtins."):
            raise UsageError(
                f"Cause.exception({exception!r}): no exception of Python's has this name; write its module, too, as in "
                f"'shop.ConfigError', or pass the class"
            )
        module = module_without(exception)
        if module:
            hint = near_name(exception.rpartition(".")[2], module)
            raise UsageError(
                f"Cause.exception({exception!r}): {module} has no exception class of this name{hint}; write the name "
                f"as its module has it, or pass the class"
            )
        return cls(CauseKind.EXCEPTION, exception)

    @classmethod
    def exit_code(cls, code: int) -> Cause:
        """It exited with this code, 0 to 255.

        Raises:
            UsageError: no process has this exit code.
        """
        if not isinstance(code, int) or isinstance(code, bool) or not 0 <= code <= 255:
            raise UsageError(
                f"Cause.exit_code takes a number from 0 to 255, not {shown(code)}; for a signal, Cause.signal"
            )
        return cls(CauseKind.EXIT_CODE, str(int(code)))

    @classmethod
    def signal(cls, signal: str | IntEnum) -> Cause:
        """This signal ended it.

        Args:
            signal: its name, `"SIGABRT"`, or a member of `signal.Signals`.

        Raises:
            UsageError: there is no such signal.
        """
        name = signal.name if isinstance(signal, IntEnum) else signal
        if not isinstance(name, str) or _SIGNALS.fullmatch(name) is None:
            raise UsageError(f"Cause.signal takes the name of a signal, as 'SIGABRT', not {shown(signal)}")
        return cls(CauseKind.SIGNAL, name)

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')} {self.value}".rstrip()


Cause.out_of_memory = Cause(CauseKind.OUT_OF_MEMORY)
Cause.hang = Cause(CauseKind.HANG)
Cause.failed_start = Cause(CauseKind.FAILED_START)


class Rule(msgspec.Struct, frozen=True):
    """What a death by this cause leads to."""

    cause: Cause
    action: RestartAction


def matching(rules: Iterable[Rule], causes: Iterable[Cause]) -> Rule | None:
    """The rule for the first cause that has one, or None."""
    by_cause = {rule.cause: rule for rule in rules}
    return next((by_cause[cause] for cause in causes if cause in by_cause), None)
