"""What an operator reads after a change."""

from __future__ import annotations

import asyncio

import pytest

from actors import UsageError
from supervisor import ChildSpec, RestartPolicy, Supervisor, SupervisorSpec, TaskSpec
from supervisor.control import changes
from supervisor.store import SQLiteStore
from tests.support.actors import Puppet
from tests.support.scripted import child, states, tree

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("plain", "; what waited for it is in its dead letters"),
        ("kept", "; what waits for it is in the store"),
        ("pool/0", "; what waits is for the other processes of its pool"),
        ("sub", "; what waited for its actors is in their dead letters, of durable ones in the store"),
    ],
)
async def test_a_stop_says_where_the_messages_are(tmp_path, name, where):
    """In dead letters, or where the actor is durable in the store, for its next start."""
    pool = ChildSpec(Puppet, name="pool", size=2)
    specs = ChildSpec(Puppet, name="plain"), ChildSpec(Puppet, name="kept", durable=True), SupervisorSpec(name="sub")
    async with Supervisor(*specs, pool, store=SQLiteStore(tmp_path / "shop.db"), spares=0) as root:
        assert f"/root/{name} is down until it is started{where}" == await changes.stop(root._engine, name)


async def idle():
    await asyncio.Event().wait()


async def test_a_temporary_child():
    """A stop takes it out of the tree and says so; a restart that would is refused before anything is done."""
    temporary = RestartPolicy.TEMPORARY
    async with tree(child(restart=temporary), TaskSpec(idle, restart=temporary)) as root:
        with pytest.raises(UsageError, match="/root/idle is temporary: once it is stopped the tree has it no more"):
            await changes.restart(root._engine, "idle")
        assert {"a": "running", "idle": "running"} == states(root)
        gone = "is down and no child of the tree any more: it is temporary"
        assert f"/root/idle {gone}" == await changes.stop(root._engine, "idle")
        letters = "; what waited for it is in its dead letters"
        assert f"/root/a {gone}{letters}" == await changes.stop(root._engine, "a")
        assert {} == states(root)
