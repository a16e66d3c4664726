"""FunctionLife: one life of a function as a spawned process.

Runs on the loop's thread.
"""

from __future__ import annotations

import signal

from supervisor.process.life import ProcessLife


class FunctionLife(ProcessLife):
    """One life of a function; `actors.child.function_main` is its process."""

    def stop(self) -> None:
        """Ask it to stop, and send SIGTERM, which raises SystemExit in the function now that it was asked."""
        super().stop()
        self._worker.signal(signal.SIGTERM)
