"""What a durable actor tells durable ones in `on_start` and `on_stop` belongs to no message, and arrives."""

from __future__ import annotations

import pytest

from supervisor import ChildSpec, Supervisor
from supervisor.store import SQLiteStore
from tests.support.greeters import Greeter, Passerby
from tests.support.ledgers import Ledger, Show
from tests.support.waiting import until

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("actor", [Greeter, Passerby])
async def test_hooks_that_send(tmp_path, actor):
    """That of the start while it runs, that of the end when it is terminated, and with the tree."""
    ledger = ChildSpec(Ledger, name="ledger", durable=True)
    greeter = ChildSpec(actor, name="greeter", durable=True)
    async with Supervisor(ledger, greeter, store=SQLiteStore(tmp_path / "shop.db"), spares=0) as root:
        await until(lambda: root.snapshot().children[0].fates.get("handled") == 1, "the start")
        await root.terminate_child("greeter")
        await until(lambda: root.snapshot().children[0].fates["handled"] == 2, "the end")
        await root.restart_child("greeter")
    async with Supervisor(ledger, store=SQLiteStore(tmp_path / "shop.db"), spares=0) as root:
        await until(lambda: not root["ledger"].mailbox.depth, "the end of the tree")
        assert ["start", "stop"] * 2 == (await root["ledger"].ask(Show())).entries
