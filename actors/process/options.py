"""Options: how an actor's process differs from its daemon's: environment, directory, limits, processors, niceness.

They are applied before any module of the actor is imported. When the system refuses one, the start fails with a text
that names it and says why.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from actors.errors import UsageError
from actors.wire.to_child import ProcessOptions


def apply_options(conditions: ProcessOptions) -> None:
    """Apply them to this process.

    Raises:
        UsageError: the system refuses one.
    """
    os.environ.update(conditions.env)
    if conditions.cwd:
        _set(f"cwd={conditions.cwd!r}", lambda: os.chdir(conditions.cwd))
    if conditions.cpus:
        _set(f"cpu_affinity={conditions.cpus}", lambda: os.sched_setaffinity(0, conditions.cpus))
    if conditions.nice:
        _set(f"nice={conditions.nice}", lambda: _renice(conditions.nice))
    if conditions.rlimits:
        import resource  # noqa: PLC0415 - only who has limits pays for it

        for name, pair in conditions.rlimits.items():
            number = getattr(resource, f"RLIMIT_{name}")
            _set(f"rlimits[{name!r}]={pair}", lambda number=number, pair=pair: resource.setrlimit(number, pair))  # type: ignore[misc]


def _renice(by: int) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, before + by)


def _set(what: str, do: Callable[[], None]) -> None:
    try:
        do()
    except (OSError, ValueError, OverflowError) as error:
        raise UsageError(f"{what} of its spec was refused by the system: {error}") from error
