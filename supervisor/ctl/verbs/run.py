"""Run: `actorctl run MODULE:TREE [--reload]`: a daemon of nothing but a tree, for development and for small services.

    run           one process: import, `async with Supervisor(...)`, until SIGTERM, Ctrl-C or its end
    run --reload  that process is a child; when a file changes it is stopped and started anew

Runs in the main thread of `actorctl`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click
import structlog

from actors.errors import ActorsError
from supervisor.ctl.errors import ExitCode
from supervisor.ctl.verbs.group import actorctl
from supervisor.specs import ChildSpec, CommandSpec, FunctionSpec, SupervisorSpec, TaskSpec
from supervisor.supervisor import Supervisor

EXTRA: Final = "--reload needs watchfiles: pip install 'actor-supervisor[cli]'"
PATIENCE: Final = 15.0  # seconds in which a tree stops before it is killed for a reload
LOOK: Final = 500  # ms between two looks whether the child has ended

_ON_THE_WAY: Final = (
    __file__,
    importlib.__file__,
    "<frozen importlib._bootstrap>",
    "<frozen importlib._bootstrap_external>",
)
_SPECS: Final = (ChildSpec, SupervisorSpec, TaskSpec, FunctionSpec, CommandSpec)


@actorctl.command()
@click.argument("target", metavar="MODULE:TREE")
@click.option("--reload", is_flag=True, help="Start anew when a Python file below the working directory changes.")
def run(target: str, *, reload: bool) -> None:
    """Run a tree until Ctrl-C or SIGTERM.

    TREE is a Supervisor, a list of specs, or a function without arguments that returns one of these. A tree made of
    specs gets a control socket.
    """
    if reload:
        sys.exit(_reloading(target))
    if not (logging.getLogger().handlers or structlog.is_configured()):
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        tree = load(target)
    except click.ClickException:
        raise
    except Exception as error:
        click.echo(f"{_traceback(error)}actorctl: {target} cannot be loaded, see above", err=True)
        sys.exit(ExitCode.REFUSED)
    try:
        asyncio.run(_serve(tree))
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except ActorsError as error:
        click.echo(f"actorctl: {error}", err=True)
        sys.exit(ExitCode.REFUSED)


async def _serve(tree: Supervisor) -> None:
    async with tree:
        await tree.serve()


def load(target: str) -> Supervisor:
    """The tree that a target names.

    Raises:
        click.UsageError: there is none of that name, or it is no tree.
    """
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise click.UsageError(f"{target!r} does not name a tree; write MODULE:TREE, as shop.daemon:tree")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise click.UsageError(f"there is no module {module_name!r} in {Path.cwd()} or on Python's path") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise click.UsageError(f"{module_name} has no {name!r}")
        found = getattr(found, part)
    made = _called(found, target) if callable(found) and not isinstance(found, _SPECS) else found
    if isinstance(made, Supervisor):
        return made
    specs = made if isinstance(made, list | tuple) else [made]
    if not specs or not all(isinstance(spec, _SPECS) for spec in specs):
        raise click.UsageError(f"{target} is {made!r:.80}; it must be a Supervisor or a list of one spec or more")
    return Supervisor(*specs, control="auto")


def _called(function: Any, target: str) -> object:
    """What a function without arguments returns.

    Raises:
        click.UsageError: it needs some.
    """
    with suppress(ValueError):  # of a few functions in C nothing is known
        try:
            inspect.signature(function).bind()
        except TypeError as error:
            raise click.UsageError(f"{target} is called without arguments, and {error}") from None
    return function()


def _traceback(error: Exception) -> str:
    """What the user's module raised, without the frames that only lead to it."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename in _ON_THE_WAY:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


# ---- reload


def _reloading(target: str) -> int:
    """Run the tree in a child process, anew after each change; returns the exit code."""
    try:
        from watchfiles import PythonFilter, watch  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        click.echo(f"actorctl: {EXTRA}", err=True)
        return ExitCode.USAGE
    with _stopped_by_sigterm():
        child = _start(target)
        told = False
        try:
            for changes in watch(Path.cwd(), watch_filter=PythonFilter(), yield_on_timeout=True, rust_timeout=LOOK):
                if changes:
                    names = sorted({Path(file).name for _, file in changes})
                    click.echo(f"actorctl: {', '.join(names[:3])} changed; starting anew", err=True)
                    _stop(child)
                    child, told = _start(target), False
                elif child.poll() is not None and not told:
                    click.echo(f"actorctl: ended with exit code {child.returncode}; waits for a change", err=True)
                    told = True
        except (KeyboardInterrupt, _Terminated):
            pass
        finally:
            _stop(child)
    return ExitCode.DONE if child.returncode in _ASKED else child.returncode or ExitCode.DONE


_ASKED: Final = {-signal.SIGTERM, -signal.SIGINT}  # how a tree ends that is stopped while it is still imported


def _start(target: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "supervisor.ctl", "run", target])  # noqa: S603 - the same program


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


class _Terminated(BaseException):
    """SIGTERM has come."""


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what signal passes
        raise _Terminated

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
