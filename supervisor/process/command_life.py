"""CommandLife: one life of a command: a spawned process that executes another program.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.wire.to_child import StartActor
from supervisor.ports.life import LifeListener
from supervisor.process.life import LifeServices, ProcessLife
from supervisor.process.spawn.worker_process import WorkerProcess


class CommandLife(ProcessLife):
    """One life of a command; `actors.child.command_main` is its process until the exec.

    Its listener's `life_ready` means that the program was executed; it may have ended since.

    Attributes:
        stop_signal: number of the signal that asks it to stop.
    """

    def __init__(
        self, worker: WorkerProcess, start: StartActor, listener: LifeListener, services: LifeServices
    ) -> None:
        super().__init__(worker, start, listener, services)
        self.stop_signal = 0
        self._unsent = False  # the stop signal, since there was no process yet
        self._executes = False

    def await_line(self, awaits: Callable[[bytes], bool]) -> None:
        """Of what it writes too fast to be logged, take the line for which this is true. It runs in another thread."""
        self._transcript.awaits = awaits

    def stop(self) -> None:
        """Send it the stop signal; before its process is there, ask for that."""
        self._unsent = self.pid is None
        super().stop()
        self._worker.signal(self.stop_signal)

    def _became_ready(self) -> None:
        """It is about to execute its program. When that has worked, its channel ends."""

    def _channel_ended(self) -> None:
        if not self.said_farewell and self._ready.is_set():
            self._executed()
        super()._channel_ended()

    def _lose_channel(self, why: str) -> None:
        """The exec has closed its channel, or it is about to end."""
        if not self._executes and not self._ready.is_set():
            super()._lose_channel(why)

    def _executed(self) -> None:
        self._executes = True
        if self._unsent:
            self._worker.signal(self.stop_signal)
        self._services.on_ready(self)
        self._listener.life_ready()
