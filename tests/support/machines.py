"""Machines without Ray: agents in processes of this machine, each of which stands for a machine of a cluster."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from supervisor.cluster.driver import protocol as say
from supervisor.cluster.driver.client import CallFailed, MachineFailed
from supervisor.cluster.machines import ClusterMachines

_AGENT = """
import sys, json
from supervisor.cluster.agent.agent import Agent
agent = Agent(bytes.fromhex(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), "127.0.0.1")
print(json.dumps(agent.start()), flush=True)
agent.join()
"""


class LocalDriver:
    """Starts agents as plain processes.

    Attributes:
        agents: those that were started, by machine; the last of each.
        told: changes what an agent says of itself; a test may set it.
        told_on: the same, of one machine.
        says_ends: whether it says that an agent has ended, as Ray does.
        dying: machines that are listed and run no agent any more.
        headless: whether the head of the cluster is gone: no call has an answer.

    Args:
        names: of the machines.
        wires: networks between the daemon and some of them.
        says_ends: as above.
        skews: by how many seconds the clocks of some of them are ahead.
    """

    def __init__(self, names, *, wires=None, says_ends=True, skews=None):
        self.names = list(names)
        self._wires = wires or {}
        self._skews = skews or {}
        self.agents = {}
        self.told = {}
        self.told_on = {}
        self.says_ends = says_ends
        self.dying = set()
        self.headless = False
        self.on_agent_ended = lambda agent, why: None
        self._calls = {}
        self._numbers = itertools.count(1)
        self._watching = set()

    def number(self):
        return next(self._numbers)

    async def call(self, value, answer):
        if self.headless:
            await asyncio.Event().wait()
        match value:
            case say.ListMachines():
                machines = [say.MachineIs(name, name, [name, f"label-{name}", "all"], 1.0) for name in self.names]
                return say.MachinesAre(value.call, machines)
            case say.StartAgent():
                return await self._start(value)
        raise CallFailed(f"cannot {value}")

    async def _start(self, value):
        if value.machine in self.dying:
            raise MachineFailed("it was cancelled before it started")
        process = _agent(value, self._skews.get(value.machine, 0))
        self.agents[value.machine] = self._calls[value.call] = process
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(None, _only_line, process)
        self._watching.add(reading)
        line = await asyncio.shield(reading)
        if not line:
            raise CallFailed("its agent has ended at once")
        self._watching.add(loop.run_in_executor(None, self._watch, value.call, process, loop))
        told = {**json.loads(line), **self.told, **self.told_on.get(value.machine, {})}
        versions = {name: told[name] for name in ("python", "msgspec", "project")}
        wire = self._wires.get(value.machine)
        host, port = (told["host"], told["port"]) if wire is None else wire.way_to(told["host"], told["port"])
        return say.AgentIs(value.call, host, port, versions, told["values"])

    def _watch(self, call, process, loop):
        process.wait()
        if self.says_ends:
            loop.call_soon_threadsafe(self.on_agent_ended, call, f"signal or exit {process.returncode}")

    def tell(self, value):
        if isinstance(value, say.EndAgent) and value.agent in self._calls:
            self._kill(self._calls[value.agent])

    def kill(self, machine, number=signal.SIGKILL):
        """Send a signal to the agent of a machine."""
        os.kill(self.agents[machine].pid, number)

    def _kill(self, process):
        if process.poll() is None:
            process.kill()

    def abandon(self):
        """Agents end by themselves."""

    async def close(self):
        for process in self._calls.values():
            self._kill(process)
        await asyncio.gather(*self._watching)
        for process in self._calls.values():
            process.wait()  # also one whose start was given up


def _only_line(process):
    """Its line; in a thread, so that the pipe is closed also where its start is given up meanwhile."""
    with process.stdout as told:
        return told.readline()


def _agent(value, skew):
    words = [sys.executable, "-c", _AGENT, value.token.hex(), str(value.lease), str(value.spares)]
    environment = dict(os.environ)
    if skew:
        path = [str(Path(__file__).parent / "skewed"), *sys.path]
        environment |= {"ACTORS_TEST_SKEW": str(skew), "PYTHONPATH": os.pathsep.join(filter(None, path))}
    return subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True, env=environment)


@dataclass
class LocalCluster:
    """A cluster of agents on this machine: `Supervisor(..., cluster=LocalCluster("m1", "m2"))`."""

    names: tuple[str, ...] = ("m1",)
    lease: float = 5.0
    driver: LocalDriver | None = None
    machines: ClusterMachines | None = field(default=None, init=False)

    def enter(self, path, loop, reader, spares, say):
        self.driver = self.driver or LocalDriver(self.names)
        self.machines = ClusterMachines(path, loop, spares=spares, on_news=say, driver=self.driver, lease=self.lease)
        return self.machines
