"""Causes: the facts about a death by which a rule can decide, the most exact one first. Pure."""

from __future__ import annotations

from actors.exits import ExitReason
from supervisor.core.causes import Cause, CauseKind
from supervisor.core.health.exit_reason import signal_name
from supervisor.core.health.life_end import LifeEnd


def causes_of(end: LifeEnd, hang: ExitReason | None) -> tuple[Cause, ...]:
    """What a death was caused by.

    Args:
        end: what is known of it.
        hang: how it is reported if it was killed as hung, else None.
    """
    hung = () if hang is None else (Cause.hang,)
    memory = (Cause.out_of_memory,) if end.oom_kills and not end.kill_asked else ()
    return (*hung, *memory, *_exception(end), *_exit(end))


def _exception(end: LifeEnd) -> tuple[Cause, ...]:
    """The class of the exception that ended it, then its bases; for a `sys.exit` the code is more exact."""
    classes = () if end.crash_report is None else end.crash_report.classes
    exceptions = tuple(Cause(CauseKind.EXCEPTION, name) for name in classes)
    return (*_exit(end), *exceptions) if "SystemExit" in classes else exceptions


def _exit(end: LifeEnd) -> tuple[Cause, ...]:
    """Its exit code, or the signal that ended it, unless the supervisor itself killed it."""
    if end.exit_code is None or end.kill_asked or end.wire_error is not None:
        return ()
    if end.exit_code < 0:
        return (Cause(CauseKind.SIGNAL, signal_name(-end.exit_code)),)
    return (Cause(CauseKind.EXIT_CODE, str(end.exit_code)),)
