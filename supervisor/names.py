"""Names: whether another `actors` or `supervisor` comes before this library's packages.

Checked before the first import from `actors`, so that the error names the file in the way.
"""

from __future__ import annotations

import sys
from os.path import dirname, realpath
from typing import Final

_HERE: Final = dirname(dirname(realpath(__file__)))  # noqa: PTH120 - every import of the package pays for this


def shadow_of(name: str) -> str | None:
    """The file that a new process would import in place of one of our packages; None when it would import ours."""
    for finder in sys.meta_path:
        spec = finder.find_spec(name, None)
        if spec is not None:
            return None if spec.origin is None or _ours(spec.origin) else spec.origin
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
