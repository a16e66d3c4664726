"""Errors and exit codes of `actorctl`."""

from __future__ import annotations

from enum import IntEnum

from actors.errors import ActorsError
from supervisor.control.frames import Failed, Trouble


class ExitCode(IntEnum):
    """What `actorctl` exits with."""

    DONE = 0
    REFUSED = 1  # the daemon or the actor said no, or a handler failed
    USAGE = 2  # a wrong command line, or an extra that is not installed
    NO_DAEMON = 3  # there is none, or several and none was chosen, or it does not answer
    NO_SUCH_NAME = 4  # no child or dead letter has this name, or several have
    NO_ANSWER = 5  # the actor did not answer in time
    INTERRUPTED = 130  # Ctrl-C


class ControlError(ActorsError):
    """A request was not served.

    Attributes:
        exit_code: of `actorctl`.
    """

    exit_code = ExitCode.REFUSED


class NoDaemon(ControlError):
    """No daemon listens there, it does not answer, or several could be meant."""

    exit_code = ExitCode.NO_DAEMON


class RequestFailed(ControlError):
    """The daemon has refused a request, or the request failed there.

    Attributes:
        trouble: which kind.
    """

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.text)
        self.trouble = failed.trouble
        self.exit_code = _CODES.get(failed.trouble, ExitCode.REFUSED)


_CODES = {
    Trouble.NO_SUCH_NAME: ExitCode.NO_SUCH_NAME,
    Trouble.NO_ANSWER: ExitCode.NO_ANSWER,
    Trouble.BAD_REQUEST: ExitCode.USAGE,
    Trouble.BUSY: ExitCode.NO_DAEMON,
}
