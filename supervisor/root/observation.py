"""Observation: what a tree shows of itself, and its topics.

Runs on the thread of the event loop that entered the tree.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar

from actors.errors import UsageError
from actors.lazy import LazyModule
from actors.messages import Message, Topic
from supervisor.root.lifecycle import Lifecycle

if TYPE_CHECKING:
    from supervisor.messaging import tree_store
    from supervisor.observe.broadcast import Missed
    from supervisor.observe.dead_letters import DeadLetter
    from supervisor.observe.happenings import Happening
    from supervisor.tree import health, look, snapshot
else:
    health = LazyModule("supervisor.tree.health")
    look = LazyModule("supervisor.tree.look")
    snapshot = LazyModule("supervisor.tree.snapshot")
    tree_store = LazyModule("supervisor.messaging.tree_store")

M = TypeVar("M", bound=Message[Any])


class Observation(Lifecycle):
    """What a tree shows of itself."""

    @property
    def store(self) -> tree_store.TreeStore:
        """What the store has: dead letters to list, requeue and drop; mailboxes that no actor has.

        Raises:
            UsageError: the tree has no store, or is not started.
        """
        self._engine_now()
        if self._tree.store is None:
            raise UsageError(f"{self.path} has no store: Supervisor(..., store=SQLiteStore('shop.db'))")
        return tree_store.TreeStore(self.path, self._tree, self._tree.store)

    def snapshot(self) -> snapshot.SupervisorSnapshot:
        """The whole tree at this moment; its text is a readable tree. Changes nothing and waits for nothing."""
        return look.tree_of(self._engine_now())

    def health(self) -> health.TreeHealth:
        """How the tree is, and why: healthy, degraded, starting or stopping. For `/healthz` and `/readyz`.

        Changes nothing and waits for nothing. Call it on the loop's thread.
        """
        found = health.health_of(self.snapshot())
        stopping = health.HealthStatus.STOPPING
        if self._tree.registry.drains(self.path) and found.status is not stopping:  # it does not stop yet
            return health.TreeHealth(stopping, (f"{self.path} drains",))
        return found

    def journal(self) -> list[str]:
        """The last events and decisions of the root supervisor, one JSON object a line: what a bug report asks for.

        It holds names, times and reasons, no messages. Call it on the loop's thread, also after the tree has ended.
        """
        return [line.decode() for line in self._engine_now().journal.lines()]

    def events(self) -> AsyncIterator[Happening | Missed]:
        """All events of the tree from now on; a reader that is too slow gets `Missed(count)`.

        Called before the `async with`, it also reports the first lives.
        """
        self._check_home()
        return self._reports.happenings.read(check=self._check_home)

    def dead_letters(self) -> AsyncIterator[DeadLetter | Missed]:
        """All dead letters from now on; a reader that is too slow gets `Missed(count)`."""
        self._check_home()
        return self._reports.dead_letters.read(check=self._check_home)

    def subscribe(self, topic: Topic[M]) -> AsyncIterator[M | Missed]:
        """Everything published under a topic from now on; a reader that is too slow gets `Missed(count)`.

        Raises:
            UsageError: the topic is none.
        """
        self._engine_now()
        return self._tree.topics.read(topic, self._check_home)

    def publish(self, topic: Topic[M], message: M) -> None:
        """Send a message to all subscribers of the topic, at most once; returns at once.

        Raises:
            UsageError: the message is not of the topic's type, or the topic is none.
        """
        self._engine_now()
        self._tree.topics.say(topic, message)

    def __str__(self) -> str:
        return repr(self) if self._engine is None else str(look.tree_of(self._engine))

    def __repr__(self) -> str:
        if not hasattr(self, "_engine"):
            return f"<{type(self).__name__} that was refused>"
        if self._engine is None:
            return f"<Supervisor {self.path} not started>"
        machine = self._engine.machine
        states = [view.state.value for view in machine.children()]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        most, period = self.spec.intensity.max_restarts, self.spec.intensity.period
        budget = "unlimited" if most is None else f"{machine.restarts(self._home.loop.time())}/{most} in {period:g}s"
        return f"<Supervisor {self.path} {machine.phase.value} {self.spec.strategy.value} [{counts}] restarts {budget}>"
