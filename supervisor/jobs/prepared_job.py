"""PreparedJob: a job with the terms of its caller, checked: what a process needs to run it, and how it is shown.

Used on the loop's thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from reprlib import Repr
from typing import Any, Final

from actors.bounds import LEAST_SECONDS, check_time, shown
from actors.errors import UsageError
from actors.exits import with_article
from actors.jobs.definition import JobDefinition, definition_of
from actors.jobs.jobs import RunIdempotentJob, RunIdempotentSharingJob, RunJob, RunSharingJob, as_shared
from supervisor.process.spawn.lean_spawn import main_module
from supervisor.spawnable import MAIN, check_main_guard, check_named

MAX_SHOWN: Final = 80  # characters of the arguments in an error


class PreparedJob:
    """A job that is about to be run once or many times.

    Args:
        function: marked with `@job`.
        timeout: seconds it may run, None for no limit.
        idempotent: whether it may run again when the process that runs it dies.

    Attributes:
        timeout: as given.
        idempotent: as given.
        module: where the function is defined.
        shares: whether values in shared memory may be in its arguments or its result.
        main: how the daemon's main module is imported, where that is it; else empty.

    Raises:
        UsageError: it is no job, a type has no codec, no process finds it, or the timeout is no time.
    """

    def __init__(self, function: Callable[..., Any], timeout: float | None, *, idempotent: bool) -> None:
        self._definition = definition_of(function)
        self.result: Final = self._definition.result
        self.shares: Final = self._definition.shares
        if not isinstance(idempotent, bool):
            raise UsageError(f"idempotent of job {self.name} must be True or False, it is {shown(idempotent)}")
        if timeout is not None:
            check_time(f"timeout of job {self._definition.name}", timeout, LEAST_SECONDS, otherwise=", or None")
        self.timeout: Final = timeout
        self.idempotent: Final = idempotent
        self.module = function.__module__
        _check_found(function, self._definition)
        self.main = main_module() if self.module in MAIN else {}

    @property
    def name(self) -> str:
        """The name of its function."""
        return self._definition.name

    def message(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> RunJob | RunSharingJob:
        """The message that runs it.

        Raises:
            UsageError: the function does not take these arguments.
        """
        arguments, shared = self._definition.encode(args, kwargs)
        if self.shares:
            given = self.module, self._definition.name, arguments, self.timeout or 0.0, self.main
            return (RunIdempotentSharingJob if self.idempotent else RunSharingJob)(*given, as_shared(shared))
        return self._plain(arguments)

    def check_single(self) -> None:
        """Check that the function can be called with one argument; see `JobDefinition.check_single`."""
        self._definition.check_single()

    def messages(self, items: Sequence[Any]) -> Sequence[RunJob | RunSharingJob]:
        """The messages that run it, for one item each.

        Raises:
            UsageError: the function does not take one of them; `message` says which.
        """
        if self.shares:
            return [self.message((item,), {}) for item in items]
        return list(map(self._plain, self._definition.encode_each(items)))

    def _plain(self, arguments: bytes) -> RunJob:
        run = RunIdempotentJob if self.idempotent else RunJob
        return run(self.module, self._definition.name, arguments, self.timeout or 0.0, self.main)

    def shown(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """It and its arguments, for a person: `parse('a.py')`."""
        given = [*map(_shown, args), *(f"{name}={_shown(value)}" for name, value in kwargs.items())]
        text = ", ".join(given)
        return f"{self.name}({text if len(text) <= MAX_SHOWN else f'{text[:MAX_SHOWN]}...'})"


class _Shown(Repr):
    """Shows values, of containers and texts the beginning only: a `repr` of a million items would hold up the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = self.maxdeque = MAX_SHOWN
        self.maxarray = self.maxstring = self.maxlong = self.maxother = MAX_SHOWN

    def repr1(self, x: Any, level: int) -> str:
        """A value, at any depth."""
        if isinstance(x, bytes | bytearray) and len(x) > MAX_SHOWN:
            return f"<{len(x)} bytes>"
        try:
            return super().repr1(x, level)
        except Exception as error:
            return f"<{with_article(type(x).__qualname__)} whose repr raised {type(error).__name__}>"

    def repr_instance(self, x: Any, level: int) -> str:
        """Any other value."""
        del level
        return repr(x)


_shown: Final = _Shown().repr


def _check_found(function: Callable[..., Any], definition: JobDefinition) -> None:
    """Check that another process finds the function under its name.

    Raises:
        UsageError: it does not.
    """
    module = function.__module__
    check_named(function)
    if module in MAIN:
        check_main_guard()
    found = getattr(sys.modules.get(module), definition.name, None)
    if found is not function:
        raise UsageError(
            f"{module}.{definition.name} is not the function of that name any more; another process would run another "
            f"one. Give it a name of its own at the top level of its module"
        )
