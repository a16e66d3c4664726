"""Which members a pool keeps when it gets another size."""

from __future__ import annotations

import pytest

from supervisor import ChildSpec
from supervisor.tree.pool import Resizing, index_of, resized
from tests.support.pooled import Worker

POOL = ChildSpec(Worker, name="p", size=3)


@pytest.mark.parametrize(
    ("members", "down", "size", "wanted"),
    [
        (["p/0", "p/1", "p/2"], [], 3, Resizing((), (), ())),
        (["p/0", "p/1", "p/2"], [], 5, Resizing(("p/3", "p/4"), (), ())),
        (["p/0", "p/1", "p/2"], [], 1, Resizing((), (), ("p/2", "p/1"))),
        (["p/0", "p/1", "p/2"], ["p/0"], 2, Resizing((), (), ("p/0",))),
        (["p/0", "p/1", "p/2"], ["p/0"], 3, Resizing((), ("p/0",), ())),
        (["p/0", "p/1", "p/2"], ["p/0"], 4, Resizing(("p/3",), ("p/0",), ())),
        (["p/0", "p/1", "p/2"], ["p/0", "p/2"], 1, Resizing((), (), ("p/2", "p/0"))),
        (["p/0", "p/1", "p/2"], ["p/0", "p/1", "p/2"], 2, Resizing((), (), ("p/2",))),
        (["p/0", "p/1"], ["p/0", "p/1"], 3, Resizing(("p/2",), (), ())),
        (["p/2", "p/1"], [], 3, Resizing(("p/0",), (), ())),
        (["p"], [], 3, Resizing(("p/1", "p/2"), (), ())),
        (["p/9", "p/10"], [], 1, Resizing((), (), ("p/10",))),
    ],
)
def test_living_members_stay(members, down, size, wanted):
    """Those that are down for good go first, or start again first; new ones take the free names."""
    indices = {name: index_of(POOL, name) for name in members}
    ordered = dict(sorted(indices.items(), key=lambda member: member[1]))
    assert wanted == resized(POOL, ordered, down, size)


def test_a_member_that_goes_is_not_kept():
    """It keeps its name until it is gone, so that a new one takes another."""
    members = {f"p/{index}": index for index in range(4)}
    wanted = Resizing(("p/4",), (), ())
    assert wanted == resized(POOL, members, (), 3, leaving={"p/2", "p/3"})
