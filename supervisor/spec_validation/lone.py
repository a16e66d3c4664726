"""Lone specs: whether the spec of a child without a mailbox can work, a task, a function or a command."""

from __future__ import annotations

from supervisor.spec_validation.command import check_argv, check_command
from supervisor.spec_validation.process import check_directory, check_in_time, check_options
from supervisor.specs import CommandSpec, FunctionSpec, LoneSpec


def check_named(child: LoneSpec, path: str) -> None:
    """Check that it could be given a name.

    Raises:
        InvalidSpec: its name comes from its command line, and that is none.
    """
    if isinstance(child, CommandSpec):
        check_argv(child, path)


def check_lone(child: LoneSpec, path: str) -> None:
    """Check what only its kind has.

    Raises:
        InvalidSpec: something in it cannot work.
    """
    if isinstance(child, FunctionSpec):
        check_options(child, path)
        check_directory(child.cwd, path)
        check_in_time(child.env, path)
    elif isinstance(child, CommandSpec):
        check_options(child, path)
        check_command(child, path)
