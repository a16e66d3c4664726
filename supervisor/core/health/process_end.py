"""Process end: why the process of a function or of a command ended, in one word and one line. Pure."""

from __future__ import annotations

import signal

from actors.exits import ExitKind, ExitReason
from supervisor.core.health.exit_reason import exit_code_in_words, exit_reason, signal_name
from supervisor.core.health.life_end import LifeEnd


def function_exit_reason(end: LifeEnd) -> ExitReason:
    """Why a function ended. SIGTERM, which asks it to stop, may meet it where no handler is set any more."""
    if _obeyed(end, signal.SIGTERM):
        return _shutdown("ended by SIGTERM")
    if end.left and end.exit_code == -signal.SIGTERM and end.crash_report is None:
        return ExitReason(ExitKind.NORMAL, "it returned")  # before it was asked to stop
    reason = exit_reason(end)
    if reason.kind is ExitKind.NORMAL and end.left:
        return ExitReason(ExitKind.NORMAL, "it returned")
    return reason


def command_exit_reason(end: LifeEnd, stop_signal: int) -> ExitReason:
    """Why a program ended.

    Args:
        end: the bare facts.
        stop_signal: number of the signal that asks it to stop.
    """
    code = end.exit_code
    if code is None or end.wire_error is not None or end.crash_report is not None:
        return exit_reason(end)
    if _obeyed(end, stop_signal):
        return _shutdown(f"ended by {signal_name(stop_signal)}")
    if end.stop_asked and not end.kill_asked and code in {0, 128 + stop_signal}:
        return _shutdown(exit_code_in_words(code))
    if code < 0:
        return exit_reason(end)
    return ExitReason(ExitKind.CRASHED if code else ExitKind.NORMAL, exit_code_in_words(code))


def _obeyed(end: LifeEnd, stop_signal: int) -> bool:
    """Whether the signal that asked it to stop has ended it."""
    return end.stop_asked and not end.kill_asked and end.exit_code == -stop_signal


def _shutdown(how: str) -> ExitReason:
    return ExitReason(ExitKind.SHUTDOWN, f"asked by the supervisor, {how}")
