"""Names: which child an operator means: by its path, or by the end of its path where that is unique.

Runs on the loop's thread.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Final, NamedTuple

from supervisor.errors import NoSuchChild
from supervisor.tree.engine import Engine
from supervisor.tree.subtree import Subtree

_SHOWN: Final = 8  # names in an error


class Named(NamedTuple):
    """A child, a pool, or the root.

    Attributes:
        path: its full name.
        engine: of the supervisor it is under; the root's own for the root.
        members: names of its processes there: one, those of a pool, a supervisor's own; none for the root.
    """

    path: str
    engine: Engine
    members: tuple[str, ...]


def named(root: Engine, name: str) -> Named:
    """The child that is meant.

    Raises:
        NoSuchChild: none has this name, or several have.
    """
    everything = {one.path: one for one in _all(root)}
    meant = name.rstrip("/")  # as a shell completes a folder
    for exact in (meant, f"{root.path}/{meant}"):
        if exact in everything:
            return everything[exact]
    ends = [path for path in everything if path.endswith(f"/{meant.removeprefix('/')}")]
    if len(ends) == 1:
        return everything[ends[0]]
    if ends:
        raise NoSuchChild(f"several children are named {name!r}: {_listed(ends)}; write the path")
    raise NoSuchChild(f"no child is named {name[:200]!r}; {_hint(name, list(everything))}")


def _all(engine: Engine) -> Iterator[Named]:
    if engine.path.count("/") == 1:
        yield Named(engine.path, engine, ())
    pools: dict[str, list[str]] = {}
    for name, child in tuple(engine.children.items()):
        yield Named(f"{engine.path}/{name}", engine, (name,))
        pools.setdefault(child.spec.name, []).append(name)  # the first of a resized actor has the pool's name
        if isinstance(child, Subtree):
            yield from _all(child.engine)
    for name, members in pools.items():
        if members != [name]:
            yield Named(f"{engine.path}/{name}", engine, tuple(members))


def _hint(name: str, paths: list[str]) -> str:
    last = name.rpartition("/")[2]
    by_name = {path.rpartition("/")[2]: path for path in paths}
    near = difflib.get_close_matches(last, by_name, n=3, cutoff=0.6) if len(name) <= 200 else []
    if near:
        return f"did you mean {' or '.join(by_name[one] for one in near)}?"
    return f"there are: {_listed(paths)}"


def _listed(paths: list[str]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
