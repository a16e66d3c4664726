"""Refused values: one whose repr raises, or has no end, is refused as any other, in a text that can be read."""

from __future__ import annotations

import pytest

from actors import Actor, Codec, Jobs, Message, Shared, Topic, UsageError, handles, job
from supervisor import (
    Cause,
    ChildSpec,
    FunctionSpec,
    Ready,
    Restart,
    Schedule,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
    TaskSpec,
)
from supervisor.bridge import AsyncEvent
from supervisor.cluster import RayCluster
from supervisor.metrics import Collector
from supervisor.store import SQLiteStore
from supervisor.testing import InlineSupervisor


class Broken:
    """As a row of a database whose session is over."""

    def __repr__(self) -> str:
        raise RuntimeError("no session")


class Endless:
    def __repr__(self) -> str:
        return "x" * 100_000


class Ping(Message[None]):
    pass


class Pinged(Actor):
    @handles
    def ping(self, msg: Ping) -> None:
        pass


MADE = {
    "actor": ChildSpec,
    "function": FunctionSpec,
    "task": TaskSpec,
    "child": Supervisor,
    "child of a supervisor": lambda value: Supervisor(SupervisorSpec(value, name="below")),
    "restart": lambda value: Supervisor(ChildSpec(Pinged, restart=value)),
    "size": lambda value: Supervisor(ChildSpec(Pinged, size=value)),
    "strategy": lambda value: Supervisor(strategy=value),
    "intensity": lambda value: Supervisor(intensity=value),
    "spares": lambda value: Supervisor(spares=value),
    "reading": lambda value: Supervisor(reading=value),
    "store": lambda value: Supervisor(store=value),
    "cluster": lambda value: Supervisor(cluster=value),
    "control": lambda value: Supervisor(control=value),
    "on_give_up": lambda value: Supervisor(on_give_up=value),
    "shared bytes": lambda value: Supervisor(max_shared_bytes=value),
    "policy": lambda value: Restart(value, {}),
    "rules": lambda value: Restart("permanent", value),
    "action": lambda value: Restart("permanent", {Cause.hang: value}),
    "cause": lambda value: Restart("permanent", {value: "stop"}),
    "exit code": Cause.exit_code,
    "signal": Cause.signal,
    "exception": Cause.exception,
    "ready": lambda value: Ready.port("localhost", value),
    "every": Schedule.every,
    "at": Schedule.at,
    "cron": Schedule.cron,
    "file": SQLiteStore,
    "sync": lambda value: SQLiteStore("shop.db", sync=value),
    "lease": lambda value: RayCluster(lease=value),
    "address": lambda value: RayCluster(address=value),
    "topic": lambda value: Topic(value, Ping),
    "message of a topic": lambda value: Topic("prices", value),
    "codec": lambda value: Supervisor(ChildSpec(type("Coded", (Pinged,), {"codecs": (Codec(value, str, str),)}))),
    "concurrency": lambda value: Supervisor(ChildSpec(type("Many", (Pinged,), {"concurrency": value}))),
    "shared": Shared.allocate,
    "mark": handles,
    "job": job,
    "event": AsyncEvent,
    "collector": Collector,
}


async def empty(items):
    async for _ in items:
        pass


CALLED = {
    "when_down": lambda root, value: root["a"].ask(Ping(), when_down=value),
    "timeout": lambda root, value: root["a"].ask(Ping(), timeout=value),
    "key": lambda root, value: root["a"].tell(Ping(), key=value),
    "message": lambda root, value: root["a"].tell(value),
    "messages": lambda root, value: root["a"].tell_many([value]),
    "run": lambda root, value: root["pool"].run(value),
    "map": lambda root, value: empty(root["pool"].map(value, [1])),
    "child": lambda root, value: root.terminate_child(value),
    "under": lambda root, value: root.start_child(ChildSpec(Pinged, name="b"), under=value),
    "size": lambda root, value: root.resize("a", value),
    "name": lambda root, value: root.drain(value),
    "schedule": lambda root, value: root.schedule("x", "a", Ping(), value),
    "unschedule": lambda root, value: root.unschedule(value),
    "path": lambda root, value: root[value],
    "topic": lambda root, value: root.publish(value, Ping()),
}


@pytest.mark.parametrize("value", [Broken(), Endless()], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("what", MADE)
def test_what_is_made(what, value):
    """Specs, rules, marks and what else is made of values."""
    with pytest.raises((UsageError, SupervisorError)) as caught:
        MADE[what](value)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("value", [Broken(), Endless()], ids=lambda value: type(value).__name__)
async def test_what_is_called(value):
    """Calls of a tree and of its refs; the tree goes on."""
    async with InlineSupervisor(ChildSpec(Pinged, name="a"), ChildSpec(Jobs, name="pool")) as root:
        for what, call in CALLED.items():
            with pytest.raises((UsageError, SupervisorError)) as caught:
                await call(root, value)
            assert len(str(caught.value)) < 2000, what
        await root["a"].ask(Ping())
