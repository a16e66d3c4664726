"""Monitors: all that looks at one life, as its spec says, and what it has seen.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from actors.errors import WireError
from actors.wire.progress import Work
from supervisor.core.health.life_end import LifeEnd
from supervisor.messaging.tree_context import TreeContext
from supervisor.monitors.examination import Examination
from supervisor.monitors.health_check import HealthCheck
from supervisor.monitors.recycler import Recycled, Recycler, recycler_of
from supervisor.monitors.seen import Seen
from supervisor.monitors.slow_handlers import SlowHandlers
from supervisor.monitors.watchdog import Watchdog, Watched
from supervisor.observe.happenings import HandlerSlow, HealthChanged
from supervisor.ports.life import Life
from supervisor.specs import ChildSpec


class Monitored(Watched, Recycled, Protocol):
    """The life that is looked at."""


class Monitors:
    """What looks at one life: for hangs, slow handlers, limits and its health; and at a start that takes long.

    Args:
        path: of the actor.
        number: of the life.
        spec: says what is looked at.
        tree: what the life shares with the rest of the tree.

    Attributes:
        watchdog: kills it when it hangs, None without a limit.
    """

    def __init__(self, path: str, number: int, spec: ChildSpec, tree: TreeContext) -> None:
        self.watchdog: Watchdog | None = None
        self._path = path
        self._number = number
        self._spec = spec
        self._tree = tree
        self._recycler: Recycler | None = None
        self._examination: Examination | None = None
        self._slow: SlowHandlers | None = None
        self._check: HealthCheck | None = None

    def examine(self, life: Life, then: Callable[[], None]) -> None:
        """Ask a life that is not ready in time for its stacks, then call `then`."""
        heartbeat = self._spec.has_heartbeat or self._tree.heartbeats
        self._examination = Examination(life, self._tree.loop, heartbeat=heartbeat, then=then)

    def begin(self, child: Monitored, life: Life, *, says_health: bool) -> None:
        """The life gets messages from now on."""
        spec, loop, clock = self._spec, self._tree.loop, self._tree.clock
        self._recycler = recycler_of(spec, child, self._tree)
        if spec.handler_timeout is not None:
            self.watchdog = Watchdog(spec.handler_timeout, child, life, loop, clock)
        if spec.soft_timeout is not None:

            def slow(call: Work, seconds: float, stacks: str | None) -> None:
                handler = child.handler_name(call.handler)
                self._tree.reports.handler_slow(HandlerSlow(self._path, self._number, handler, seconds, stacks))

            self._slow = SlowHandlers(spec.soft_timeout, life, loop, clock, slow)
        if says_health:
            self._check = HealthCheck(life, loop, clock, self._health_changed)

    def ready(self) -> None:
        """It has started: an examination of its start ends."""
        if self._examination is not None:
            self._examination.close()
            self._examination = None

    def heard(self) -> None:
        """Some of its messages have ended."""
        if self._recycler is not None:
            self._recycler.heard()

    def health_said(self, degraded: str | None) -> None:
        """It says how it is.

        Raises:
            WireError: it was not asked.
        """
        if self._check is None:
            raise WireError("it says how it is, and was not asked")
        self._check.heard(degraded)

    def stop(self) -> None:
        """It is asked to stop: its limits count no more, its handlers are watched on."""
        if self._recycler is not None:
            self._recycler.close()

    def end(self, end: LifeEnd) -> Seen:
        """The life has ended: look no more. Returns what was seen of it."""
        self.close()
        hang = None if self.watchdog is None else self.watchdog.reason(end)
        stacks = next((looks.stacks for looks in (self.watchdog, self._examination) if looks is not None), None)
        return Seen(hang, stacks, None if self._examination is None else self._examination.place)

    def close(self) -> None:
        """Look no more."""
        for looks in (self._recycler, self.watchdog, self._slow, self._check, self._examination):
            if looks is not None:
                looks.close()

    @property
    def degraded(self) -> str | None:
        """What is wrong with it, as it says; None when it is well, or does not say."""
        return None if self._check is None else self._check.degraded

    def _health_changed(self, degraded: str | None) -> None:
        self._tree.reports.health_changed(HealthChanged(self._path, self._number, degraded))
