"""Process end: from the bare facts about the end of a function or a program to one word and one line."""

from __future__ import annotations

import signal

import pytest

from actors.wire.from_child import CrashReport, Failure
from supervisor.core.health.life_end import LifeEnd
from supervisor.core.health.process_end import command_exit_reason, function_exit_reason

ABSENT = CrashReport("executing redis", Failure("FileNotFoundError", "[Errno 2] No such file or directory", ""))


def end(code, **facts):
    return LifeEnd(pid=1, exit_code=code, **facts)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (end(0), "normal: exit code 0"),
        (end(1), "crashed: exit code 1"),
        (end(78), "crashed: exit code 78 (EX_CONFIG, wrong configuration)"),
        (end(143), "crashed: exit code 143 (128 + SIGTERM, as a shell reports it)"),
        (end(-signal.SIGSEGV), "killed: SIGSEGV, segmentation fault"),
        (end(-signal.SIGTERM), "killed: SIGTERM from outside, or its own"),
        (end(0, stop_asked=True), "shutdown: asked by the supervisor, exit code 0"),
        (end(-signal.SIGTERM, stop_asked=True), "shutdown: asked by the supervisor, ended by SIGTERM"),
        (
            end(143, stop_asked=True),
            "shutdown: asked by the supervisor, exit code 143 (128 + SIGTERM, as a shell reports it)",
        ),
        (end(1, stop_asked=True), "crashed: exit code 1"),
        (end(-signal.SIGINT, stop_asked=True), "killed: SIGINT from outside, or its own"),
        (
            end(-signal.SIGKILL, stop_asked=True, kill_asked=True, grace=5.0),
            "killed: SIGKILL from its supervisor: it was still there 5 s after it had been asked to stop",
        ),
        (
            end(1, crash_report=ABSENT),
            "crashed: FileNotFoundError: [Errno 2] No such file or directory (executing redis)",
        ),
        (
            end(None, kill_asked=True),
            "killed: SIGKILL from its supervisor (its exit code was taken by another part of the daemon)",
        ),
    ],
)
def test_the_reason_of_a_program_says_what_happened(facts, words):
    assert words == str(command_exit_reason(facts, signal.SIGTERM))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (end(0, left=True), "normal: it returned"),
        (end(-signal.SIGTERM, left=True), "normal: it returned"),
        (end(0), "normal: exit code 0: it left by os._exit or from C code"),
        (end(0, stop_asked=True), "shutdown: asked by the supervisor"),
        (end(-signal.SIGTERM, stop_asked=True), "shutdown: asked by the supervisor, ended by SIGTERM"),
        (end(-signal.SIGTERM), "killed: SIGTERM from outside, or its own"),
        (end(3), "crashed: exit code 3: it left by os._exit or from C code"),
    ],
)
def test_the_reason_of_a_function_says_what_happened(facts, words):
    assert words == str(function_exit_reason(facts))
