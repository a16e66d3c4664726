"""Command end: why a program ended, in one word and one line. Pure."""

from __future__ import annotations

from actors.exits import ExitKind, ExitReason
from supervisor.core.health.exit_cause import exit_code_in_words, exit_reason, signal_name
from supervisor.core.health.life_end import LifeEnd


def command_exit_reason(end: LifeEnd, stop_signal: int) -> ExitReason:
    """Why a program ended.

    Args:
        end: the bare facts.
        stop_signal: number of the signal that asks it to stop.
    """
    code = end.exit_code
    if code is None or end.wire_error is not None or end.crash_report is not None:
        return exit_reason(end)
    if end.stop_asked and not end.kill_asked and code in (0, -stop_signal, 128 + stop_signal):
        how = f"ended by {signal_name(stop_signal)}" if code < 0 else exit_code_in_words(code)
        return ExitReason(ExitKind.SHUTDOWN, f"asked by the supervisor, {how}")
    if code < 0:
        return exit_reason(end)
    return ExitReason(ExitKind.CRASHED if code else ExitKind.NORMAL, exit_code_in_words(code))
