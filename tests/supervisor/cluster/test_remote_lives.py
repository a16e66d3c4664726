"""Lives on other machines: they conform to the port, and end as at home; agents in processes of this machine."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import socket
import sys

import pytest

from actors import ActorCrashed
from supervisor import Backoff, ChildSpec, Intensity, InvalidSpec, StartFailed, Supervisor, SupervisorBusy
from supervisor.cluster.driver import protocol as say
from supervisor.cluster.link import handshake
from supervisor.cluster.link.window import FEW, Window
from supervisor.cluster.placement import Doubts
from supervisor.cluster.versions import versions
from supervisor.ctl.text import doing
from supervisor.io.thread_reader import ThreadReader
from supervisor.observe.reports import Reports
from tests.support.actors import Block, Echo, Puppet, WhoAreYou
from tests.support.life_conformance import check_life
from tests.support.machines import LocalCluster, LocalDriver
from tests.support.waiting import Script, Watch, until

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


async def test_a_place_needs_a_cluster():
    """It is refused before anything starts, at any depth, and of a child that is added later."""
    with pytest.raises(
        InvalidSpec, match=r"children\[0\]\.place: this tree has no cluster: Supervisor\(\.\.\., cluster="
    ):
        Supervisor(ChildSpec(Puppet, place="any"))
    async with Supervisor(spares=0) as root:
        with pytest.raises(InvalidSpec, match="has no cluster"):
            await root.start_child(ChildSpec(Puppet, place={"gpu": 1}))


@pytest.mark.parametrize("place", ["", "node:", "somewhere", {}, {"gpu": 0}, {"": 1}, {"gpu": True}, 3, None])
def test_what_is_no_place(place):
    """It is refused with what to write instead."""
    with pytest.raises(InvalidSpec, match="place: expected 'local', 'any', 'node:LABEL', or resources"):
        Supervisor(ChildSpec(Puppet, place=place), cluster=LocalCluster())


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"msgspec": "0.1"}, r"msgspec 0\.1 there and .* here"),
        ({"python": "3.99"}, r"Python 3\.99 there and .* here"),
        ({"project": "0"}, r"actor-supervisor \(digest of its code\) 0 there and .* here"),
    ],
)
async def test_another_version_there_is_a_failed_start(told, text):
    """It says what differs."""
    cluster = LocalCluster(driver=LocalDriver(["m1"]))
    cluster.driver.told = told
    with pytest.raises(StartFailed, match=f"no agent can run on m1: {text}; install the same"):
        async with tree(cluster, ChildSpec(Puppet, name="a", place="any"), intensity=Intensity(0)):
            raise AssertionError


@pytest.mark.parametrize("place", ["any", "node:all"])
async def test_a_machine_that_can_run_no_agent_is_passed_over(place, logs):
    """The log says once which, and why; its other lives and the next ones start elsewhere, too."""
    cluster = LocalCluster(("m1", "m2"))
    cluster.driver = LocalDriver(cluster.names)
    cluster.driver.told_on = {"m1": {"python": "3.99"}}
    async with tree(cluster, ChildSpec(Puppet, name="a", size=3, place=place, backoff=AT_ONCE)) as root:
        watch = Watch(root)
        assert ["m2"] * 3 == [child.node for child in root.snapshot().children]
        os.kill(root.snapshot().children[0].pid, signal.SIGKILL)
        assert "m2" == (await watch.started("a/0")).node
    (said,) = [line for line in logs if line["event"] == "node.failed"]
    assert ("warning", "m1") == (said["log_level"], said["node"])
    assert "no agent can run on m1: Python 3.99 there" in said["detail"]


async def test_where_no_machine_can_run_an_agent_each_says_why():
    """All of them are tried, also those that have just failed."""
    cluster = LocalCluster(("m1", "m2"))
    cluster.driver = LocalDriver(cluster.names)
    cluster.driver.told_on = {"m1": {"python": "3.99"}, "m2": {"msgspec": "0.1"}}
    async with tree(cluster) as root:
        for _ in range(2):
            with pytest.raises(StartFailed) as failed:
                await root.start_child(ChildSpec(Puppet, name="a", place="any", restart="temporary"))
            said = str(failed.value)
            assert "no agent can run on m1: Python 3.99 there" in said
            assert "no agent can run on m2: msgspec 0.1 there" in said
        cluster.driver.told_on = {}
        await root.start_child(ChildSpec(Puppet, name="b", place="any"))


def test_a_machine_that_fails_again_and_again_is_tried_less_and_less():
    """Until an agent runs there."""
    doubts = Doubts()
    for length in (10.0, 20.0, 40.0):
        doubts.failed("m1", 100.0)
        assert doubts.holds("m1", 99.9 + length)
        assert not doubts.holds("m1", 100.1 + length)
    doubts.worked("m1")
    doubts.failed("m1", 100.0)
    assert not doubts.holds("m1", 110.1)
    assert not doubts.holds("m2", 100.0)


async def test_a_module_that_is_not_there_is_a_failed_start(tmp_path, monkeypatch):
    """It names the module, and the machine."""
    (tmp_path / "only_here.py").write_text("from actors import Actor\n\n\nclass Here(Actor):\n    pass\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    spec = ChildSpec(importlib.import_module("only_here").Here, name="a", place="any")
    with pytest.raises(StartFailed, match="No module named 'only_here'") as failed:
        async with tree(LocalCluster(), spec, intensity=Intensity(0)):
            raise AssertionError
    assert "m1" == failed.value.report.node


MOVED = """
import asyncio, os
from pathlib import Path
from actors import Actor, Message, handles
from supervisor import ChildSpec, Supervisor
from tests.support.machines import LocalCluster

class Where(Message[str]):
    pass

class Here(Actor):
    @handles
    def where(self, msg: Where) -> str:
        return __file__

async def main():
    spec = ChildSpec(Here, place="any")
    there = Path(__file__).parent / "there"
    there.mkdir()
    os.environ["PYTHONPATH"] += f"{os.pathsep}{there}"  # of the agent, as Ray adds a working directory
    Path(__file__).rename(there / Path(__file__).name)
    async with Supervisor(spec, cluster=LocalCluster(), spares=1) as root:
        print("at", await root["here"].ask(Where(), timeout=60), flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_an_actor_of_the_started_script_runs_where_that_script_has_another_path(tmp_path):
    """It is found by its name on the machine's path."""
    with Script(tmp_path, MOVED) as daemon:
        assert str(tmp_path / "there" / "daemon.py") == daemon.line("at")


async def test_no_machine_fits():
    """The text names those that there are."""
    spec = ChildSpec(Puppet, name="a", place="node:gpu-box")
    with pytest.raises(StartFailed, match="none of the cluster fits place='node:gpu-box'; its machines: m1, m2"):
        async with tree(LocalCluster(("m1", "m2")), spec, intensity=Intensity(0)):
            raise AssertionError


async def test_a_life_that_has_no_place_yet_says_why_and_stops_at_once():
    """No process has to finish anything."""
    cluster = LocalCluster()
    async with tree(cluster) as root:
        watch = Watch(root)
        cluster.driver.headless = True
        spec = ChildSpec(Puppet, name="a", place="any", shutdown=600.0, start_timeout=600.0)
        starting = asyncio.create_task(root.start_child(spec))
        await until(lambda: root.snapshot().children, "it looks for a place")
        await until(lambda: root.snapshot().children[0].awaits, "it says why")
        assert "a starting, life 1, Ray has not listed its machines; is the cluster up?, mailbox 0" in str(root)
        assert "Ray has not listed its machines; is the cluster up?" == doing(root.snapshot().children[0])
        starting.cancel()
        assert "shutdown" == (await watch.exited("a")).reason.kind
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not root.snapshot().children


async def test_the_death_of_an_agent_is_told_and_the_next_life_runs_elsewhere(tmp_path):
    """What was in flight may have begun or not; the next life is on another machine."""
    cluster = LocalCluster(("m1", "m2"))
    async with tree(cluster, ChildSpec(Puppet, name="a", place="any", backoff=AT_ONCE)) as root:
        watch = Watch(root)
        here = root.snapshot().children[0].node
        hangs = asyncio.create_task(root["a"].ask(Block(str(tmp_path / "never")), timeout=60))
        queued = [asyncio.create_task(root["a"].ask(Echo(str(n)), timeout=60)) for n in range(50)]
        await until(lambda: root.snapshot().children[0].handling == "Block", "it begins")
        cluster.driver.kill(here)
        report = await watch.exited("a")
        assert ("lost", here) == (report.reason.kind, report.node)
        with pytest.raises(ActorCrashed) as crash:
            await hangs
        assert (None, None) == (crash.value.started, crash.value.finished)
        assert (await watch.started("a")).node != here
        fates = await asyncio.gather(*queued, return_exceptions=True)
        assert [str(n) for n in range(FEW, 50)] == fates[FEW:], "what was queued is handled by the next life"
        assert "again" == await root["a"].ask(Echo("again"), timeout=30)


async def test_a_restart_does_not_need_the_head():
    """Where an agent answers, the next life begins without a word of Ray."""
    cluster = LocalCluster(("m1", "m2"))
    async with tree(cluster, ChildSpec(Puppet, name="a", place="any", backoff=AT_ONCE)) as root:
        watch = Watch(root)
        cluster.driver.headless = True
        for _ in range(3):
            os.kill(root.snapshot().children[0].pid, signal.SIGKILL)
            await watch.exited("a")
            await watch.started("a")
        assert "x" == await root["a"].ask(Echo("x"), timeout=30)
        await root.terminate_child("a")


class Slow(LocalDriver):
    """Its agents take their time to prove who they are."""

    async def _start(self, value):
        self.token = value.token
        host, port = self.server.getsockname()
        return say.AgentIs(value.call, host, port, versions())


async def test_connections_to_an_agent_that_nobody_waits_for_any_more_are_closed():
    """The tree is left while they are made, in a thread."""
    loop = asyncio.get_running_loop()
    driver = Slow(["m1"])
    with socket.create_server(("127.0.0.1", 0)) as driver.server:
        async with tree(LocalCluster(driver=driver)) as root:
            starting = asyncio.create_task(root.start_child(ChildSpec(Puppet, name="a", place="any")))
            stream, _ = await loop.run_in_executor(None, driver.server.accept)
        with pytest.raises(SupervisorBusy):
            await starting
        with stream:
            assert handshake.STREAM == await loop.run_in_executor(None, handshake.accept, stream, driver.token)
            lease, _ = await loop.run_in_executor(None, driver.server.accept)
            with lease:
                assert handshake.LEASE == await loop.run_in_executor(None, handshake.accept, lease, driver.token)
                assert b"" == await loop.run_in_executor(None, lease.recv, 1)


def test_as_much_is_sent_ahead_as_is_handled_in_a_short_while():
    """A few at first and after a pause; a fast life gets much, a slow one little."""
    window = Window()
    assert FEW == window.size(1.0)
    for step in range(100):
        window.ended(100, 1.0 + step / 1000)
    assert window.size(1.1) > 1000
    assert FEW == window.size(9.0)
    for step in range(10):
        window.ended(1, 10.0 + step / 25)
    assert FEW == window.size(10.37)
