"""What an operator reads after a change."""

from __future__ import annotations

import pytest

from supervisor import ChildSpec, Supervisor, SupervisorSpec
from supervisor.control import changes
from supervisor.store import SQLiteStore
from tests.support.actors import Puppet


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("plain", "; what waited for it is in its dead letters"),
        ("kept", "; what waits for it is in the store"),
        ("sub", "; what waited for its actors is in their dead letters, of durable ones in the store"),
    ],
)
async def test_a_stop_says_where_the_messages_are(tmp_path, name, where):
    """In dead letters, or where the actor is durable in the store, for its next start."""
    specs = ChildSpec(Puppet, name="plain"), ChildSpec(Puppet, name="kept", durable=True), SupervisorSpec(name="sub")
    async with Supervisor(*specs, store=SQLiteStore(tmp_path / "shop.db")) as root:
        assert f"/root/{name} is down until it is started{where}" == await changes.stop(root._engine, name)
