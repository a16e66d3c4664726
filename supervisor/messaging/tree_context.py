"""TreeContext: what all supervisors of one tree share: registry, topics, wait graph, random numbers.

Nothing of it is global.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from actors.actor import Actor
from supervisor.clock import clock_of
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.wait_graph import WaitGraph
from supervisor.core.place import LOCAL, Place
from supervisor.mailbox.intake.shared_budget import SharedBudget
from supervisor.messaging.pubsub import PubSub
from supervisor.messaging.registry import Registry
from supervisor.observe.reports import Reports
from supervisor.system.descriptor_limit import max_shared_values

if TYPE_CHECKING:
    from supervisor.durable.durability import Durability
    from supervisor.messaging.tracing import Tracing
    from supervisor.ports.launching import ActorLauncher, Launcher, Machines
    from supervisor.store.port import Store


class TreeContext:
    """What all supervisors of one tree share."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        launcher: Launcher,
        reports: Reports,
        machines: Machines | None = None,
        *,
        max_shared_bytes: int | None = None,
    ) -> None:
        self.loop = loop
        self._machines = machines
        self.clock = clock_of(loop)
        self.launcher = launcher
        self.reports = reports
        self.registry = Registry()
        self.waits = WaitGraph()
        self.store: Store | None = None
        self.durability: Durability | None = None
        self.unended: dict[str, asyncio.Task[None]] = {}  # tasks that have swallowed every cancellation, by path
        self.ports: dict[str, int] = {}  # chosen for commands, by path
        self.metrics_text: Callable[[], str] | None = None  # what a collector of metrics says; in any thread
        self.heartbeats = False  # whether every process has a thread that answers where its code is
        self.refs_to: Callable[[type[Actor]], Callable[..., Any]] | None = None  # of `root[name]`; None: plain
        self.tracing: Tracing | None = None  # makes the spans of what is sent, None where messages are not traced
        self.stop_reason = Fate.ACTOR_STOPPED  # SHUTDOWN once the whole tree stops
        self.topics = PubSub()
        self.at_end: list[Callable[[], None]] = []  # called when the tree has ended
        self.shared = SharedBudget(max_shared_bytes, max_shared_values(), loop)
        self.dice = random.SystemRandom()  # made in no time: it has no state of its own to seed
        self._tasks: set[asyncio.Task[object]] = set()

    @property
    def clustered(self) -> bool:
        """Whether it has more machines than the daemon's."""
        return self._machines is not None

    def preload(self, module: str, main: dict[str, bytes]) -> None:
        """A module will be needed: spares may import it, on every machine."""
        self.launcher.preload(module, main)
        if self._machines is not None:
            self._machines.preload(module, main)

    def launcher_at(self, place: Place) -> ActorLauncher:
        """What starts the lives of actors at a place; a place of a cluster is checked before."""
        return self.launcher if self._machines is None or place == LOCAL else self._machines.at(place)

    def end(self) -> None:
        """The tree has ended."""
        self.registry.shut_down()
        self.topics.close()
        for call in self.at_end:
            call()

    def keep(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Let a coroutine run by itself, until the tree ends."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
