"""TaskEnd: from the bare facts about the end of a task to one word and one line."""

from __future__ import annotations

import pytest

from actors.wire.from_child import Failure
from supervisor.core.health.task_end import TaskEnd, task_exit_reason

BROKEN = Failure("ValueError", "no such pair\nsecond line", "")
EXIT = Failure("SystemExit", "78", "")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (TaskEnd(ready=True), "normal: it returned"),
        (TaskEnd(), "normal: it returned, and had not called ready()"),
        (TaskEnd(ready=True, stop_asked=True), "shutdown: asked by the supervisor"),
        (TaskEnd(cancelled=True, stop_asked=True), "shutdown: asked by the supervisor"),
        (TaskEnd(cancelled=True), "killed: cancelled by other code than its supervisor"),
        (TaskEnd(failure=BROKEN), "crashed: ValueError: no such pair ..."),
        (TaskEnd(failure=BROKEN, stop_asked=True), "crashed: ValueError: no such pair ..."),
        (TaskEnd(failure=Failure("KeyError", "", "")), "crashed: KeyError"),
        (TaskEnd(failure=EXIT, exit_code=78), "crashed: sys.exit(78)"),
        (TaskEnd(failure=Failure("SystemExit", "", ""), exit_code=0), "normal: sys.exit()"),
        (TaskEnd(failure=Failure("SystemExit", "0", ""), exit_code=0, stop_asked=True), "shutdown: sys.exit(0)"),
        (TaskEnd(cancelled=True, kill_asked=True), "killed: cancelled by its supervisor, without grace"),
        (
            TaskEnd(cancelled=True, stop_asked=True, kill_asked=True, grace=5.0),
            "killed: cancelled by its supervisor: it was still there 5 s after it had been asked to stop",
        ),
        (
            TaskEnd(stop_asked=True, kill_asked=True, grace=0.25, runs_on=True),
            (
                "killed: it swallowed its cancellation: it was still there 0.25 s after it had been asked to stop; "
                "a task cannot be killed, it runs on"
            ),
        ),
    ],
)
def test_the_reason_says_what_happened(end, words):
    assert words == str(task_exit_reason(end))
