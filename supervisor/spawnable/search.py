"""Search: whether a new process finds a module, whatever is loaded in this one.

What was found stays known until the finders, `sys.path` or a directory changes: a suite makes thousands of specs.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final

from actors.errors import UsageError
from supervisor.shadowing import shadow_of

_KNOWN: Final[dict[str, tuple[list[str], list[object]]]] = {}  # modules: where else they were looked for, and all else


def check_packages() -> None:
    """Check that a new process imports this library's packages, and not others of their names.

    Raises:
        UsageError: it would import another one.
    """
    if _as_before(""):
        return
    for name in ("actors", "supervisor"):
        taken = shadow_of(name)
        if taken is not None:
            raise UsageError(
                f"a new process would import {taken} in place of this library's package {name}; rename it, or put "
                f"its directory at the end of sys.path"
            )
    _KNOWN[""] = [], _surroundings([])


def is_found(module: str) -> bool:
    """Whether the import system of a new process would find it, package by package, whatever is loaded here."""
    if _as_before(module):
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
    _KNOWN[module] = looked, _surroundings(looked)
    return True


def _as_before(module: str) -> bool:
    """Whether a search would find what it found."""
    looked, then = _KNOWN.get(module, ([], None))
    return then == _surroundings(looked)


def _surroundings(packages: list[str]) -> list[object]:
    """What an import depends on: the finders, the path, and the directories as they are now."""
    return [*sys.meta_path, *sys.path, *map(_last_change, [*sys.path, *packages])]


def _last_change(directory: str) -> object:
    """Which directory it is, and when something was made or removed in it, as importlib's FileFinder sees it."""
    with contextlib.suppress(OSError, TypeError, ValueError):
        status = os.stat(directory or ".")
        return status.st_ino, status.st_mtime_ns
    return None
