"""Values in shared memory between a daemon and the lives of another machine."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from actors import ActorCrashed, Shared
from supervisor import Backoff, ChildSpec, Supervisor
from tests.support.machines import LocalCluster, LocalDriver
from tests.support.sharers import Drop, Keep, Make, Summer, TotalOrDie, segments
from tests.support.taking_time import work
from tests.support.waiting import DEADLINE, until

pytestmark = pytest.mark.processes


def there(actor, name="a"):
    return ChildSpec(actor, name=name, place="any", backoff=Backoff(initial=0.0, cap=0.0))


async def test_shared_values_are_one_memory_for_all_lives_of_another_machine(tmp_path):
    """They cross once, outlive a SIGKILL of the life that handles them, and are freed there when the daemon lets go."""
    cluster = LocalCluster(lease=60.0, driver=LocalDriver(["m1"]))
    cluster.driver.told = {"values": "elsewhere"}
    specs = [there(Summer, name) for name in "abc"]
    async with Supervisor(*specs, cluster=cluster, spares=0) as root:
        sent = Shared.of(np.ones(1_000_000))  # 8 MB: more than a window
        made = await root["a"].ask(Make(1_000_000, 2.0), timeout=60)
        for name in "ab":
            await root[name].ask(Keep(sent), timeout=60)
            await root[name].ask(Keep(made), timeout=60)
        assert 2_000_000.0 == await root["c"].ask(TotalOrDie(made, str(tmp_path / "died")), timeout=60)
        pids = [one.pid for one in root.snapshot().children]
        agent = cluster.driver.agents["m1"].pid
        a, b, kept = (memories(pid) for pid in (pids[0], pids[1], agent))
        assert len(a) == 2
        assert a == b == kept
        for name in "ab":
            await root[name].ask(Drop(), timeout=60)
        del sent, made
        await until(lambda: not segments(agent, *pids), "the end of the values")


def memories(pid):
    """The values in shared memory of which a process has a descriptor, by the numbers of their files."""
    found = Path(f"/proc/{pid}/fd").iterdir()
    return {fd.stat().st_ino for fd in found if "memfd:actors-shared" in str(fd.readlink())}


async def test_a_life_that_dies_while_the_daemon_has_no_room_for_more_of_it_has_ended():
    """Its agent does not read it then; what it has left is read at its death, and the next life begins."""
    cluster = LocalCluster(lease=60.0, driver=LocalDriver(["m1"]))
    cluster.driver.told = {"values": "elsewhere"}
    async with Supervisor(there(Summer), cluster=cluster, spares=0) as root:
        assert (await root["a"].ask(Make(1, 1.0), timeout=DEADLINE)).size
        (child,) = root.snapshot().children
        asked = asyncio.ensure_future(root["a"].ask(Make(2_000_000, 1.0), timeout=DEADLINE))
        await asyncio.sleep(0)
        work(1.0)  # the daemon takes nothing meanwhile, and a window is full
        os.kill(child.pid, signal.SIGKILL)
        work(0.5)
        (outcome,) = await asyncio.gather(asked, return_exceptions=True)
        assert isinstance(outcome, Shared | ActorCrashed), outcome  # by how much had left it
        assert (await root["a"].ask(Make(1, 1.0), timeout=DEADLINE)).size
        assert root.snapshot().children[0].life == 2
