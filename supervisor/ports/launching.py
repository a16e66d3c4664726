"""Launching: what starts lives, on the daemon's machine and on others."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from actors.wire.to_child import StartActor
from supervisor.core.place import Place
from supervisor.core.rules.spare_count import SpareCount
from supervisor.ports.life import CommandListener, Control, Inspected, Life, LifeListener
from supervisor.ports.reading import AnyReader

if TYPE_CHECKING:
    from actors.child.function_main import Call


class ActorLauncher(Protocol):
    """Starts lives of actors."""

    def launch(self, start: StartActor, lanes: int, listener: LifeListener) -> Life:
        """Start a life; `listener` is called later, never during this call."""


class Machines(Protocol):
    """The machines of a cluster, as one tree uses them."""

    def at(self, place: Place) -> ActorLauncher:
        """What starts lives at that place."""

    def preload(self, module: str, main: dict[str, bytes]) -> None:
        """As `Launcher.preload`, on every machine."""

    def wind_down(self) -> None:
        """No more lives are expected: spares may end."""

    async def close(self) -> None:
        """No more lives, and all have ended. Returns when nothing of the tree is left on them."""


class MachinesSay(Protocol):
    """Takes what happens to the machines of a tree; called on the loop's thread."""

    def node_joined(self, node: str) -> None:
        """A machine can start lives."""

    def node_failed(self, node: str, why: str) -> None:
        """No life can start on a machine; others are taken while there are some."""

    def node_lost(self, node: str, why: str) -> None:
        """A machine is gone, and every life there."""

    def orphan_reaper_lost(self, supervisor: str, why: str) -> None:
        """Processes that dead actors left behind stay until another orphan reaper runs."""

    def spare_failed(self, supervisor: str, module: str | None, why: str) -> None:
        """A spare failed."""


class Cluster(Protocol):
    """Other machines on which a tree may start actors; a value until a tree enters it."""

    def enter(
        self, path: str, loop: AbstractEventLoop, reader: AnyReader, spares: SpareCount, say: MachinesSay
    ) -> Machines:
        """The machines for one tree. Returns at once; nothing is started before the first life.

        Args:
            path: of the tree.
            loop: of the tree.
            reader: waits for what the machines send.
            spares: how many are kept on each.
            say: takes what happens to the machines.
        """


class Expected(NamedTuple):
    """A life that is about to start.

    Attributes:
        path: the actor's path.
        module: where its class is imported from.
        main: how the daemon's main module is imported, as pairs; empty when it is not.
        lanes: of its black box.
    """

    path: str
    module: str
    main: tuple[tuple[str, bytes], ...]
    lanes: int


class Launcher(ActorLauncher, Protocol):
    """Starts lives on the daemon's machine."""

    def launch_function(self, start: StartActor, call: Call, listener: LifeListener) -> Inspected:
        """Start a function in a fresh process; `listener` is called later, never during this call."""

    def launch_command(
        self, start: StartActor, argv: tuple[str, ...], stop_signal: int, listener: CommandListener
    ) -> Control:
        """Start a program; `listener` is called later. Its `life_ready` means that the program was executed."""

    def expect(self, supervisor: str, lives: Sequence[Expected]) -> None:
        """These lives of a supervisor are about to start, one after the other: their processes may be spawned ahead.

        It replaces what the supervisor expected before.
        """

    def check_main(self) -> None:
        """Check that what it launches can import the daemon's main module.

        Raises:
            UsageError: it cannot, or would start the daemon again.
        """

    @property
    def spares(self) -> int:
        """How many spares wait."""

    def preload(self, module: str, main: dict[str, bytes]) -> None:
        """A module will be needed: spares may import it. `main` says how the daemon's main module is imported."""

    def wind_down(self) -> None:
        """No more lives are expected: spares may end."""

    async def close(self) -> None:
        """No more lives, and all have ended. Returns when no process is left."""
