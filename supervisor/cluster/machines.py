"""Machines: where the lives of one tree start that run on other machines, and the agents there.

    launch ─▶ RemoteLife ─▶ place: the driver's list ─▶ choose ─▶ agent there (its first life starts it) ─▶ begin

A life has no process while its place is looked for; whatever goes wrong meanwhile is a failed start that says so. Runs
on the loop's thread.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from actors.wire.to_child import StartActor
from supervisor.cluster.driver import protocol as say
from supervisor.cluster.driver.client import CallFailed, Driver, MachineFailed
from supervisor.cluster.leases import Leases
from supervisor.cluster.lines import Lines
from supervisor.cluster.link import connections
from supervisor.cluster.node import Node
from supervisor.cluster.placement import Doubts, Machine, choose
from supervisor.cluster.remote_life import RemoteLife
from supervisor.cluster.versions import difference
from supervisor.core.place import Place, in_words
from supervisor.core.rules.spare_count import SpareCount
from supervisor.ports.launching import MachinesSay
from supervisor.ports.life import LifeListener

AGENT_TIME: Final = 60.0  # seconds in which an agent must have started
LIST_TIME: Final = 10.0  # seconds for the list of machines
LIST_FRESH: Final = 1.0  # seconds after which one that was used is asked for anew, for the next life

_RAY_NAMES: Final = {"cpu": "CPU", "gpu": "GPU"}


class ClusterMachines:
    """The machines of one tree.

    Args:
        path: of the tree.
        loop: of the tree.
        spares: how many are kept on each.
        on_news: takes what happens to them.
        driver: to Ray.
        lease: seconds without word from the daemon after which everything of it ends on a machine.
    """

    def __init__(
        self,
        path: str,
        loop: asyncio.AbstractEventLoop,
        *,
        spares: SpareCount,
        on_news: MachinesSay,
        driver: Driver,
        lease: float,
    ) -> None:
        self._path = path
        self._loop = loop
        self._spares = spares
        self._say = on_news
        self._driver = driver
        driver.on_agent_ended = self._agent_ended
        self._lease = lease
        self._lines = Lines(loop)
        self._leases = Leases(loop, self._abandon)
        self._nodes: dict[str, Node] = {}  # by machine
        self._agents: dict[int, str] = {}  # the machines of agents, by the call that started them
        self._starting: dict[str, asyncio.Task[Node]] = {}
        self._known: tuple[float, list[Machine]] | None = None  # the last list, and its loop time
        self._asking: asyncio.Task[list[Machine]] | None = None
        self._placing: Counter[str] = Counter()  # lives that will begin on a machine
        self._doubts = Doubts()
        self._said: dict[str, str] = {}  # why a machine can run no agent, as it was told last
        self._reserved: dict[RemoteLife, int] = {}
        self._preloaded: dict[str, dict[str, bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- Machines

    def at(self, place: Place) -> PlacedLauncher:
        """What starts lives at that place."""
        return PlacedLauncher(self, place)

    def preload(self, module: str, main: dict[str, bytes]) -> None:
        """Spares may import a module, on every machine."""
        if module not in self._preloaded:
            self._preloaded[module] = main
            for node in self._nodes.values():
                node.preload(module, main)

    def wind_down(self) -> None:
        """No more lives are expected."""
        for node in self._nodes.values():
            node.wind_down()

    async def close(self) -> None:
        """End every agent, and the driver. All lives have ended."""
        asking = [] if self._asking is None else [self._asking]
        for task in (*self._tasks, *self._starting.values(), *asking):
            task.cancel()
        nodes = tuple(self._nodes.values())
        for node in nodes:
            node.close()
        for node in nodes:
            await node.closed.wait()
        for agent in self._agents:
            self._driver.tell(say.EndAgent(agent))
        await self._driver.close()
        self._leases.close()
        self._lines.close()

    def _abandon(self) -> None:
        """The loop was closed first: let go of every agent, and of the driver. Runs in the thread of the leases."""
        for node in tuple(self._nodes.values()):
            node.abandon()
        self._driver.abandon()

    # ---- lives

    def begin(self, start: StartActor, lanes: int, listener: LifeListener, place: Place) -> RemoteLife:
        """A new life, for which a place is looked for."""
        life = RemoteLife(start, lanes, listener, self._loop, self._over)
        task = self._loop.create_task(self._place(life, place))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return life

    def _over(self, life: RemoteLife) -> None:
        for node in self._nodes.values():
            node.over(life)
        reservation = self._reserved.pop(life, None)
        if reservation is not None:
            self._driver.tell(say.Release(reservation))

    async def _place(self, life: RemoteLife, place: Place) -> None:
        try:
            node = await self._with_agent(life, place)
            if not life.over:
                node.begin(life)
        except CallFailed as error:
            life.failed_to_begin(f"it has no machine: {error}")
        except Exception as error:  # whatever it is, this life did not start
            life.failed_to_begin(f"it has no machine: {type(error).__name__}: {error}")

    async def _with_agent(self, life: RemoteLife, place: Place) -> Node:
        """A machine whose agent runs. One on which none can is passed over while there is another."""
        failed: dict[str, MachineFailed] = {}
        while True:
            machine = await self._machine(life, place, failed)
            self._placing[machine.key] += 1
            life.awaits = f"the agent on {machine.name} has not started"
            try:
                return await self._node(machine)
            except MachineFailed as error:
                if isinstance(place, Mapping):  # its resources are reserved there
                    raise
                failed[machine.key] = error
            finally:
                self._placing[machine.key] -= 1

    async def _machine(self, life: RemoteLife, place: Place, failed: Mapping[str, MachineFailed]) -> Machine:
        if isinstance(place, Mapping):
            return await self._with_resources(life, place)
        machine = self._known_machine(place)
        if machine is not None:
            return machine
        life.awaits = "Ray has not listed its machines; is the cluster up?"
        machines = await self._listed()
        machine = self._choose(place, machines, failed)
        if machine is None and failed:
            raise CallFailed("; ".join(map(str, failed.values())))
        if machine is None:
            known = ", ".join(sorted(one.name for one in machines)) or "none"
            raise CallFailed(f"none of the cluster fits place={place!r}; its machines: {known}")
        return machine

    def _known_machine(self, place: str) -> Machine | None:
        """The machine for a life by the last list; None when Ray must be asked.

        So a restart does not wait for Ray. Only a machine whose agent answers is taken, which is better proof than a
        list. The list is asked for anew meanwhile, for the next life.
        """
        if self._known is None:
            return None
        machine = self._choose(place, self._known[1])
        if machine is None or machine.key not in self._nodes or self._is_doubtful(machine.key):
            return None
        if self._loop.time() - self._known[0] > LIST_FRESH and self._asking is None:
            self._asking = self._loop.create_task(self._listed())
            self._asking.add_done_callback(self._asked)
        return machine

    def _asked(self, asking: asyncio.Task[list[Machine]]) -> None:
        """A list that was asked for beside has come, or has not: then the last one stays."""
        self._asking = None
        if not asking.cancelled():
            asking.exception()

    def _choose(self, place: str, machines: list[Machine], failed: Collection[str] = ()) -> Machine | None:
        lives = self._placing + Counter({node.key: len(node.lives) for node in self._nodes.values()})
        left = [one for one in machines if one.key not in failed]
        return choose(place, left, lives, {one.key for one in left if self._is_doubtful(one.key)})

    def _is_doubtful(self, key: str) -> bool:
        node = self._nodes.get(key)
        return self._doubts.holds(key, self._loop.time()) or (node is not None and node.silent)

    async def _with_resources(self, life: RemoteLife, place: Mapping[str, float]) -> Machine:
        number = self._driver.number()
        self._reserved[life] = number
        resources = {_RAY_NAMES.get(name.lower(), name): float(amount) for name, amount in place.items()}
        life.awaits = f"no machine of the cluster has {in_words(place)} free"
        reserved = await self._driver.call(say.Reserve(number, resources), say.Reserved)
        life.add_environment(reserved.env)
        machines = {one.key: one for one in await self._listed()}
        if reserved.machine not in machines:
            raise CallFailed("the machine with its resources has just gone")
        return machines[reserved.machine]

    async def _listed(self) -> list[Machine]:
        call = say.ListMachines(self._driver.number())
        try:
            async with asyncio.timeout(None if not self._nodes else LIST_TIME):
                answer = await self._driver.call(call, say.MachinesAre)
        except TimeoutError:
            raise CallFailed(f"Ray did not list its machines within {LIST_TIME:g} s; is its head alive?") from None
        machines = [Machine(one.key, one.name, frozenset(one.words), one.cpus) for one in answer.machines]
        self._known = self._loop.time(), machines
        return machines

    # ---- agents

    async def _node(self, machine: Machine) -> Node:
        """The agent on a machine; it is started when there is none."""
        node = self._nodes.get(machine.key)
        if node is not None:
            return node
        starting = self._starting.get(machine.key)
        if starting is None:
            starting = self._starting[machine.key] = self._loop.create_task(self._start(machine))
            starting.add_done_callback(lambda _: self._starting.pop(machine.key, None))
        return await asyncio.shield(starting)

    async def _start(self, machine: Machine) -> Node:
        try:
            async with asyncio.timeout(AGENT_TIME):
                return await self._started(machine)
        except (MachineFailed, OSError) as error:  # among them TimeoutError
            late = f"none ran within {AGENT_TIME:g} s"
            why = f"no agent can run on {machine.name}: {str(error) or late}"
            self._failed(machine, why)
            raise MachineFailed(why) from None
        except CallFailed as error:
            raise CallFailed(f"no agent can run on {machine.name}: {error}") from None

    def _failed(self, machine: Machine, why: str) -> None:
        """Another one is taken while there is one; why, is told once."""
        self._known = None
        self._doubts.failed(machine.key, self._loop.time())
        if self._said.get(machine.key) != why:
            self._said[machine.key] = why
            self._say.node_failed(machine.name, why)

    async def _started(self, machine: Machine) -> Node:
        call, token = self._driver.number(), os.urandom(32)
        request = say.StartAgent(
            call, machine.key, token, self._lease, self._spares, [path for path in sys.path if path]
        )
        try:
            agent = await self._driver.call(request, say.AgentIs)
            _check_versions(agent.versions)
            made = await connections.connect(self._loop, agent.host, agent.port, agent.values, token)
        except BaseException:
            self._driver.tell(say.EndAgent(call))
            raise
        node = Node(
            key=machine.key,
            name=machine.name,
            loop=self._loop,
            stream=made.stream,
            values=made.values,
            has_shared_memory=bool(agent.values),
            guard=made.lease,
            leases=self._leases,
            lease=self._lease,
            lines=self._lines,
            tree=self._path,
            say=self._say,
            on_gone=lambda node, why: self._gone(node, why, call),
        )
        self._agents[call] = machine.key
        self._nodes[machine.key] = node
        await node.ready()
        if node.gone is not None:
            raise MachineFailed(node.gone)
        for module, main in self._preloaded.items():
            node.preload(module, main)
        self._doubts.worked(machine.key)
        self._said.pop(machine.key, None)
        self._say.node_joined(node.name)
        return node

    def _gone(self, node: Node, why: str, agent: int) -> None:
        self._nodes.pop(node.key, None)
        self._known = None
        if self._agents.pop(agent, None) is not None:
            self._driver.tell(say.EndAgent(agent))
        if not node.closing:
            self._doubts.failed(node.key, self._loop.time())
            self._say.node_lost(node.name, why)

    def _agent_ended(self, agent: int, why: str) -> None:
        """Ray has seen the end of an agent's process."""
        node = self._nodes.get(self._agents.get(agent, ""))
        if node is not None:
            node.agent_ended(f"the agent on {node.name} has ended: {why}")


class PlacedLauncher:
    """Starts lives at one place of a cluster."""

    def __init__(self, machines: ClusterMachines, place: Place) -> None:
        self._machines = machines
        self._place = place

    def launch(self, start: StartActor, lanes: int, listener: LifeListener) -> RemoteLife:
        """Start a life; its place is looked for first."""
        return self._machines.begin(start, lanes, listener, self._place)


def _check_versions(theirs: dict[str, str]) -> None:
    if wrong := difference(theirs):
        raise MachineFailed(f"{wrong}; install the same there")
