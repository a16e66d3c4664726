"""Tree program: the process of `actorctl run`: from MODULE:TREE to its end.

    import MODULE ─▶ a Supervisor, or specs, or a function that returns them ─▶ serves until a signal or its end

Imported by that verb alone: it loads what only a daemon needs, as structlog. Runs in the main thread of `actorctl`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click
import structlog

from actors.errors import ActorsError
from supervisor.ctl.errors import ExitCode
from supervisor.ctl.interrupt import ends_at_once
from supervisor.specs import ChildSpec, CommandSpec, FunctionSpec, SupervisorSpec, TaskSpec
from supervisor.supervisor import Supervisor
from supervisor.system.signals import until_signalled

_ON_THE_WAY: Final = (
    __file__,
    importlib.import_module.__code__.co_filename,
    "<frozen importlib._bootstrap>",
    "<frozen importlib._bootstrap_external>",
)
_SPECS: Final = (ChildSpec, SupervisorSpec, TaskSpec, FunctionSpec, CommandSpec)


def run_here(target: str) -> None:
    """Run the tree that a target names in this process.

    Raises:
        click.UsageError: there is none of that name, or it is no tree.
        SystemExit: its module raises, or it cannot be started.
    """
    if not (logging.getLogger().handlers or structlog.is_configured()):
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        with ends_at_once(signal.SIGTERM):
            tree = load(target)
    except click.ClickException:
        raise
    except Exception as error:
        click.echo(f"{_traceback(error)}actorctl: {target} cannot be loaded, see above", err=True)
        sys.exit(ExitCode.REFUSED)
    try:
        with ends_at_once(signal.SIGINT, signal.SIGTERM):
            asyncio.run(_serve(tree))
    except asyncio.CancelledError:  # it was asked to stop while it started
        pass
    except ActorsError as error:
        click.echo(f"actorctl: {error}", err=True)
        sys.exit(ExitCode.REFUSED)


async def _serve(tree: Supervisor) -> None:
    """Run a tree until SIGTERM, Ctrl-C or its end; while it starts, they cancel that, which stops what has begun.

    Raises:
        asyncio.CancelledError: it was stopped while it started.
    """
    starting = asyncio.current_task()
    serves = False

    def once_it_serves(deed: Callable[[], None]) -> Callable[[], object]:
        return lambda: deed() if serves or starting is None else starting.cancel()

    async with until_signalled(once_it_serves(tree.request_stop), once_it_serves(tree.request_kill)), tree:
        serves = True
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
