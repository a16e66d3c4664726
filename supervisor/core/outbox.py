"""The commands that one event leads to, in the order they were decided, and the timers that are set.

Law: a timer that is not set here does not exist: its firing changes nothing. As long as a child's spec is
kept, no name of a timer of its own is used twice, so a late firing is never taken for another.
May import: commands and events.
"""

from __future__ import annotations

import math

from supervisor.core.commands import AnyCommand, CancelTimer, SetTimer
from supervisor.core.events import Timer


class Outbox:
    """Where the machine puts what it decides."""

    def __init__(self) -> None:
        self._said: list[AnyCommand] = []
        self._set: set[Timer] = set()

    def say(self, command: AnyCommand) -> None:
        """Add a command."""
        self._said.append(command)

    def arm(self, timer: Timer, after: float) -> None:
        """Set a timer, unless it is set already; an infinite one needs none."""
        if timer not in self._set and not math.isinf(after):
            self._set.add(timer)
            self.say(SetTimer(timer, after))

    def disarm(self, timer: Timer) -> None:
        """Cancel a timer if it is set."""
        if timer in self._set:
            self._set.remove(timer)
            self.say(CancelTimer(timer))

    def fired(self, timer: Timer) -> bool:
        """Whether this firing is of a timer that is set; it is not any more."""
        if timer not in self._set:
            return False
        self._set.remove(timer)
        return True

    def take(self) -> tuple[AnyCommand, ...]:
        """All commands since the last time."""
        said = tuple(self._said)
        self._said.clear()
        return said
