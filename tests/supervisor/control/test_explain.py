"""What an operator is told of an actor by its own parts, beside its state: here its store."""

from __future__ import annotations

import pytest

from supervisor import ChildSpec, Supervisor
from supervisor.control import frames as wire
from supervisor.control.framing import HEAD, read_reply
from supervisor.control.operations import Operations
from supervisor.store import SQLiteStore, StoreError
from tests.support.ledgers import Charge, Ledger


class Failing(SQLiteStore):
    """Refuses to store while `fails`."""

    fails = False

    @property
    def failure(self):
        return StoreError("shop.db: its disk is full") if self.fails else super().failure

    def commit(self, group):
        if self.fails:
            raise self.failure
        return super().commit(group)


async def explained(operations, name):
    [frame] = [frame async for frame in operations.serve(wire.Explain(name))]
    (one,) = read_reply(frame[HEAD:]).found
    return one.verdict, one.sentence


@pytest.mark.processes
async def test_a_store_that_fails(tmp_path):
    """It is said as long as the store fails; a key that is known is no failure."""
    store = Failing(tmp_path / "shop.db")
    async with Supervisor(ChildSpec(Ledger, durable=True), store=store, spares=0) as root:
        operations = Operations(root._engine)
        await root["ledger"].ask(Charge(1), key="k")
        await root["ledger"].ask(Charge(1), key="k")
        assert "healthy" == (await explained(operations, "ledger"))[0]
        store.fails = True
        with pytest.raises(StoreError):
            await root["ledger"].tell(Charge(1))
        verdict, sentence = await explained(operations, "ledger")
        assert "degraded" == verdict
        assert sentence.endswith("its store fails, and so do those who send to it: shop.db: its disk is full.")
        store.fails = False
        assert "healthy" == (await explained(operations, "ledger"))[0]
        operations.close()
