"""Every look at a tree names the machine of a life, and looks at nothing of this machine in its stead."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from prometheus_client import CollectorRegistry

from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from supervisor.ctl.client import Client
from supervisor.ctl.rows import Look, rows, usage
from supervisor.ctl.text import event_line, tree_lines
from supervisor.metrics import Collector
from tests.support.actors import Echo, Puppet
from tests.support.machines import LocalCluster
from tests.support.waiting import Watch, until

pytestmark = pytest.mark.processes


async def test_all_that_shows_a_life_names_its_machine(tmp_path, logs):
    """Snapshot, print, events, reports, log lines, actorctl tree, why, stacks, events, top; metrics."""
    specs = (
        ChildSpec(Puppet, name="away", place="any", backoff=Backoff(initial=0.0, cap=0.0)),
        ChildSpec(Puppet, name="home"),
    )
    path = tmp_path / "daemon.sock"
    options = {"intensity": Intensity.unlimited(), "spares": 0, "control": path, "cluster": LocalCluster()}
    async with Supervisor(*specs, **options) as root:
        registry = CollectorRegistry()
        registry.register(Collector(root))
        watch = Watch(root)
        os.kill(root.snapshot().children[0].pid, signal.SIGKILL)
        report = await watch.exited("away")
        started = await watch.started("away")
        assert ("m1", "m1") == (report.node, started.node)
        assert f"pid {report.pid} on m1" in str(report)
        assert "x" == await root["away"].ask(Echo("x"), timeout=30)
        away, home = root.snapshot().children
        assert ("m1", None) == (away.node, home.node)
        assert f"pid {away.pid} on m1" in str(root)
        assert {"m1"} == {line["node"] for line in logs if line["event"] == "child.started" and "away" in line["actor"]}
        await until(lambda: root.snapshot().children[0].resident, "its memory is known")

        seen = await asyncio.to_thread(look, path)
        assert [None, "m1"] == [row[0] for row in seen["stacks"]]
        assert "on m1" in seen["why"]
        assert any(f"life 2 is ready, pid {away.pid} on m1" in line for line in seen["events"])
        assert any("life 1 on m1 ended: killed: SIGKILL" in line for line in seen["events"])
        head, _, there, here = seen["tree"]
        assert "NODE" in head
        assert ("m1" in there, "m1" in here) == (True, False)
        assert {home.pid} == seen["pids"]
        assert seen["memory"] > 2**20

        samples = await asyncio.to_thread(lambda: [one for family in registry.collect() for one in family.samples])
        named = {(one.name, one.labels["actor"]): one for one in samples if "actor" in one.labels}
        assert "m1" == named["actor_node", "/root/away"].labels["node"]
        assert ("actor_node", "/root/home") not in named
        assert named["actor_resident_memory_bytes", "/root/away"].value > 2**20
        assert ("actor_open_fds", "/root/away") not in named, "the process of that number is another one here"


def look(path):
    with Client(path) as client:
        tree = client.tree()
        stacks = [(one.node, one.stacks) for name in ("home", "away") for one in client.stacks(name)]
        used = usage(tree)
        memory = {row.node.path: row.memory for row in rows(Look(tree, used), None)}
        return {
            "tree": tree_lines(tree.root, 120),
            "why": client.why("away")[0].sentence,
            "stacks": stacks,
            "events": [event_line(one) for one in client.events(50)],
            "pids": set(used),
            "memory": memory["/root/away"],
        }
