"""Group: `actorctl` and what all of its verbs share: which daemon, JSON, errors as one line and an exit code.

Verbs are in modules by what they do; each adds itself with `@actorctl.command()`.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any, Final, TypeVar

import click
import msgspec

from actors.errors import UsageError
from supervisor.ctl.cells import harmless
from supervisor.ctl.client import Client
from supervisor.ctl.daemons import chosen
from supervisor.ctl.errors import ControlError, ExitCode

F = TypeVar("F", bound=Callable[..., Any])

_NARROW: Final = 80  # columns of a terminal that does not say


class _Group(click.Group):
    """Turns an error into one line and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ControlError as error:
            say(f"actorctl: {error}", err=True)
            ctx.exit(error.exit_code)
        except UsageError as error:
            say(f"actorctl: {error}", err=True)
            ctx.exit(ExitCode.USAGE)
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)
        except BrokenPipeError:  # `actorctl events | head`
            _discard_output()
            ctx.exit(ExitCode.DONE)
        except OSError as error:  # a full disk
            _discard_output()
            say(f"actorctl: {error}", err=True)
            ctx.exit(ExitCode.REFUSED)


def _discard_output() -> None:
    """What standard output does not take is not tried again at the exit, whose code would be 120."""
    with contextlib.suppress(io.UnsupportedOperation):  # it is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _version() -> str:
    try:
        return metadata.version("actor-supervisor")
    except metadata.PackageNotFoundError:  # a checkout
        return "of a checkout"


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(_version())
def actorctl() -> None:
    """Look into the actors of a running daemon, and act on them.

    A NAME is a path, as /root/parser/3, or its end where that is unique, as parser. The daemon needs
    Supervisor(..., control="auto"). Exit codes: 0 done, 1 refused or failed, 2 wrong command line, 3 no daemon,
    4 no such name, 5 no answer in time.
    """


def daemon_option(command: F) -> F:
    """Adds `-d`: which daemon."""
    return click.option(
        "-d",
        "--daemon",
        "daemon",
        metavar="PID|TREE|SOCKET",
        envvar="ACTORCTL_DAEMON",
        help="Which daemon, where several run.",
    )(command)


def json_option(command: F) -> F:
    """Adds `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one value a line.")(command)


def client_of(daemon: str | None) -> Client:
    """A connection to the daemon that is meant."""
    return Client(chosen(daemon))


def width() -> int:
    """The columns of the terminal; where the output is no terminal nothing is cut."""
    return shutil.get_terminal_size((_NARROW, 24)).columns if sys.stdout.isatty() else 10_000


def print_json(value: object) -> None:
    """Print a value as one line of JSON."""
    click.echo(msgspec.json.encode(value).decode())


def print_lines(lines: list[str]) -> None:
    """Print lines."""
    say("\n".join(lines))


def say(text: str, *, err: bool = False) -> None:
    """Print a text for a person, which an actor or an error may have written."""
    click.echo(harmless(text), err=err)
