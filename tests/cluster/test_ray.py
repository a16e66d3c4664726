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
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("default"),
]

AT_ONCE = Backoff(initial=0.0, cap=0.0)
START = 240.0  # seconds for a start through Ray on a slow machine
ANSWER = 240.0  # seconds for an answer, which may wait for a start
LEASE = 30.0  # seconds; a busy machine loses no lease, a broken run is over soon enough


def tree(raylets, *specs, **options):
    cluster = RayCluster(address=raylets.address, lease=LEASE)
    return Supervisor(*specs, cluster=cluster, intensity=Intensity.unlimited(), spares=0, **options)


async def test_a_pool_is_asked_killed_and_lives_on(raylets, tmp_path):
    """Its members are on all nodes; the death of one has exact blame, and names its node."""
    spec = ChildSpec(Puppet, name="a", size=3, place="any", backoff=AT_ONCE, start_timeout=START)
    async with tree(raylets, spec) as root:
        watch = Watch(root)
        nodes = {child.node for child in root.snapshot().children}
        assert len(nodes) in (1, 3)  # cluster_utils gives all of them one address
        assert {"x"} == set(await asyncio.gather(*(root["a"].ask(Echo("x"), timeout=ANSWER) for _ in range(50))))

        hangs = asyncio.create_task(root["a"].ask(Block(str(tmp_path / "never")), timeout=ANSWER))
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
        assert {"y"} == set(await asyncio.gather(*(root["a"].ask(Echo("y"), timeout=ANSWER) for _ in range(50))))
        pids = [child.pid for child in root.snapshot().children]
    assert not any(map(alive, pids))


async def test_places_that_ray_knows(raylets):
    """A label is a resource, an address or a name; a life sees the GPU that Ray has reserved for it.

    A life for which there are no resources waits, and says so.
    """
    specs = (
        ChildSpec(Puppet, name="label", place="node:left", start_timeout=START),
        ChildSpec(Reader, name="device", place={"gpu": 1}, start_timeout=START),
        ChildSpec(Puppet, name="both", place={"left": 2}, start_timeout=START),
    )
    async with tree(raylets, *specs) as root:
        assert alive((await root["label"].ask(WhoAreYou(), timeout=ANSWER)).pid)
        assert "0" == await root["device"].ask(Variable("CUDA_VISIBLE_DEVICES"), timeout=ANSWER)
        assert "x" == await root["both"].ask(Echo("x"), timeout=ANSWER)
        with pytest.raises(StartFailed, match="no machine of the cluster has 1 left free"):
            await root.start_child(
                ChildSpec(Puppet, name="one", place={"left": 1}, start_timeout=1.0, restart="temporary")
            )
        await root.terminate_child("both")
        await root.delete_child("both")
        await root.start_child(ChildSpec(Puppet, name="next", place={"left": 1}, start_timeout=START))
        assert "y" == await root["next"].ask(Echo("y"), timeout=ANSWER)


DAEMON = """
import asyncio, sys
from supervisor import ChildSpec, Supervisor
from supervisor.cluster import RayCluster
from tests.support.actors import Puppet

async def main():
    spec = ChildSpec(Puppet, name="a", place="any", start_timeout=240)
    async with Supervisor(spec, cluster=RayCluster(address=sys.argv[1], lease=30), spares=0) as root:
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


async def test_a_node_dies(raylets, doomed, tmp_path):
    """What was in flight there is unknown and reported; lives go on elsewhere, while Ray still lists the node."""
    specs = (
        ChildSpec(Puppet, name="a", place="node:doomed", start_timeout=START, restart="temporary"),
        ChildSpec(Puppet, name="b", size=3, place="node:outer", backoff=AT_ONCE, start_timeout=START),
    )
    async with tree(raylets, *specs) as root:  # two lives on each of the nodes that have the resource `outer`
        watch = Watch(root)
        hangs = asyncio.create_task(root["a"].ask(Block(str(tmp_path / "never")), timeout=ANSWER))
        await until(lambda: root.snapshot().children[0].handling == "Block", "it begins")
        raylets.remove_node(doomed, allow_graceful=False)
        with pytest.raises(ActorCrashed) as crash:
            await hangs
        assert (None, "lost") == (crash.value.started, crash.value.report.reason.kind)
        await watch.find(lambda happening: isinstance(happening, ChildStarted))
        assert {"y"} == set(await asyncio.gather(*(root["b"].ask(Echo("y"), timeout=ANSWER) for _ in range(50))))
