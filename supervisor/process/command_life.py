"""CommandLife: one life of a command: a spawned process that executes another program.

Runs on the loop's thread.
"""

from __future__ import annotations

from typing import Final

from actors.wire.frames import StartActor
from supervisor.ports import LifeListener
from supervisor.process.life import LifeServices, ProcessLife
from supervisor.process.worker_process import WorkerProcess

SETTLE: Final = 0.01  # seconds from the end of a dying process's descriptors to its own


class CommandLife(ProcessLife):
    """One life of a command; `actors.child.command_main` is its process until the exec.

    Its listener's `life_ready` means that the program runs.

    Attributes:
        stop_signal: number of the signal that asks it to stop.
    """

    def __init__(self, worker: WorkerProcess, part: StartActor, listener: LifeListener, services: LifeServices) -> None:
        super().__init__(worker, part, listener, services)
        self.stop_signal = 0
        self._unsent = False

    def stop(self) -> None:
        """Send it the stop signal; before its process is there, ask for that."""
        self._unsent = self.pid is None
        super().stop()
        self._worker.signal(self.stop_signal)

    def _no_reader(self) -> None:
        """The exec has closed its channel, or its end has."""
        if self._farewell is None:
            self._loop.call_later(SETTLE, self._executed)
        else:
            super()._no_reader()

    def _executed(self) -> None:
        if self.over or self._worker.dead:
            return
        if self._unsent:
            self._worker.signal(self.stop_signal)
        self._became_ready()
