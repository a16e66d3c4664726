"""Capture: routes what an actor writes outside its log: prints, loggers, C libraries, child processes.

What is captured arrives in the daemon's log. No logging library is imported that the actor has not imported.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Final

from actors.ipc.output_pipe import OutputPipe
from actors.output.stdio import LineWriter

_BY_LINES: Final = 1  # C's _IOLBF


class Output:
    """Captures the output of one life.

    Attributes:
        level: of the root logger, where the actor sets none: the daemon's; None once it is set.
    """

    def __init__(self, output_pipe: OutputPipe, *, captured: bool) -> None:
        self.output_pipe = output_pipe
        self.level: int | None = None
        self._captured = captured

    def begin(self) -> None:
        """Redirect descriptors 1 and 2 and Python's streams into the output pipe.

        Called before any of the actor's code.
        """
        if not self._captured:
            self.output_pipe.open()
            return
        flush_streams()
        self.output_pipe.open(1, 2)
        _print_by_lines()
        sys.stdout = LineWriter(self.output_pipe, 1, "stdout", "info")
        sys.stderr = LineWriter(self.output_pipe, 2, "stderr", "warning")

    def relay_loggers(self) -> None:
        """Relay logging libraries. Called after code of the actor that may have imported or configured them."""
        if not self._captured:
            return
        if "logging" in sys.modules:
            from actors.output.log_stdlib import relay_logging  # noqa: PLC0415 - it imports logging

            relay_logging(self.output_pipe, self.level)
            self.level = None
        if "structlog" in sys.modules:
            from actors.output.log_structlog import relay_structlog  # noqa: PLC0415 - it imports structlog

            relay_structlog(self.output_pipe)


def _print_by_lines() -> None:
    """Make C's stdout line-buffered, as on a terminal: lines keep their order and survive a crash."""
    if sys.platform == "linux":
        from actors.process import libc  # noqa: PLC0415 - it is there, see `process.setup.bind`

        with contextlib.suppress(OSError):
            libc.call("setvbuf", libc.pointer("stdout"), None, _BY_LINES, 0)


def flush_streams() -> None:
    """Flush unfinished lines. A stream that cannot be written is closed, or flushing at exit would fail again."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):  # the disk is full, or the actor closed it
                with contextlib.suppress(OSError, ValueError):
                    stream.close()
