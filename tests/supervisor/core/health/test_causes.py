"""The causes of a death, the most exact one first."""

import signal

import pytest

from actors.exits import ExitKind, ExitReason, exception_names
from actors.wire.from_child import CrashReport, Failure
from supervisor.core.health.causes import causes_of
from supervisor.core.health.life_end import LifeEnd

HANG = ExitReason(ExitKind.KILLED, "it hung")


def raised(cls):
    return CrashReport("in A.a", Failure(cls.__name__, "", ""), exception_names(cls))


@pytest.mark.parametrize(
    ("facts", "hang", "said"),
    [
        ({"exit_code": 0}, None, ["exit code 0"]),
        ({"exit_code": 78}, None, ["exit code 78"]),
        ({"exit_code": -signal.SIGSEGV}, None, ["signal SIGSEGV"]),
        ({"exit_code": None}, None, []),
        (
            {"exit_code": 1, "crash_report": raised(KeyError)},
            None,
            [
                *(f"exception {name}" for name in ("KeyError", "LookupError", "Exception", "BaseException")),
                "exit code 1",
            ],
        ),
        (
            {"exit_code": 78, "crash_report": raised(SystemExit)},
            None,
            ["exit code 78", "exception SystemExit", "exception BaseException"],
        ),
        ({"exit_code": -9, "oom_kills": 1}, None, ["out of memory", "signal SIGKILL"]),
        ({"exit_code": -9, "oom_kills": 0}, None, ["signal SIGKILL"]),
        ({"exit_code": -9, "kill_asked": True}, HANG, ["hang"]),
        ({"exit_code": -9, "kill_asked": True}, None, []),
        ({"exit_code": -9, "kill_asked": True, "wire_error": "garbage"}, None, []),
    ],
)
def test_causes(facts, hang, said):
    """What is not known is not a cause, nor is a kill of the supervisor's own."""
    causes = causes_of(LifeEnd(pid=7, **facts), hang)
    assert said == list(dict.fromkeys(str(cause) for cause in causes))
