"""Children that are started, stopped and forgotten, each with a name of its own, leave nothing in memory."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from actors import Actor, Message, Terminated, Topic, handles
from supervisor import ChildSpec, RestartPolicy, Supervisor
from supervisor.testing import InlineSupervisor


class Price(Message[None]):
    pass


PRICES = Topic("prices", Price)


class Hub(Actor):
    """Stays."""

    @handles
    def price(self, msg: Price) -> None:
        pass


class Use(Message[None]):
    """Use that of the tree."""

    what: str


class Guest(Actor):
    @handles
    def use(self, msg: Use) -> None:
        if msg.what == "a watch":
            self.context.watch(self.context.actor("hub"))
        elif msg.what == "a topic":
            self.context.subscribe(PRICES)

    @handles
    def over(self, msg: Terminated) -> None:
        pass

    @handles
    def price(self, msg: Price) -> None:
        pass


def measured(root: Supervisor) -> Any:
    pytest.importorskip("prometheus_client")
    from supervisor.metrics import Collector  # noqa: PLC0415 - an extra

    return Collector(root)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("what", ["nothing", "a watch", "a topic", "a collector"])
async def test_nothing_is_left_of_a_child_that_is_forgotten(what, size):
    """Its mailbox, with all that belongs to it, is free."""
    async with InlineSupervisor(ChildSpec(Hub), name="root") as root:
        kept = measured(root) if what == "a collector" else None
        boxes = []
        for number in range(5):
            name = f"guest-{number}"
            await root.start_child(ChildSpec(Guest, name=name, size=size, restart=RestartPolicy.TEMPORARY))
            for _ in range(2 * size):
                await root[name].ask(Use(what))
            boxes.append(weakref.ref(root[name].mailbox))
            await root.terminate_child(name)
        gc.collect()
        assert [box() for box in boxes] == [None] * len(boxes)
        root.publish(PRICES, Price())
        del kept
