"""Capacity: a line in which no sender overtakes another."""

from __future__ import annotations

import asyncio
from types import MappingProxyType

from supervisor.mailbox.capacity import Capacity


class NoConsumers:
    """Nothing waits for them."""

    shared_queue = None
    depth = 0
    queues = served = MappingProxyType({})


async def test_a_slot_granted_before_its_task_runs_does_not_overtake():
    """Two wait; the task of the second has not run when both get their slots: the first enters first."""
    loop = asyncio.get_running_loop()
    capacity = Capacity(NoConsumers(), 4, None, loop, loop.time)
    entered = []

    async def enter(name, place):
        await place.wait(None)
        entered.append(name)

    tasks = [asyncio.create_task(enter("first", capacity.join()))]
    await asyncio.sleep(0)  # it waits
    tasks.append(asyncio.create_task(enter("second", capacity.join())))
    capacity.grant()
    await asyncio.gather(*tasks)
    assert (["first", "second"], 0) == (entered, capacity.granted)
