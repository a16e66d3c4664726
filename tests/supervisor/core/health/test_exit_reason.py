"""Exit reasons: the words for every way to end."""

from __future__ import annotations

import signal

import pytest

from actors.exits import ExitKind
from actors.wire.from_child import CrashReport, Failure
from actors.wire.progress import Progress
from supervisor.core.health.exit_reason import exit_code_in_words, exit_reason, native_stack, signal_name
from supervisor.core.health.life_end import LifeEnd

FAULT = """\
Fatal Python error: Segmentation fault

Current thread 0x00007f0000000000 (most recent call first):
  File "/srv/shop/parser.py", line 12 in parse
  File "/srv/shop/parser.py", line 40 in <module>

Extension modules: one, two (total: 2)
"""
FREE_THREADED = """\
Fatal Python error: Segmentation fault

<Cannot show all threads while the GIL is disabled>
Stack (most recent call first):
  File "/srv/shop/parser.py", line 12 in parse
  File "/srv/shop/parser.py", line 40 in <module>

Current thread's C stack trace (most recent call first):
  Binary file "/usr/bin/python3.14t", at _Py_DumpStack+0x2e [0x56210f30983e]
"""
SHADOWED = (
    "it imported /x/msgspec.py in place of the msgspec that this daemon has; rename that file, or put its directory at "
    "the end of sys.path"
)
NO_PYTHON = (
    "what multiprocessing executes may be no Python (see multiprocessing.set_executable), one that cannot start, "
    "or a frozen program without freeze_support(); its standard error may say why"
)
NOT_EXECUTED = (
    "what multiprocessing executes could not be executed; it is not a program, or the environment is larger than the "
    "system passes on (ARG_MAX); or it is a frozen program, and its standard error says why"
)
DUMP = 'Current thread 0x00007f0000000000 (most recent call first):\n  File "/srv/shop/other.py", line 1 in look\n'


HANDLING = Progress(begun=1, active=frozenset({1}), since=0, handler=0)


def end(exit_code, **facts):
    return LifeEnd(**{"pid": 7, "exit_code": exit_code, **facts})


def words(type_name, message="", where="in A.a"):
    return CrashReport(where, Failure(type_name, message, "Traceback..."))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (end(0, goodbye=True), "normal: the actor stopped itself"),
        (end(0), "normal: exit code 0: it left by os._exit or from C code"),
        (end(0, stop_asked=True), "shutdown: asked by the supervisor"),
        (end(1, crash_report=words("KeyError", "'x'")), "crashed: KeyError: 'x' (in A.a)"),
        (end(1, crash_report=words("KeyError")), "crashed: KeyError (in A.a)"),
        (end(1, crash_report=words("E", "one\ntwo")), "crashed: E: one ... (in A.a)"),
        (end(1, crash_report=words("E", "x" * 999)), f"crashed: E: {'x' * 300} ... (in A.a)"),
        (end(None, crash_report=words("KeyError", "'x'")), "crashed: KeyError: 'x' (in A.a)"),
        (end(-9, wire_error="garbage", kill_asked=True), "crashed: garbage"),
        # left by itself
        (end(0, crash_report=words("SystemExit", "0")), "normal: exit code 0: sys.exit(0) in A.a"),
        (end(0, crash_report=words("SystemExit"), stop_asked=True), "shutdown: exit code 0: sys.exit() in A.a"),
        (end(0, crash_report=words("app.Leave")), "normal: exit code 0: sys.exit() in A.a"),
        (end(3, crash_report=words("SystemExit", "3")), "crashed: exit code 3: sys.exit(3) in A.a"),
        (end(1, crash_report=words("SystemExit", "bye")), "crashed: exit code 1: sys.exit(bye) in A.a"),
        (end(4), "crashed: exit code 4: it left by os._exit or from C code"),
        (end(4, goodbye=True), "crashed: exit code 4"),
        *(
            (end(code, began=False), f"crashed: exit code {code} before it was an actor: {why}")
            for code, why in ((0, NO_PYTHON), (1, NO_PYTHON), (255, NOT_EXECUTED))
        ),
        (
            end(1, began=False, found_first="/x/msgspec.py in place of the msgspec that this daemon has"),
            f"crashed: exit code 1 before it was an actor: {SHADOWED}",
        ),
        (end(0, began=False, stop_asked=True), "shutdown: asked by the supervisor"),
        (
            end(0, progress=HANDLING),
            "normal: exit code 0: it left in the middle of a message, by os._exit or from C code",
        ),
        (
            end(4, progress=HANDLING),
            "crashed: exit code 4: it left in the middle of a message, by os._exit or from C code",
        ),
        (end(1), "crashed: exit code 1: an uncaught error; its standard error may say which"),
        (
            end(137),
            "crashed: exit code 137 (128 + SIGKILL, as a shell reports it): it left by os._exit or from C code",
        ),
        # left, but did not go
        (
            end(-9, goodbye=True, kill_asked=True),
            "normal: the actor stopped itself, but its process stayed and was killed",
        ),
        (
            end(-9, goodbye=True, kill_asked=True, stop_asked=True, grace=5.0),
            "shutdown: asked by the supervisor, but its process stayed and was killed",
        ),
        (  # it had exited by itself when the daemon, which was stopped meanwhile, killed it
            end(0, goodbye=True, kill_asked=True, stop_asked=True, grace=5.0),
            "shutdown: asked by the supervisor",
        ),
        (
            end(3, goodbye=True, kill_asked=True, stop_asked=True, crash_report=words("SystemExit", "3")),
            "crashed: exit code 3: sys.exit(3) in A.a",
        ),
        (
            end(None, goodbye=True, kill_asked=True),
            "normal: the actor stopped itself, but its process stayed and was killed",
        ),
        (
            end(-9, goodbye=True, kill_asked=True, crash_report=words("SystemExit", "0")),
            "normal: sys.exit(0) in A.a, but its process stayed and was killed",
        ),
        (
            end(-9, goodbye=True, kill_asked=True, crash_report=words("SystemExit", "3")),
            "crashed: sys.exit(3) in A.a, but its process stayed and was killed",
        ),
        (
            end(-9, goodbye=True, kill_asked=True, crash_report=words("KeyError", "'x'")),
            "crashed: KeyError: 'x' (in A.a)",
        ),
        # killed
        (
            end(-9, stop_asked=True, kill_asked=True, grace=5.004),
            "killed: SIGKILL from its supervisor: it was still there 5 s after it had been asked to stop",
        ),
        (end(-9, kill_asked=True), "killed: SIGKILL from its supervisor"),
        # not to be killed
        (
            end(None, stop_asked=True, kill_asked=True, grace=5.004, unended="Not permitted; process 7 may live on"),
            (
                "killed: SIGKILL from its supervisor: it was still there 5 s after it had been asked to stop; the "
                "process could not be ended: Not permitted; process 7 may live on"
            ),
        ),
        (
            end(None, wire_error="it broke the protocol: no", kill_asked=True, unended="Not permitted"),
            "crashed: it broke the protocol: no; the process could not be ended: Not permitted",
        ),
        (
            end(None, goodbye=True, kill_asked=True, unended="Not permitted"),
            "normal: the actor stopped itself, but its process stayed; the process could not be ended: Not permitted",
        ),
        (end(-9, kill_asked=True, oom_kills=1), "killed: SIGKILL from its supervisor"),
        (end(-9), "killed: SIGKILL from outside: a kill -9, its own, or the kernel short of memory"),
        (
            end(-9, oom_kills=0, stop_asked=True),
            "killed: SIGKILL from outside: a kill -9, or its own (the kernel has counted no kill for lack of memory)",
        ),
        (
            end(-9, oom_kills=2),
            "killed: SIGKILL, out of memory: the kernel chose it (its count of such kills rose by 2)",
        ),
        (end(-11), "killed: SIGSEGV, segmentation fault"),
        (end(-11, text=FAULT), "killed: SIGSEGV, segmentation fault in parse (shop/parser.py:12)"),
        (end(-11, text=FREE_THREADED), "killed: SIGSEGV, segmentation fault in parse (shop/parser.py:12)"),
        (end(-11, text=DUMP + FAULT), "killed: SIGSEGV, segmentation fault in parse (shop/parser.py:12)"),
        (end(-11, text=DUMP), "killed: SIGSEGV, segmentation fault"),
        (end(-11, text="Fatal Python error: \xff"), "killed: SIGSEGV, segmentation fault"),
        (end(-6), "killed: SIGABRT, it aborted itself"),
        (end(-15), "killed: SIGTERM from outside, or its own"),
        (end(-24), "killed: SIGXCPU, its limit of CPU time (RLIMIT_CPU)"),
        (end(-99), "killed: signal 99 from outside, or its own"),
        # not known
        (end(None), "lost: its exit code was taken by another part of the daemon"),
        (
            end(None, kill_asked=True, stop_asked=True),
            "killed: SIGKILL from its supervisor (its exit code was taken by another part of the daemon)",
        ),
        (end(None, goodbye=True, stop_asked=True), "shutdown: asked by the supervisor"),
        (end(None, goodbye=True), "normal: the actor stopped itself"),
        (end(None, goodbye=True, crash_report=words("SystemExit", "0")), "normal: sys.exit(0) in A.a"),
        (end(None, goodbye=True, crash_report=words("SystemExit", "3")), "crashed: sys.exit(3) in A.a"),
        (
            end(None, stop_asked=True),
            "lost: its exit code was taken by another part of the daemon; it had been asked to stop",
        ),
        (
            end(None, text=FAULT),
            (
                "lost: its exit code was taken by another part of the daemon; "
                "Segmentation fault in parse (shop/parser.py:12)"
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_cause_in_one_line(facts, said):
    """The word and the line, from the facts alone."""
    assert said == str(exit_reason(facts))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (5, "exit code 5"),
        (2, "exit code 2 (a wrong command line)"),
        (64, "exit code 64 (EX_USAGE, wrong command line)"),
        (70, "exit code 70 (EX_SOFTWARE; an actor that finds its daemon gone leaves with it)"),
        (78, "exit code 78 (EX_CONFIG, wrong configuration)"),
        (127, "exit code 127 (a command that was not found, as a shell reports it)"),
        (128, "exit code 128"),
        (129, "exit code 129 (128 + SIGHUP, as a shell reports it)"),
        (137, "exit code 137 (128 + SIGKILL, as a shell reports it)"),
        (139, "exit code 139 (128 + SIGSEGV, as a shell reports it)"),
        (247, "exit code 247 (-9, which is Python's word for SIGKILL)"),
        (255, "exit code 255 (-1)"),
    ],
)
def test_exit_codes_in_words(code, said):
    """A number means something to a person, where it means something at all."""
    assert said == exit_code_in_words(code)


@pytest.mark.parametrize("code", range(256))
def test_any_exit_code_is_one_line(code):
    """Whatever a process returns."""
    assert exit_code_in_words(code).startswith(f"exit code {code}")
    assert 1 == len(exit_code_in_words(code).splitlines())


@pytest.mark.parametrize("number", range(1, 65))
@pytest.mark.parametrize("asked", [True, False])
def test_any_signal_is_one_line(number, asked):
    """Whatever kills a process."""
    reason = exit_reason(end(-number, kill_asked=asked))
    assert ExitKind.KILLED is reason.kind
    assert reason.detail.startswith(signal_name(number))
    assert 1 == len(reason.detail.splitlines())


def test_signal_names():
    """By number, where it has a name."""
    assert "SIGKILL" == signal_name(signal.SIGKILL)
    assert "signal 99" == signal_name(99)


def test_native_stack():
    """What follows the last dump that was asked for; nothing where no fault was."""
    assert FAULT.rstrip() == native_stack(DUMP + FAULT)
    assert native_stack(DUMP) is None
    heartbeat = '  File "/usr/lib/python3.11/site-packages/actors/process/heartbeat.py", line 50 in answer'
    beside = FAULT.replace("Current thread", f"Thread 0x1 (most recent call first):\n{heartbeat}\n\nCurrent thread", 1)
    assert beside != FAULT
    assert FAULT.rstrip() == native_stack(beside)
    inside = f"Fatal Python error: Aborted\n\nCurrent thread 0x1 (most recent call first):\n{heartbeat}"
    assert inside == native_stack(inside)
    free_threaded = inside.replace(
        "Current thread 0x1", "<Cannot show all threads while the GIL is disabled>\nStack", 1
    )
    assert free_threaded == native_stack(free_threaded)
    assert native_stack("") is None
