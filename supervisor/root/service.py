"""Service: how a tree is, told to the service manager (systemd), as long as it starts, serves and stops.

    root.health() ─▶ notice (pure) ─▶ ServiceManager ─▶ $NOTIFY_SOCKET

Runs on the loop's thread: a loop that hangs sends no sign of life, and systemd starts the service again.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from actors.lazy import LazyModule
from supervisor.system.service_manager import ServiceManager

if TYPE_CHECKING:
    from supervisor.tree import health as of_tree
    from supervisor.tree.health import TreeHealth
else:
    of_tree = LazyModule("supervisor.tree.health")

LOOK: Final = 1.0  # seconds between two looks at the tree
EXTENSION: Final = (
    15.0  # seconds more that a start or stop is given while it makes its way; asked for anew with each look
)


def notice(health: TreeHealth, said: str, *, watched: bool) -> dict[str, object]:
    """What to say of a tree.

    Args:
        health: of the tree.
        said: the status that was said last.
        watched: whether a sign of life is wanted. A tree gives it while it is healthy; one that stops does, too, since
            what limits a stop are the graces of its children. One that is degraded does not, unless the cause is
            outside of it.
    """
    status = of_tree.HealthStatus
    fields: dict[str, object] = {}
    if health.status is status.STOPPING and not said.startswith(health.status):
        fields["STOPPING"] = 1
    if str(health) != said:
        fields["STATUS"] = health
    if health.status in (status.STARTING, status.STOPPING):
        fields["EXTEND_TIMEOUT_USEC"] = int(EXTENSION * 1e6)
    if watched and (health.outside or health.status in (status.HEALTHY, status.STOPPING)):
        fields["WATCHDOG"] = 1
    return fields


class Service:
    """What a tree says of itself to the service manager.

    Args:
        manager: the service manager.
        health: of the tree, at this moment.
    """

    def __init__(self, manager: ServiceManager, health: Callable[[], TreeHealth]) -> None:
        self._manager = manager
        self._health = health
        self._said = ""
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Say what there is to say now."""
        health = self._health()
        fields = notice(health, self._said, watched=self._manager.watchdog is not None)
        self._said = str(health)
        if fields:
            self._manager.tell(fields)

    def begin(self) -> None:
        """Look now, and again and again, at least twice within the watchdog's time."""
        self.look()
        watchdog = self._manager.watchdog
        pause = LOOK if watchdog is None else min(LOOK, watchdog / 2)
        self._timer = asyncio.get_running_loop().call_later(pause, self.begin)

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def ready(self) -> None:
        """The tree runs."""
        self._manager.tell({"READY": 1})


def starting(health: Callable[[], TreeHealth]) -> AbstractContextManager[object]:
    """While a tree starts: its status, and more time as long as its children need it."""
    return _told(health)


@contextmanager
def serving(health: Callable[[], TreeHealth]) -> Iterator[None]:
    """While a tree serves: ready, its status, signs of life, and that it stops. Signals must be handled already."""
    with _told(health) as service:
        if service is not None:
            service.ready()
        yield
        if service is not None:
            service.look()


@contextmanager
def reloading() -> Iterator[None]:
    """While the daemon reads its configuration again."""
    manager = ServiceManager.of(os.environ)
    if manager is not None:
        manager.tell({"RELOADING": 1, "MONOTONIC_USEC": time.monotonic_ns() // 1000})
    try:
        yield
    finally:
        if manager is not None:
            manager.tell({"READY": 1})


def _told(health: Callable[[], TreeHealth]) -> AbstractContextManager[Service | None]:
    manager = ServiceManager.of(os.environ)
    return nullcontext() if manager is None else _looking(Service(manager, health))


@contextmanager
def _looking(service: Service) -> Iterator[Service]:
    service.begin()
    try:
        yield service
    finally:
        service.end()
