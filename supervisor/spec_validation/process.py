"""Options of a process in a spec: niceness, processors, environment, directory, limits, output."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, get_args

from actors.bounds import is_count
from actors.lazy import LazyModule
from supervisor.core.place import LOCAL
from supervisor.errors import InvalidSpec
from supervisor.spec_validation.values import absent, check_word, looks
from supervisor.specs.common import HasOptions, Output

if TYPE_CHECKING:
    import pathlib
else:
    pathlib = LazyModule("pathlib")

_OUTPUTS: Final = get_args(Output)
_MOST_CPU: Final = 65_535
_MOST_LIMIT: Final = 2**63 - 1
_TOO_LATE: Final = ("PYTHON", "LD_")  # prefixes of variables the interpreter has read by then


def check_options(child: HasOptions, path: str) -> None:
    """Check the options of a spec's processes.

    Raises:
        InvalidSpec: one of them cannot work.
    """
    check_word(child.output, _OUTPUTS, f"{path}.output")
    if not is_count(child.nice, -39, 39):
        raise InvalidSpec(f"{path}.nice", child.nice, "expected a whole number from -39 to 39; it is added")
    cpus = child.cpu_affinity
    if cpus is not None and not (isinstance(cpus, tuple) and cpus and all(is_count(cpu, 0, _MOST_CPU) for cpu in cpus)):
        raise InvalidSpec(f"{path}.cpu_affinity", cpus, "expected a tuple of processor numbers, or None for all")
    if cpus is not None and not hasattr(os, "sched_setaffinity"):
        raise InvalidSpec(f"{path}.cpu_affinity", cpus, "this system cannot do that; leave it out")
    if cpus is not None and getattr(child, "place", LOCAL) == LOCAL:
        there = os.sysconf("SC_NPROCESSORS_CONF")
        if min(cpus) >= there:
            raise InvalidSpec(f"{path}.cpu_affinity", cpus, f"this machine has the processors 0 to {there - 1}")
    if child.cwd is not None and not (_is_text(child.cwd) and child.cwd):
        raise InvalidSpec(f"{path}.cwd", child.cwd, "expected the path of a directory as a str, or None")
    for name in ("env", "rlimits"):
        if not isinstance(getattr(child, name), Mapping):
            raise InvalidSpec(
                f"{path}.{name}", type(getattr(child, name)).__qualname__, "expected a mapping, as a dict"
            )
    _check_env(child, path)
    _check_rlimits(child, path)


def _check_env(child: HasOptions, path: str) -> None:
    for name, value in child.env.items():
        if not (_is_text(name) and _is_text(value) and name and "=" not in name):
            raise InvalidSpec(
                f"{path}.env", name, "expected names and values that are str of UTF-8, without NUL, and '=' in a name"
            )


def _check_rlimits(child: HasOptions, path: str) -> None:
    for name, limit in child.rlimits.items():
        if not (isinstance(name, str) and hasattr(resource, f"RLIMIT_{name}")):
            raise InvalidSpec(f"{path}.rlimits", name, "expected a name as in resource.RLIMIT_..., for instance 'AS'")
        pair: object = (limit, limit) if is_count(limit, -1) else limit
        if not (isinstance(pair, tuple) and len(pair) == 2 and all(is_count(one, -1, _MOST_LIMIT) for one in pair)):
            why = f"expected a number or (soft, hard), at most {_MOST_LIMIT}; -1 for no limit"
            raise InvalidSpec(f"{path}.rlimits[{name!r}]", limit, why)
        soft, hard = pair
        if hard >= 0 and not 0 <= soft <= hard:
            raise InvalidSpec(
                f"{path}.rlimits[{name!r}]", limit, "expected a soft limit that is not above the hard one"
            )


def check_directory(cwd: str | None, path: str) -> None:
    """Check that a working directory exists.

    Raises:
        InvalidSpec: it does not.
    """
    if cwd is not None and not looks(pathlib.Path(cwd).is_dir):
        raise InvalidSpec(f"{path}.cwd", cwd, absent("directory", pathlib.Path(cwd)))


def _is_text(value: object) -> bool:
    """Whether it is a text that reaches a process as it is."""
    try:
        return isinstance(value, str) and b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def check_in_time(env: Mapping[str, str], path: str) -> None:
    """Check that no variable is set in a Python process that has read it before.

    Raises:
        InvalidSpec: one is.
    """
    for name in env:
        if name.startswith(_TOO_LATE):
            raise InvalidSpec(
                f"{path}.env", name, "it is read before the process can set it; set it in the daemon's environment"
            )
