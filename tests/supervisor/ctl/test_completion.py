"""Which names a shell is offered."""

from __future__ import annotations

import pytest

from supervisor.ctl.verbs.completion import names
from tests.supervisor.control.test_why import actor, supervisor


def tree(root):
    """Two of a pool, one of a name of its own, and one of a name that is there twice."""
    found = {
        name: actor(name=name, path=f"{root}/{name}")
        for name in ("index", "parser/0", "parser/1", "sub/index", "sub/log")
    }
    sub = supervisor(found["sub/index"], found["sub/log"], path=f"{root}/sub")
    return supervisor(found["index"], found["parser/0"], found["parser/1"], sub, path=root)


@pytest.mark.parametrize("root", ["/root", "/shop"])
@pytest.mark.parametrize(
    ("begun", "offered"),
    [
        ("", ["index", "parser", "parser/0", "parser/1", "sub", "sub/index", "sub/log"]),
        ("par", ["parser", "parser/0", "parser/1"]),
        ("sub/l", ["sub/log"]),
        ("lo", ["log"]),
        ("ind", ["index"]),
        ("0", []),
        ("/", ["", "/index", "/parser", "/parser/0", "/parser/1", "/sub", "/sub/index", "/sub/log"]),
        ("x", []),
    ],
)
def test_names(root, begun, offered):
    """Paths below the root first, then ends; a pool has a name of its own."""
    assert [f"{root}{name}" if begun == "/" else name for name in offered] == names(tree(root), begun)
