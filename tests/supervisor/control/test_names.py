"""A name means a child, a pool, or the root."""

from __future__ import annotations

from supervisor import ChildSpec
from supervisor.control import changes
from supervisor.control.look.names import named
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
