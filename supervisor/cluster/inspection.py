"""RemoteInspection: what is seen of a process on another machine from here: what its last sample says.

Runs on the loop's thread.
"""

from __future__ import annotations

import msgspec

from supervisor.cluster.link import wire
from supervisor.cluster.link.link import Link
from supervisor.cluster.mirror import Mirror
from supervisor.core.health.condition import Condition


class RemoteInspection:
    """The part `supervisor.ports.life.Inspection` of a life on another machine; a subclass sets its parts.

    Attributes:
        over: whether the life has ended.
        pid: its process id on its machine, None before the spawn.
        number: of the life on its agent.
    """

    over: bool
    pid: int | None
    number: int
    _box: Mirror
    _link: Link | None
    _last_text: str

    def ask_heartbeat(self) -> bool:
        """Ask for a heartbeat."""
        self._box.rewind()
        self._tell(wire.AskHeartbeat(self.number))
        return True

    def dump_stacks(self) -> None:
        """Ask for its stacks."""
        self._box.rewind()
        self._tell(wire.DumpStacks(self.number))

    def condition(self) -> Condition:
        """How the kernel treated its process a moment ago."""
        return self._box.condition

    def resident_bytes(self) -> int | None:
        """The resident memory of its process a moment ago."""
        return self._box.resident

    def text(self) -> str:
        """The stacks it has written."""
        return self._last_text if self.over else self._box.text()

    def seen_at(self, now: int) -> int:
        """When its last sample was read."""
        return now if self.over else min(now, self._box.read)

    def _tell(self, value: msgspec.Struct) -> None:
        """Tell its agent, which may not be there yet."""
        if self._link is not None and not self.over:
            self._link.send(value)
