"""Shadowing: whether another file comes before a module that processes import at their start.

For this library's packages it is checked before the first import from `actors`, so that the error names the file.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from os.path import dirname, realpath
from typing import Final

_HERE: Final = dirname(dirname(realpath(__file__)))  # noqa: PTH120 - every import of the package pays for this
STANDARD_LIBRARY: Final = dirname(getattr(os, "__file__", "")) + os.sep  # noqa: PTH120 - as above
"""Its folder; the root where the library is frozen into the program, so that `os` has no file."""


def shadow_of(name: str) -> str | None:
    """The file that a new process would import in place of one of our packages; None when it would import ours."""
    for finder in sys.meta_path:
        spec = finder.find_spec(name, None)
        if spec is not None:
            return None if spec.origin is None or _ours(spec.origin) else spec.origin
    return None


def found_first() -> str | None:
    """Which file new processes import in place of a module of Python's or of msgspec, in words; None if there is none.

    A directory that was put on sys.path later may do this to modules that were loaded here before.
    """
    for name, module in list(sys.modules.items()):
        loaded = getattr(module, "__file__", None)
        if loaded is None or not (name in sys.stdlib_module_names or name == "msgspec"):
            continue
        spec = PathFinder.find_spec(name, sys.path)
        file = None if spec is None else spec.origin
        if file is not None and realpath(file) != realpath(loaded) and not file.startswith(STANDARD_LIBRARY):
            return f"{file} in place of the {name} that this daemon has"
    return None


def _ours(file: str) -> bool:
    return dirname(dirname(realpath(file))) == _HERE  # noqa: PTH120 - as above


def _check() -> None:
    loaded = getattr(sys.modules.get("actors"), "__file__", None)
    taken = shadow_of("actors") if loaded is None else None if _ours(loaded) else loaded
    if taken is not None:
        raise ImportError(
            f"supervisor needs its own package named actors, but {taken} takes that name; rename that file, as "
            f"my_actors.py for instance, or take its directory off sys.path",
            name="actors",
            path=taken,
        )


_check()
