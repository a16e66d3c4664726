"""LineWriter: `sys.stdout` and `sys.stderr` of an actor, whose lines leave as records.

It is a text stream. A line is sent when it is complete or flushed; one that gets long is sent in pieces, which the
daemon puts together again.

Runs in the actor's process, on any of its threads. Bytes written to `.buffer` go straight to the descriptor.
"""

from __future__ import annotations

import io

from actors.ipc.output_pipe import OutputPipe
from actors.wire.log_lines import LONG, PRINTED, PRINTED_ON, pieces


class LineWriter(io.TextIOWrapper):
    """A text stream.

    Args:
        output_pipe: where the lines go.
        fd: the descriptor it stands for.
        stream: its name in the records.
        level: the level of its lines.
    """

    def __init__(self, output_pipe: OutputPipe, fd: int, stream: str, level: str) -> None:
        raw = io.FileIO(fd, "w", closefd=False)
        super().__init__(raw, encoding="utf-8", errors="backslashreplace", write_through=True)
        self._output_pipe = output_pipe
        self._stream = stream
        self._level = level
        self._partial = ""
        self._begun = False  # whether a part of the unfinished line was sent

    def write(self, text: str, /) -> int:
        """Take text; send the lines it completes.

        Raises:
            ValueError: the stream is closed.
            TypeError: it is not text.
        """
        self._check_open()
        with self._output_pipe.lock:
            *lines, rest = (self._partial + text).split("\n")
            at = len(rest) - len(rest) % LONG
            self._partial = rest[at:]  # before the lines are sent: a signal handler may print, too
            for line in lines:
                self._say(line, PRINTED)
            if at:
                self._say(rest[:at], PRINTED_ON)
        return len(text)

    def flush(self) -> None:
        """Send the unfinished line, too; what follows begins another.

        Raises:
            ValueError: the stream is closed.
        """
        self._check_open()
        with self._output_pipe.lock:
            if self._partial or self._begun:
                partial, self._partial = self._partial, ""
                self._say(partial, PRINTED)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")

    def _say(self, line: str, event: str) -> None:
        """Send a line, or a part of one; what is too long for one record makes several, nothing is cut."""
        self._begun = event == PRINTED_ON
        clean = line if line.isascii() else line.encode("utf-8", "backslashreplace").decode()
        *before, last = pieces(clean if self._begun else clean.rstrip("\r"))
        for piece in before:
            self._output_pipe.say(self._level, PRINTED_ON, {"stream": self._stream, "text": piece})
        self._output_pipe.say(self._level, event, {"stream": self._stream, "text": last})
