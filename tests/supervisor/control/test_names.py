"""A name means a child, a pool, or the root."""

from __future__ import annotations

import pytest

from actors.errors import UsageError
from supervisor import ChildSpec
from supervisor.control import changes
from supervisor.control.look.names import named
from supervisor.errors import NoSuchChild
from supervisor.testing import ScriptedSupervisor
from tests.support.actors import Puppet


async def test_an_actor_that_has_become_a_pool():
    """Its name means all of its processes, the first of which has that name, too."""
    async with ScriptedSupervisor(ChildSpec(Puppet, name="a"), ChildSpec(Puppet, name="b", size=2)) as root:
        engine = root._engine
        assert ("a",) == named(engine, "a").members
        await changes.resize(engine, "a", 2)
        assert ("a", "a/1") == named(engine, "a").members
        assert ("a/1",) == named(engine, "a/1").members
        assert ("b/0", "b/1") == named(engine, "b").members
        assert () == named(engine, "/root").members


@pytest.mark.parametrize("name", ["/root/b/", "b/", "/b/", "b//"])
async def test_a_slash_at_the_end(name):
    async with ScriptedSupervisor(ChildSpec(Puppet, name="b")) as root:
        assert "/root/b" == named(root._engine, name).path
        assert "/root" == named(root._engine, "/root/").path
        with pytest.raises(NoSuchChild, match="no child is named '/'"):
            named(root._engine, "/")


@pytest.mark.parametrize(
    "change", [changes.start, changes.stop, changes.restart, lambda root, name: changes.resize(root, name, 2)]
)
async def test_a_change_of_the_whole_tree(change):
    async with ScriptedSupervisor(ChildSpec(Puppet, name="b")) as root:
        with pytest.raises(UsageError, match="/root is the whole tree, .* name one of its children"):
            await change(root._engine, "root")
