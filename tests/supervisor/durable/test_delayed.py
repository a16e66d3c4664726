"""Delayed tells of a durable mailbox: each is let in, whatever happens while the store is read."""

from __future__ import annotations

import asyncio
import time

from supervisor.durable.intake.delayed import Delayed
from supervisor.durable.stored import StoredMailbox
from supervisor.store import SQLiteStore
from supervisor.store.records import RecoveredMailbox
from supervisor.store.writes import Delay
from tests.support.stored import row


class Slow(SQLiteStore):
    """What it has read is known when the test says so."""

    def __init__(self, path):
        super().__init__(path)
        self.read = asyncio.Event()
        self.known = asyncio.Event()

    async def delayed(self, mailbox, limit, after=(0.0, 0)):
        found = await super().delayed(mailbox, limit, after)
        self.read.set()
        await self.known.wait()
        return found


async def test_what_falls_due_while_the_store_is_read_is_let_in(tmp_path):
    """It was stored after that look had seen what there is, and its own time is over before that look ends."""
    store = Slow(tmp_path / "shop.db")
    await store.open()
    loop, entered = asyncio.get_running_loop(), asyncio.Event()
    stored = StoredMailbox(store, "ledger", RecoveredMailbox(0, 0, 0, {}), loop, print)
    delayed = Delayed(stored, loop, lambda seq, count: entered.set())
    delayed.look()
    await store.read.wait()
    seq, due = stored.number(), time.time()
    await store.commit([Delay("ledger", due, row(seq))])
    stored.postponed(due)
    for _ in range(3):
        await asyncio.sleep(0)  # its timer
    store.known.set()
    async with asyncio.timeout(20):
        await entered.wait()
    delayed.close()
    await store.close()
