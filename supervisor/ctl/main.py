"""Main: the entry point of `actorctl`; says which extra it needs when that is not installed."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Final

from supervisor.ctl.errors import ExitCode
from supervisor.ctl.interrupt import ends_at_once

EXTRA: Final = "actorctl needs click: pip install 'actor-supervisor[cli]'"


def main() -> None:
    """Run `actorctl`; exits with one of the codes in `ExitCode`."""
    try:
        with ends_at_once(signal.SIGINT, signal.SIGTERM):
            from supervisor.ctl.app import actorctl  # noqa: PLC0415 - click is an extra
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print(EXTRA, file=sys.stderr)  # noqa: T201 - it is a program
        sys.exit(ExitCode.USAGE)
    _have_streams()
    actorctl(prog_name="actorctl")


def _have_streams() -> None:
    """One that is closed is empty, or takes all. Write what the encoding of the terminal lacks as JSON writes it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - as long as the program
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
