"""CommandSpec: whether a command's spec can work: program, directory, signal, readiness."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path
from typing import Final

from actors.bounds import MAX_SOCKET_PATH
from supervisor.errors import InvalidSpec
from supervisor.spec_validation.process import check_directory
from supervisor.spec_validation.values import absent, is_word, looks
from supervisor.specs import CommandSpec, Ready
from supervisor.specs.ready import PORT, LineReady, PortReady, SocketReady, TimeReady

_NO_ANSWER: Final = ("SIGKILL", "SIGSTOP")  # no program can handle them


def check_command(child: CommandSpec, path: str) -> None:
    """Check what only a command's spec has.

    Raises:
        InvalidSpec: something in it cannot work.
    """
    check_directory(child.cwd, path)
    why = _why_not(child)
    if why:
        raise InvalidSpec(f"{path}.argv[0]", child.argv[0], why)
    if (
        not isinstance(child.stop_signal, str)
        or child.stop_signal not in signal.Signals.__members__
        or child.stop_signal in _NO_ANSWER
    ):
        raise InvalidSpec(
            f"{path}.stop_signal",
            child.stop_signal,
            "expected the name of a signal that a program can handle, as 'SIGTERM' or 'SIGINT'; for SIGKILL at once "
            "write shutdown=BRUTAL_KILL",
        )
    _check_ready(child, path)


def check_argv(child: CommandSpec, path: str) -> None:
    """Check that the command line is words.

    Raises:
        InvalidSpec: it is something else.
    """
    argv: object = child.argv
    if isinstance(argv, str):
        raise InvalidSpec(f"{path}.argv", argv, f"expected a tuple of words, no shell reads it: {_split(argv)!r}")
    if not (isinstance(argv, tuple) and argv and argv[0] and all(map(is_word, argv))):
        raise InvalidSpec(
            f"{path}.argv", argv, "expected a tuple of str, the program first: ('redis-server', '--port', '0')"
        )


def _split(line: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(line))
    except ValueError:
        return (line,)


def _why_not(child: CommandSpec) -> str:
    """Why its program cannot be executed; empty when it can. It is looked for where `exec` will look for it."""
    program = child.argv[0]
    here = Path(child.cwd or ".")
    if "/" in program:
        return _unfit(here / program)
    search = child.env.get("PATH", os.environ.get("PATH", os.defpath))
    found = [place for folder in search.split(os.pathsep) if looks((place := here / folder / program).is_file)]
    if any(os.access(place, os.X_OK) for place in found):
        return ""
    if found:
        return _unfit(found[0])
    return "there is no such program on PATH; install it, or write its path"


def _unfit(place: Path) -> str:
    if looks(place.is_dir):
        return "it is a directory; write the path of a program"
    if not looks(place.is_file):
        return absent("program", place)
    return "" if os.access(place, os.X_OK) else f"it is not executable; chmod +x {place}"


def _check_ready(child: CommandSpec, path: str) -> None:
    ready: object = child.ready
    if ready is not None and not (isinstance(ready, Ready) and type(ready) is not Ready):
        raise InvalidSpec(
            f"{path}.ready",
            ready,
            "expected Ready.line(...), .port(...), .socket(...), .notify(), .after(...) or .check(...), or None",
        )
    if isinstance(ready, LineReady) and child.output != "capture":
        raise InvalidSpec(f"{path}.output", child.output, "Ready.line reads its output; expected 'capture'")
    if isinstance(ready, TimeReady) and ready.seconds >= child.start_timeout:
        why = f"it is ready after {ready.seconds:g} s; expected a longer time"
        raise InvalidSpec(f"{path}.start_timeout", child.start_timeout, why)
    if (
        isinstance(ready, SocketReady)
        and len(os.fsencode(place := Path(child.cwd or ".", ready.path))) > MAX_SOCKET_PATH
    ):
        why = f"the path of a Unix socket has at most {MAX_SOCKET_PATH} bytes; write a shorter one"
        raise InvalidSpec(f"{path}.ready", str(place), why)
    if isinstance(ready, PortReady) and ready.number == PORT and not _is_told(child):
        raise InvalidSpec(f"{path}.argv", child.argv, "Ready.port awaits '{port}', which neither argv nor env tells it")


def _is_told(child: CommandSpec) -> bool:
    return any(PORT in text for text in (*child.argv, *child.env.values()))
