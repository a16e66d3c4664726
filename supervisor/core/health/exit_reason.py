"""Exit reason: from the bare facts about the end of a life to its cause, in one word and one line.

Pure: the same facts give the same words. What is not known is not claimed.
"""

from __future__ import annotations

import re
import signal
from typing import Final

from actors.exits import EXIT_CUT, EXIT_ORPHANED, ExitKind, ExitReason
from supervisor.core.health.life_end import LifeEnd
from supervisor.core.health.stacks import of_the_fault, without_their_start

_OWN_FAULTS: Final = {
    "SIGSEGV": "segmentation fault",
    "SIGABRT": "it aborted itself",
    "SIGBUS": "bus error",
    "SIGFPE": "arithmetic fault",
    "SIGILL": "illegal instruction",
    "SIGSYS": "a system call that is forbidden here",
    "SIGTRAP": "a trap for a debugger",
}
_LIMITS: Final = {
    "SIGXCPU": "its limit of CPU time (RLIMIT_CPU)",
    "SIGXFSZ": "its limit of file size (RLIMIT_FSIZE)",
    "SIGALRM": "a timer of its own",
    "SIGVTALRM": "a timer of its own",
    "SIGPROF": "a timer of its own",
    "SIGPIPE": "it wrote to a pipe without a reader",
}

_CODES: Final = {
    2: "a wrong command line",
    64: "EX_USAGE, wrong command line",
    65: "EX_DATAERR, wrong input",
    66: "EX_NOINPUT, no input",
    67: "EX_NOUSER, no such user",
    68: "EX_NOHOST, no such host",
    69: "EX_UNAVAILABLE, a service is missing",
    EXIT_ORPHANED: "EX_SOFTWARE; an actor that finds its daemon gone leaves with it",
    71: "EX_OSERR, operating system error",
    72: "EX_OSFILE, a system file is missing",
    73: "EX_CANTCREAT, cannot create a file",
    74: "EX_IOERR, input or output failed",
    75: "EX_TEMPFAIL, try again later",
    EXIT_CUT: "EX_PROTOCOL; an actor that an exception interrupts while it sends leaves with it, see its stderr",
    77: "EX_NOPERM, permission denied",
    78: "EX_CONFIG, wrong configuration",
    120: "Python could not flush its output",
    126: "a command that cannot be executed, as a shell reports it",
    127: "a command that was not found, as a shell reports it",
}

_TAKEN: Final = "its exit code was taken by another part of the daemon"

_OVERWRITTEN: Final = "a wild write in its process hit its black box, so what it was doing is not known"

_FATAL: Final = "Fatal Python error: "
_SITE: Final = re.compile(r'^(?:Current thread|Stack) .*\n  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)
_MAX_LINE: Final = 300  # characters of one line


def exit_reason(end: LifeEnd) -> ExitReason:
    """Why a life ended, in one word and one line."""
    reason = _reason(end)
    if end.unended is None and not end.overwritten:
        return reason
    more = filter(None, (end.survival, _OVERWRITTEN if end.overwritten else ""))
    return ExitReason(reason.kind, "; ".join((reason.detail, *more)))


def _reason(end: LifeEnd) -> ExitReason:
    if end.lost is not None or end.wire_error is not None:
        return ExitReason(ExitKind.CRASHED if end.lost is None else ExitKind.LOST, end.lost or end.wire_error or "")
    if end.crash_report is not None and not _is_exit(end):
        failure = end.crash_report.failure
        said = f"{failure.type_name}: {one_line(failure.message)}" if failure.message else failure.type_name
        return ExitReason(ExitKind.CRASHED, f"{said} ({end.crash_report.where})")
    if end.goodbye and (end.exit_code is None or (end.kill_asked and end.exit_code < 0)):
        return _as_it_meant(end)
    if end.exit_code is None:
        return _without_code(end)
    if end.exit_code < 0:
        return ExitReason(ExitKind.KILLED, _killed(end))
    return _left(end, end.exit_code)


def exit_code_in_words(code: int) -> str:
    """`exit code 137 (128 + SIGKILL, as a shell reports it)`; without brackets for a code that has no meaning."""
    meaning = _CODES.get(code, "")
    if code > 192:  # Python's subprocess reports signal n as -n, which one byte holds as 256 - n
        meaning = f"{code - 256}, which is Python's word for {signal_name(256 - code)}" if code < 255 else "-1"
    elif code > 128:
        meaning = f"128 + {signal_name(code - 128)}, as a shell reports it"
    return f"exit code {code} ({meaning})" if meaning else f"exit code {code}"


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; `signal 99` for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def native_stack(text: str) -> str | None:
    """What faulthandler wrote about a fatal fault, of all the text in a black box; None when there was none."""
    at = text.find(_FATAL)
    return None if at < 0 else without_their_start(of_the_fault(text[at:].rstrip()))


def one_line(text: str) -> str:
    """The first line of a text, with a mark if there was more."""
    first = text.strip().partition("\n")[0]
    return text.strip() if first == text.strip() and len(first) <= _MAX_LINE else f"{first[:_MAX_LINE]} ..."


def _is_exit(end: LifeEnd) -> bool:
    """Whether its crash report is that of a `sys.exit`."""
    return end.crash_report is not None and (end.exit_code == 0 or end.crash_report.failure.type_name == "SystemExit")


def _as_it_meant(end: LifeEnd) -> ExitReason:
    """It had finished but did not exit and was killed: report the exit it announced."""
    way = _way(end).removeprefix(": ")
    if way and end.crash_report is not None and end.crash_report.failure.message not in ("", "0"):
        kind = ExitKind.CRASHED
    else:
        kind = ExitKind.SHUTDOWN if end.stop_asked else ExitKind.NORMAL
    stayed = ", but its process stayed" if end.kill_asked else ""
    stayed += " and was killed" if end.kill_asked and end.unended is None else ""
    return ExitReason(kind, f"{way or _by_request(end)}{stayed}")


def _left(end: LifeEnd, code: int) -> ExitReason:
    """It exited by itself."""
    way = _way(end)
    if not (end.began or end.stop_asked or end.crash_report is not None):
        return ExitReason(ExitKind.CRASHED, f"exit code {code} before it was an actor: {_no_python(end, code)}")
    if code:
        return ExitReason(ExitKind.CRASHED, exit_code_in_words(code) + way)
    kind = ExitKind.SHUTDOWN if end.stop_asked else ExitKind.NORMAL
    if way:
        return ExitReason(kind, f"exit code 0{way}")
    return ExitReason(kind, _by_request(end))


def _by_request(end: LifeEnd) -> str:
    return "asked by the supervisor" if end.stop_asked else "the actor stopped itself"


def _no_python(end: LifeEnd, code: int) -> str:
    """Why a program that should have been a Python has exited."""
    if end.found_first is not None:
        return f"it imported {end.found_first}; rename that file, or put its directory at the end of sys.path"
    if code == 255:  # multiprocessing's word for a failed exec, and cx_Freeze's for an error
        return (
            "what multiprocessing executes could not be executed; it is not a program, or the environment is larger "
            "than the system passes on (ARG_MAX); or it is a frozen program, and its standard error says why"
        )
    return (
        "what multiprocessing executes may be no Python (see multiprocessing.set_executable), one that cannot start, "
        "or a frozen program without freeze_support(); its standard error may say why"
    )


def _way(end: LifeEnd) -> str:
    """How it exited, where that says more than the code."""
    if end.crash_report is not None:
        return f": sys.exit({one_line(end.crash_report.failure.message)}) {end.crash_report.where}"
    if end.progress.active:
        return ": it left in the middle of a message, by os._exit or from C code"
    if end.exit_code == 1:
        return ": an uncaught error; its standard error may say which"
    if end.exit_code in {EXIT_ORPHANED, EXIT_CUT, 120} or end.goodbye or (end.exit_code == 0 and end.stop_asked):
        return ""
    return ": it left by os._exit or from C code"


def _killed(end: LifeEnd) -> str:
    """Which signal ended it, and where it came from, as far as that is known."""
    name = signal_name(-(end.exit_code or 0))
    if name == "SIGKILL":
        return f"{name}{_killer(end)}"
    if name in _OWN_FAULTS:
        return f"{name}, {_OWN_FAULTS[name]}{_site(end.text)}"
    return f"{name}, {_LIMITS[name]}" if name in _LIMITS else f"{name} from outside, or its own"


def _killer(end: LifeEnd) -> str:
    if end.kill_asked:
        late = "" if end.grace is None else f": it was still there {end.grace:.3g} s after it had been asked to stop"
        return f" from its supervisor{late}"
    if end.oom_kills:
        return f", out of memory: the kernel chose it (its count of such kills rose by {end.oom_kills})"
    if end.oom_kills == 0:
        return " from outside: a kill -9, or its own (the kernel has counted no kill for lack of memory)"
    return " from outside: a kill -9, its own, or the kernel short of memory"


def _without_code(end: LifeEnd) -> ExitReason:
    """Neither its parent nor the kernel knows its exit code, or it has none; judge by what it reported."""
    if end.unended is not None:
        return ExitReason(ExitKind.KILLED, f"SIGKILL{_killer(end)}")
    stack = native_stack(end.text)
    if stack is not None:
        return ExitReason(ExitKind.LOST, f"{_TAKEN}; {stack.partition(_FATAL)[2].splitlines()[0]}{_site(stack)}")
    if end.kill_asked:
        return ExitReason(ExitKind.KILLED, f"SIGKILL{_killer(end)} ({_TAKEN})")
    return ExitReason(ExitKind.LOST, f"{_TAKEN}; it had been asked to stop" if end.stop_asked else _TAKEN)


def _site(text: str) -> str:
    """Where the thread that hit a fault was, as faulthandler wrote it."""
    found = _SITE.search(native_stack(text) or "")
    if found is None:
        return ""
    file, line, function = found.groups()
    return f" in {function} ({'/'.join(file.split('/')[-2:])}:{line})"
