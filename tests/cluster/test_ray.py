"""A tree over a real Ray cluster: three raylets on this machine."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from actors import ActorCrashed
from supervisor import Backoff, ChildSpec, ChildStarted, Intensity, StartFailed, Supervisor
from supervisor.cluster import RayCluster
from tests.support.actors import Block, Echo, Puppet, WhoAreYou
from tests.support.variables import Reader, Variable
from tests.support.waiting import Script, Watch, alive, until, until_now

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("default"),
]

AT_ONCE = Backoff(initial=0.0, cap=0.0)


def tree(raylets, *specs, **options):
    cluster = RayCluster(address=raylets.address, lease=10.0)
    return Supervisor(*specs, cluster=cluster, intensity=Intensity.unlimited(), spares=0, **options)


async def test_a_pool_on_three_nodes_over_kills_of_an_actor_and_of_a_node(raylets, tmp_path):
    """Exact blame for the actor; what was in flight on the node is told, and its member runs elsewhere."""
    spec = ChildSpec(Puppet, name="a", size=3, place="any", backoff=AT_ONCE, start_timeout=60)
    async with tree(raylets, spec) as root:
        watch = Watch(root)
        children = {child.name: child for child in root.snapshot().children}
        nodes = {child.node for child in children.values()}
        assert 3 == len(children)
        assert len(nodes) in (1, 3)  # cluster_utils gives all of them one address
        assert {"x"} == set(await asyncio.gather(*(root["a"].ask(Echo("x"), timeout=60) for _ in range(50))))

        hangs = asyncio.create_task(root["a"].ask(Block(str(tmp_path / "never")), timeout=120))
        await until(lambda: [one for one in root.snapshot().children if one.handling == "Block"], "it begins")
        (busy,) = [one for one in root.snapshot().children if one.handling == "Block"]
        os.kill(busy.pid, signal.SIGKILL)
        with pytest.raises(ActorCrashed) as crash:
            await hangs
        assert (True, False) == (crash.value.started, crash.value.finished)
        assert (busy.pid, busy.node, "SIGKILL", "Block") == (
            crash.value.report.pid,
            crash.value.report.node,
            crash.value.report.signal,
            crash.value.report.last_message,
        )
        await watch.find(lambda happening: isinstance(happening, ChildStarted))

        raylets.remove_node(raylets.right, allow_graceful=False)
        report = (await watch.find(lambda happening: getattr(happening, "report", None) is not None)).report
        assert "lost" == report.reason.kind
        await watch.find(lambda happening: isinstance(happening, ChildStarted))
        assert {"y"} == set(await asyncio.gather(*(root["a"].ask(Echo("y"), timeout=60) for _ in range(50))))
        pids = [child.pid for child in root.snapshot().children]
    assert not any(map(alive, pids))


async def test_a_life_takes_resources_that_ray_reserves(raylets):
    """It runs where they are; the one for which there are none waits and says so."""
    spec = ChildSpec(Puppet, name="a", place={"left": 2}, start_timeout=60)
    async with tree(raylets, spec) as root:
        assert "x" == await root["a"].ask(Echo("x"), timeout=60)
        with pytest.raises(StartFailed, match="no machine of the cluster has 1 left free"):
            await root.start_child(
                ChildSpec(Puppet, name="b", place={"left": 1}, start_timeout=1.0, restart="temporary")
            )
        await root.terminate_child("a")
        await root.delete_child("a")
        await root.start_child(ChildSpec(Puppet, name="b", place={"left": 1}, start_timeout=60))
        assert "y" == await root["b"].ask(Echo("y"), timeout=60)


DAEMON = """
import asyncio, sys
from supervisor import ChildSpec, Supervisor
from supervisor.cluster import RayCluster
from tests.support.actors import Puppet

async def main():
    spec = ChildSpec(Puppet, name="a", place="any", start_timeout=60)
    async with Supervisor(spec, cluster=RayCluster(address=sys.argv[1]), spares=0) as root:
        print("pid", root.snapshot().children[0].pid, flush=True)
        await root.serve()

asyncio.run(main())
"""


def test_nothing_is_left_when_the_daemon_is_killed(raylets, tmp_path):
    """The connections end, so its agents end, and their lives with them."""
    with Script(tmp_path, DAEMON, args=["-c", DAEMON, raylets.address]) as daemon:
        pid = int(daemon.line("pid"))
        assert alive(pid)
        daemon.process.kill()
        until_now(lambda: not alive(pid), "it ends")


async def test_a_label_and_a_device(raylets):
    """A label is a resource, an address or a name. A life sees the GPU that Ray has reserved for it."""
    specs = (
        ChildSpec(Puppet, name="a", place="node:left", start_timeout=60),
        ChildSpec(Reader, name="b", place={"gpu": 1}, start_timeout=60),
    )
    async with tree(raylets, *specs) as root:
        assert alive((await root["a"].ask(WhoAreYou(), timeout=60)).pid)
        assert "0" == await root["b"].ask(Variable("CUDA_VISIBLE_DEVICES"), timeout=60)
