"""Processless: the part of a launcher that is about processes, where there are none.

Runs on the thread of the loop that entered the supervisor.
"""

from __future__ import annotations

from collections.abc import Sequence

from supervisor.ports.launching import Expected


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
