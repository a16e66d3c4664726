"""Durable children that come and go, each with a name of its own: their mailboxes leave memory, and not the store."""

from __future__ import annotations

import asyncio
import gc
import weakref

from supervisor import ChildSpec, RestartPolicy, Supervisor
from supervisor.store import SQLiteStore
from tests.support.keepers import Keeper, Put

ENOUGH = 30.0


async def test_nothing_is_left_of_a_durable_child_that_is_forgotten(tmp_path):
    spec = ChildSpec(Keeper, name="1", durable=True, restart=RestartPolicy.TEMPORARY)
    async with Supervisor(name="root", store=SQLiteStore(tmp_path / "store.db")) as root:
        boxes = []
        for total in (1, 2):  # it comes back with its state, and is forgotten again
            await root.start_child(spec)
            assert total == await root["1"].ask(Put(1), timeout=ENOUGH)
            await root["1"].tell(Put(0), delay=60.0)
            boxes.append(weakref.ref(root["1"].mailbox))
            await root.terminate_child("1")
        async with asyncio.timeout(ENOUGH):
            while any(box() is not None for box in boxes):
                await asyncio.sleep(0.01)
                gc.collect()
