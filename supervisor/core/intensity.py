"""How many restarts lie in the window that slides behind now.

Law: OTP's algorithm: add this restart, drop those older than `period`, and the supervisor may go on if no
more than `max_restarts` are left. A restart exactly `period` old still counts.
May import: specs.
"""

from __future__ import annotations

import msgspec

from supervisor.specs import Intensity


class Window(msgspec.Struct, frozen=True):
    """The restarts that may still count, oldest first, in the machine's seconds."""

    restarts: tuple[float, ...] = ()

    def add(self, now: float, intensity: Intensity) -> Window:
        """The window with one more restart, and without those that have left it."""
        return Window((*self._since(now - intensity.period), now))

    def held(self, now: float, intensity: Intensity) -> int:
        """How many restarts the window holds now."""
        return len(self._since(now - intensity.period))

    def exceeds(self, intensity: Intensity) -> bool:
        """Whether it holds more than allowed; asked right after `add`."""
        return intensity.max_restarts is not None and len(self.restarts) > intensity.max_restarts

    def _since(self, oldest: float) -> tuple[float, ...]:
        return tuple(at for at in self.restarts if at >= oldest)
