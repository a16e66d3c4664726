"""Lives on other machines: they conform to the port, and end as at home; agents in processes of this machine."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from actors import ActorCrashed
from supervisor import Backoff, ChildSpec, Intensity, InvalidSpec, StartFailed, Supervisor
from supervisor.io.thread_reader import ThreadReader
from supervisor.observe.reports import Reports
from tests.support.actors import Echo, Puppet, WhoAreYou
from tests.support.life_conformance import check_life
from tests.support.machines import LocalCluster
from tests.support.waiting import Watch, until

pytestmark = pytest.mark.processes

AT_ONCE = Backoff(initial=0.0, cap=0.0)


def tree(cluster, *specs, **options):
    return Supervisor(*specs, cluster=cluster, **{"intensity": Intensity.unlimited(), "spares": 0, **options})


async def test_a_life_on_another_machine_is_a_life():
    """It passes what a life in a process passes."""
    loop = asyncio.get_running_loop()
    reader = ThreadReader(loop, "actors-reader-test")
    machines = LocalCluster().enter("/root", loop, reader, 0, Reports())
    try:
        await check_life(machines.at("any"))
    finally:
        await machines.close()
        reader.close()


async def test_an_actor_on_another_machine_is_asked_killed_and_lives_on():
    """The report names machine and process; the next life is asked as the first was."""
    cluster = LocalCluster()
    async with tree(cluster, ChildSpec(Puppet, name="a", place="any", backoff=AT_ONCE)) as root:
        watch = Watch(root)
        assert "x" == await root["a"].ask(Echo("x"), timeout=30)
        pid = (await root["a"].ask(WhoAreYou(), timeout=30)).pid
        (child,) = root.snapshot().children
        assert (pid, "m1") == (child.pid, child.node)
        assert f"pid {pid} on m1" in str(root)
        os.kill(pid, signal.SIGKILL)
        report = await watch.exited("a")
        assert (pid, "m1", "SIGKILL") == (report.pid, report.node, report.signal)
        assert "m1" == (await watch.started("a")).node
        assert "y" == await root["a"].ask(Echo("y"), timeout=30)
