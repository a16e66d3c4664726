"""ProcessInspection: what is seen of a process from outside: its stacks, its memory, how the kernel treats it.

Runs on the loop's thread.
"""

from __future__ import annotations

from actors.ipc.blackbox import BlackBox
from actors.process.diagnostics import DUMP_SIGNAL
from actors.process.heartbeat import HEARTBEAT_SIGNAL
from supervisor.core.health.condition import Condition
from supervisor.process.spawn.worker_process import WorkerProcess
from supervisor.system.procfs import condition, resident_bytes


class ProcessInspection:
    """The part `supervisor.ports.life.Inspection` of a life in a process of this machine; a subclass sets its parts."""

    over: bool
    _box: BlackBox
    _last_text: str
    _worker: WorkerProcess

    @property
    def pid(self) -> int | None:
        """Its process id, None before the spawn."""
        return self._worker.pid

    def ask_heartbeat(self) -> bool:
        """Ask for a heartbeat; False on systems where there is none, and of a process that may not be sent a signal."""
        if HEARTBEAT_SIGNAL is None:
            return False
        if self.over:
            return True
        self._box.rewind()
        return self._worker.signal(HEARTBEAT_SIGNAL)

    def dump_stacks(self) -> None:
        """Have faulthandler write the Python stacks of all its threads, also when its interpreter is stuck.

        They are in `text` as soon as the kernel has let it run.
        """
        if not self.over:
            self._box.rewind()
            self._worker.signal(DUMP_SIGNAL)

    def condition(self) -> Condition:
        """How the kernel treats its process."""
        return condition(self.pid)

    def resident_bytes(self) -> int | None:
        """The resident memory of its process."""
        return None if self.pid is None else resident_bytes(self.pid)

    def text(self) -> str:
        """The stacks in its black box: those it was asked for last, and those of a fatal fault."""
        return self._last_text if self.over else self._box.text()

    def seen_at(self, now: int) -> int:
        """It is seen as it is."""
        return now
