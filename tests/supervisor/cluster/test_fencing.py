"""Never two lives at once: what ends on a machine that is cut off, stopped or given up; when the next life begins."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path

import pytest

from supervisor import Backoff, ChildSpec, ChildStarted, Intensity, Supervisor
from supervisor.cluster.agent import lease_guard
from tests.support.actors import Echo, Puppet
from tests.support.machines import LocalCluster, LocalDriver
from tests.support.messages import Blob, Sync
from tests.support.network import Wire
from tests.support.relatives import KINDS, Beget, Parent
from tests.support.waiting import Script, Watch, alive, until, until_now

pytestmark = pytest.mark.processes

AT_ONCE = Backoff(initial=0.0, cap=0.0)
LEASE = 2.0  # seconds; a busy machine loses none before it is cut off
SLOW = 500_000  # bytes a second


@pytest.fixture(autouse=True)
def slack(monkeypatch):
    """A guard that shares its processors with a whole test suite kills later than one on a machine of its own."""
    monkeypatch.setattr("supervisor.cluster.node.SLACK", 4.0)


def tree(cluster, **options):
    spec = ChildSpec(Puppet, name="a", place="any", backoff=AT_ONCE)
    return Supervisor(spec, cluster=cluster, intensity=Intensity.unlimited(), spares=0, **options)


async def test_a_machine_that_is_cut_off_ends_its_lives_before_the_next_begins_elsewhere():
    """It kills them itself, when its lease has run out; also when it is heard of again later."""
    with Wire() as wire:
        cluster = LocalCluster(("m1", "m2"), LEASE, LocalDriver(["m1", "m2"], wires={"m1": wire}, says_ends=False))
        async with tree(cluster) as root:
            watch = Watch(root)
            assert "m1" == root.snapshot().children[0].node
            pid = root.snapshot().children[0].pid
            wire.cut()
            asked = asyncio.create_task(root["a"].ask(Echo("x"), timeout=60))
            report = await watch.exited("a")
            assert not alive(pid)
            assert ("lost", "m1") == (report.reason.kind, report.node)
            assert "nothing was heard of m1 for" in report.reason.detail
            assert "m2" == (await watch.started("a")).node
            wire.heal()
            with pytest.raises(Exception, match="nothing was heard of m1"):
                await asked
            assert "y" == await root["a"].ask(Echo("y"), timeout=30)
            await until(lambda: cluster.driver.agents["m1"].poll() is not None, "the agent of m1 ends")


async def test_a_short_cut_harms_nothing():
    """What was sent arrives when the network is healed; the life is the same."""
    with Wire() as wire:
        cluster = LocalCluster(("m1",), 30.0, LocalDriver(["m1"], wires={"m1": wire}))
        async with tree(cluster) as root:
            assert "w" == await root["a"].ask(Echo("w"), timeout=30)
            wire.cut()
            asked = [asyncio.create_task(root["a"].ask(Echo(str(n)), timeout=60)) for n in range(100)]
            await until(lambda: len(asked) == root.snapshot().children[0].mailbox, "all are in the mailbox")
            assert not any(one.done() for one in asked)
            wire.heal()
            assert [str(n) for n in range(100)] == await asyncio.gather(*asked)
            assert 1 == root.snapshot().children[0].life


async def test_a_slow_network_with_much_to_carry_harms_nothing():
    """What its agent says waits behind large values for longer than the lease; it runs, and its guard says so."""
    with Wire() as wire:
        cluster = LocalCluster(("m1",), LEASE, LocalDriver(["m1"], wires={"m1": wire}))
        specs = [ChildSpec(Sync, name=name, place="any") for name in "abc"]
        async with Supervisor(*specs, cluster=cluster, spares=0) as root:
            wire.rate = SLOW
            asked = [root[name].ask(Blob(bytes(2 * SLOW)), timeout=60) for name in "abc"]
            assert [2 * SLOW] * 3 == [len(one) for one in await asyncio.gather(*asked)]
            wire.rate = None
            assert [1] * 3 == [child.life for child in root.snapshot().children]


async def test_an_agent_that_is_stopped_is_killed_with_its_lives():
    """Its guard is a process of its own; an agent that is let go on later can do no harm."""
    cluster = LocalCluster(("m1", "m2"), LEASE)
    async with tree(cluster) as root:
        watch = Watch(root)
        child = root.snapshot().children[0]
        cluster.driver.kill(child.node, signal.SIGSTOP)
        assert "lost" == (await watch.exited("a")).reason.kind
        assert not alive(child.pid)
        assert (await watch.started("a")).node != child.node


async def test_an_agent_that_is_killed_counts_as_gone_when_nothing_of_its_lives_is_left():
    """Its connections are closed before the kernel ends the lives, and these before what they have started ends."""
    cluster = LocalCluster(("m1",), 60.0)
    spec = ChildSpec(Parent, name="a", place="any", backoff=AT_ONCE)
    async with Supervisor(spec, cluster=cluster, intensity=Intensity.unlimited(), spares=0) as root:
        watch = Watch(root)
        pids = [root.snapshot().children[0].pid, *await root["a"].ask(Beget(list(KINDS)), timeout=60)]
        assert all(map(alive, pids))
        cluster.driver.kill("m1")
        assert "lost" == (await watch.exited("a")).reason.kind
        assert not any(map(alive, pids))


async def test_the_end_of_an_agent_guard_and_reaper_is_no_proof_while_a_life_is_left():
    """As where Ray kills all children of a worker that exits, some of which take a moment to end."""
    cluster = LocalCluster(("m1",), LEASE)
    spec = ChildSpec(Parent, name="a", place="any", backoff=AT_ONCE)
    async with Supervisor(spec, cluster=cluster, intensity=Intensity.unlimited(), spares=0) as root:
        watch = Watch(root)
        (left,) = await root["a"].ask(Beget(["fork"]), timeout=60)  # it has all that its life has
        agent = cluster.driver.agents["m1"].pid
        (reaper,), (guard,) = children_of(agent, "orphan_reaper"), children_of(agent, "lease_guard")
        os.kill(agent, signal.SIGSTOP)  # a guard that is alone with a stopped agent would end it
        for process in (guard, reaper, agent):
            os.kill(process, signal.SIGKILL)
        try:
            assert "nothing was heard of m1 for" in (await watch.exited("a")).reason.detail
            assert alive(left)
        finally:
            os.kill(left, signal.SIGKILL)


async def test_an_agent_without_its_guard_ends():
    """Without one a cut could leave lives behind."""
    cluster = LocalCluster(("m1",))
    async with tree(cluster) as root:
        watch = Watch(root)
        (guard,) = children_of(cluster.driver.agents["m1"].pid, "lease_guard")
        os.kill(guard, signal.SIGKILL)
        assert "lost" == (await watch.exited("a")).reason.kind
        await watch.started("a")


DAEMON = """
import asyncio, json, os, signal, sys, time
from supervisor import ChildSpec, Supervisor
from tests.support.actors import Puppet
from tests.support.machines import LocalCluster
from tests.support.taking_time import sleep_forever

async def main():
    cluster = LocalCluster(("m1", "m2"), float(sys.argv[1]))
    async with Supervisor(ChildSpec(Puppet, name="a", size=2, place="any"), cluster=cluster, spares=1) as root:
        pids = [child.pid for child in root.snapshot().children]
        if not os.fork():
            sleep_forever()
            os._exit(0)
        agents = [agent.pid for agent in cluster.driver.agents.values()]
        print("pids", json.dumps([pids, agents]), flush=True)
        await root.serve()

asyncio.run(main())
"""


@pytest.mark.parametrize(("number", "lease"), [(signal.SIGKILL, 300), (signal.SIGSTOP, 2)])
def test_nothing_is_left_on_any_machine_when_the_daemon_dies_or_stands_still(tmp_path, number, lease):
    """Agents end with the connection, which no fork of the daemon holds open, or when their lease runs out."""
    with Script(tmp_path, DAEMON, args=["-c", DAEMON, str(lease)]) as daemon:
        lives, agents = json.loads(daemon.line("pids"))
        assert all(map(alive, [*lives, *agents]))
        os.kill(daemon.process.pid, number)
        until_now(lambda: not any(map(alive, [*lives, *agents])), "everything ends")


FORGETFUL = """
import asyncio, json
from supervisor import ChildSpec, Supervisor
from tests.support.actors import Puppet
from tests.support.machines import LocalCluster
from tests.support.taking_time import sleep_forever

async def main():
    cluster = LocalCluster(("m1",), 300.0)
    root = Supervisor(ChildSpec(Puppet, name="a", place="any"), cluster=cluster, spares=0)
    await root.__aenter__()
    print("pids", json.dumps([root.snapshot().children[0].pid, cluster.driver.agents["m1"].pid]), flush=True)

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
sleep_forever()
"""


def test_a_tree_whose_loop_was_closed_leaves_nothing_on_any_machine(tmp_path):
    """The daemon lives on, and answers no guard any more."""
    with Script(tmp_path, FORGETFUL, args=["-c", FORGETFUL]) as daemon:
        pids = json.loads(daemon.line("pids"))
        until_now(lambda: not any(map(alive, pids)), "everything ends")


def test_an_answer_renews_the_lease_from_its_question(monkeypatch):
    """One that was held up by the network for longer than the lease renews nothing."""
    clock = [100.0]
    monkeypatch.setattr(lease_guard, "now", lambda: clock[0])
    daemon, guard = socket.socketpair()
    with daemon, guard:
        lease = lease_guard.Lease(5.0, guard)
        assert 105.0 == lease.until
        clock[0] = 101.0
        lease.ask()
        first = daemon.recv(8)
        clock[0] = 102.0
        lease.ask()
        clock[0] = 104.0
        daemon.send(first)
        assert lease.hear()
        assert 106.0 == lease.until
        daemon.send(first)  # again, or an answer to no question
        daemon.send((77).to_bytes(8, "little"))
        assert lease.hear()
        assert 106.0 == lease.until
        daemon.recv(8)
        daemon.close()
        assert not lease.hear()


async def test_a_pool_is_spread_over_the_machines():
    """And a member follows where there is room when a machine is lost."""
    cluster = LocalCluster(("m1", "m2", "m3"))
    spec = ChildSpec(Puppet, name="a", size=6, place="any", backoff=AT_ONCE)
    async with Supervisor(spec, cluster=cluster, intensity=Intensity.unlimited(), spares=0) as root:
        watch = Watch(root)
        assert ["m1", "m1", "m2", "m2", "m3", "m3"] == sorted(child.node for child in root.snapshot().children)
        os.kill(next(child.pid for child in root.snapshot().children if child.node == "m1"), signal.SIGKILL)
        await watch.find(lambda happening: isinstance(happening, ChildStarted))
        cluster.driver.kill("m3")
        for _ in range(2):
            await watch.find(lambda happening: isinstance(happening, ChildStarted))
        nodes = [child.node for child in root.snapshot().children]
        assert ["m1", "m1", "m1", "m2", "m2", "m2"] == sorted(nodes)


def children_of(pid, name):
    """The children of a process whose command line has that name."""
    words = [word for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()]
    return [int(child) for child in words if name in Path(f"/proc/{child}/cmdline").read_text()]
