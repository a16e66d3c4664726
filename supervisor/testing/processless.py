"""Processless: the parts of a launcher and of a life that are about processes, where there are none.

Runs on the thread of the loop that entered the supervisor.
"""

from __future__ import annotations

from collections.abc import Sequence

from supervisor.core.health.condition import Condition
from supervisor.ports.launching import Expected
from supervisor.system.procfs import condition


class Processless:
    """A launcher without processes: it has no spares, prepares nothing, and has nothing to end."""

    def check_main(self) -> None:
        """See `Launcher`."""

    @property
    def spares(self) -> int:
        """See `Launcher`."""
        return 0

    def expect(self, supervisor: str, lives: Sequence[Expected]) -> None:
        """See `Launcher`."""

    def preload(self, module: str, main: dict[str, bytes]) -> None:
        """See `Launcher`."""

    def wind_down(self) -> None:
        """See `Launcher`."""

    async def close(self) -> None:
        """See `Launcher`."""


class NoProcess:
    """What `Inspection` says of the process of a life that has none."""

    @property
    def pid(self) -> int | None:
        """See `Life`; there is no process."""
        return None

    def condition(self) -> Condition:
        """See `Life`; there is no process."""
        return condition(None)

    def resident_bytes(self) -> int | None:
        """See `Life`; there is no process."""
        return None

    def seen_at(self, now: int) -> int:
        """See `Life`."""
        return now
