"""Errors: what can go wrong in supervision, by name.

Every text names the child or the spec's field, the state, and what to do now.
"""

from __future__ import annotations

from actors.bounds import shown
from actors.errors import ActorsError, UsageError
from actors.exits import GAVE_UP, ExitReport


class SupervisorError(ActorsError):
    """Root of the errors of supervision."""


class InvalidSpec(SupervisorError, UsageError, ValueError):
    """A spec cannot work. Raised in the daemon before anything starts.

    Attributes:
        path: where in the spec, for instance `$.children[2].shutdown`.
        value: the value there.
        why: what is wrong with it and what to write instead.
    """

    def __init__(self, path: str, value: object, why: str) -> None:
        super().__init__(f"{path}: {why}, got {shown(value)}")
        self.path = path
        self.value = value
        self.why = why


class NoSuchChild(SupervisorError, KeyError):
    """The supervisor has no child of that name."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class SupervisorBusy(SupervisorError):
    """The call cannot be served in this state of the supervisor or the child; the text says which and what to do.

    Attributes:
        answer: OTP's word: already_present, already_started, running, restarting, max_children, stopping or refused.
    """

    def __init__(self, text: str, *, answer: str) -> None:
        super().__init__(text)
        self.answer = answer


class StartFailed(SupervisorError):
    """A child did not become ready; children already started were stopped in reverse order (OTP).

    Attributes:
        report: the exit report of the life that failed to start, or None.
    """

    def __init__(self, text: str, report: ExitReport | None = None) -> None:
        super().__init__(text if report is None else _in_full(text, report.reason.detail) + below(report))
        self.report = report
        if report is not None:
            self.add_note(str(report))  # below the traceback: what the process itself reported


class RestartIntensityExceeded(SupervisorError):
    """The supervisor gave up: more restarts than its intensity allows within its period.

    Attributes:
        report: the exit report of the last death, or None.
    """

    def __init__(self, text: str, report: ExitReport | None = None) -> None:
        super().__init__(text)
        self.report = report
        if report is not None:
            self.add_note(str(report))  # below the traceback: what the process itself reported


def below(report: ExitReport) -> str:
    """Of a supervisor that gave up: which of those below it ended last, and why; empty for any other."""
    return f"; the last: {report.cause}" if report.reason.detail.startswith(GAVE_UP) and report.cause else ""


def _in_full(text: str, detail: str) -> str:
    """The text, with all of the detail where it has only the beginning of it."""
    parts = detail.split("; ")
    beginnings = ("; ".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((text.replace(beginning, detail) for beginning in beginnings if beginning in text), text)
