"""What a life gets while it is stored that a message begins: everything in its turn."""

from __future__ import annotations

import asyncio

import msgspec

from supervisor.core.delivery.in_flight import InFlight
from supervisor.core.delivery.messages import QueuedMessage
from supervisor.durable.delivery import NotedDelivery
from supervisor.durable.stored import StoredMailbox
from supervisor.store import SQLiteStore
from supervisor.testing.scripted_delivery import ScriptedDelivery
from tests.support.stored import accept
from tests.support.waiting import until


class Life(ScriptedDelivery):
    """Notes in which order it is called."""

    def __init__(self):
        super().__init__(None)
        self.calls = []

    def post(self, batch):
        self.calls.append(("post", [message.seq for message in batch]))

    def cancel(self, seqs):
        self.calls.append(("cancel", seqs))

    def credit(self, seq, count):
        self.calls.append(("credit", [seq]))


def message(seq, handler):
    return QueuedMessage(seq, 1, None, None, msgspec.Raw(b"\x91\xa1A"), handler=handler)


async def test_a_message_is_cancelled_after_it_was_sent(tmp_path):
    """Before, its cancellation came first, and it was handled."""
    store, life = SQLiteStore(tmp_path / "shop.db"), Life()
    await store.open()
    await store.commit(accept("ledger", 1, 2, 3))
    loop = asyncio.get_running_loop()
    stored = StoredMailbox(store, "ledger", await store.recover("ledger"), loop, lambda *_: None)
    noted = NotedDelivery(life, InFlight(()), frozenset({7}), stored)
    noted.post([message(1, 0)])
    assert [("post", [1])] == life.calls
    noted.post([message(2, 7)])
    noted.cancel([2])
    noted.post([message(3, 0)])
    noted.credit(3, 1)
    assert [("post", [1])] == life.calls
    assert noted.congested
    await until(lambda: 5 == len(life.calls))
    assert [("post", [1]), ("post", [2]), ("cancel", [2]), ("post", [3]), ("credit", [3])] == life.calls
    noted.cancel([3])
    assert ("cancel", [3]) == life.calls[-1]
    assert 1 == (await store.messages("ledger", 1, 1))[0].deliveries
    await stored.settled()
    await store.close()
