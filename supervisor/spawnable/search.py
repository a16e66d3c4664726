"""Search: whether a new process finds a module, whatever is loaded in this one.

What was found stays known until the finders, `sys.path` or a directory changes: a suite makes thousands of specs.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from actors.errors import UsageError
from supervisor.shadowing import shadow_of

Known = dict[str, dict[str, object]]
"""Modules that were found, and the directories of the packages on the way, as they were then."""

_LAST: Final[list[tuple[list[object], Known]]] = [([], {})]  # what all of it depends on, as it was then


def known_now() -> Known:
    """What is known: nothing where the finders, the path, or a directory of the path have changed."""
    now = [*sys.meta_path, *sys.path, *map(_last_change, sys.path)]
    then, known = _LAST[0]
    if now != then:
        known = {}
        _LAST[0] = now, known
    return known


def check_packages(known: Known) -> None:
    """Check that a new process imports this library's packages, and not others of their names.

    Args:
        known: what is known now.

    Raises:
        UsageError: it would import another one.
    """
    if "" in known:
        return
    for name in ("actors", "supervisor"):
        taken = shadow_of(name)
        if taken is not None:
            raise UsageError(
                f"a new process would import {taken} in place of this library's package {name}; rename it, or put "
                f"its directory at the end of sys.path"
            )
    known[""] = {}


def is_found(module: str, known: Known) -> bool:
    """Whether the import system of a new process would find it, package by package, whatever is loaded here.

    Args:
        module: its name.
        known: what is known now.
    """
    if module in known and all(_last_change(directory) == then for directory, then in known[module].items()):
        return True
    looked: list[str] = []
    places: list[str] | None = None
    parts = module.split(".")
    for at in range(1, len(parts) + 1):
        name = ".".join(parts[:at])
        try:
            spec = next((spec for finder in sys.meta_path if (spec := finder.find_spec(name, places))), None)
            if spec is None:
                return False
            looked += places or ()
            places = list(spec.submodule_search_locations or ())
            loaded = sys.modules.get(name)
            if spec.origin and spec.origin == getattr(loaded, "__file__", None):  # it may have extended its own path
                places += getattr(loaded, "__path__", ())
        except Exception:  # a finder with rules of its own: the process itself will report
            return True
    known[module] = {directory: _last_change(directory) for directory in looked}
    return True


def _last_change(directory: str) -> object:
    """Which directory it is, and when something was made or removed in it, as importlib's FileFinder sees it."""
    try:
        status = os.stat(directory or ".")
    except (OSError, TypeError, ValueError):
        return None
    return status.st_ino, status.st_mtime_ns
