"""Main: the entry point of `actorctl`; says which extra it needs when that is not installed."""

from __future__ import annotations

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
    _be_able_to_write()
    actorctl(prog_name="actorctl")


def _be_able_to_write() -> None:
    """Write what the encoding of the terminal does not have as JSON writes it; to an output that is closed, nothing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - as long as the program
        else:
            stream.reconfigure(errors="backslashreplace")
