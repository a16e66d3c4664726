"""Main: the entry point of `actorctl`; says which extra it needs when that is not installed."""

from __future__ import annotations

import sys
from typing import Final

from supervisor.ctl.errors import ExitCode

EXTRA: Final = "actorctl needs click: pip install 'actor-supervisor[cli]'"


def main() -> None:
    """Run `actorctl`; exits with one of the codes in `ExitCode`."""
    try:
        from supervisor.ctl.app import actorctl  # noqa: PLC0415 - click is an extra
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print(EXTRA, file=sys.stderr)  # noqa: T201 - it is a program
        sys.exit(ExitCode.USAGE)
    actorctl(prog_name="actorctl")
