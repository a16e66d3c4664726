"""Lone specs: whether the spec of a child without a mailbox can work, a task, a function or a command."""

from __future__ import annotations

from supervisor.errors import InvalidSpec
from supervisor.spec_validation.command import check_argv, check_command
from supervisor.spec_validation.process import check_directory, check_in_time, check_options
from supervisor.spec_validation.values import is_name
from supervisor.specs import CommandSpec, FunctionSpec, LoneSpec
from supervisor.specs.command import program_of


def check_named(child: LoneSpec, path: str) -> None:
    """Check that it could be given a name.

    Raises:
        InvalidSpec: its name comes from its command line, and that is none, or gives none.
    """
    if not isinstance(child, CommandSpec):
        return
    check_argv(child, path)
    if child.name == program_of(child.argv) and not is_name(child.name):
        why = f"{child.argv[0]!r} gives it no name of letters, digits, '_', '-' and '.'; write one, name='...'"
        raise InvalidSpec(f"{path}.name", child.name, why)


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
