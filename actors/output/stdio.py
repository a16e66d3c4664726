"""LineWriter: `sys.stdout` and `sys.stderr` of an actor, whose lines leave as records.

It is a text stream. A line is sent when it is complete, when it is flushed, or when it gets long.

Runs in the actor's process, on any of its threads. Bytes written to `.buffer` go straight to the descriptor.
"""

from __future__ import annotations

import io

from actors.ipc.output_pipe import OutputPipe
from actors.wire.log_lines import LONG, PRINTED, pieces


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
            if at:
                lines.append(rest[:at])
            self._partial = rest[at:]  # before the lines are sent: a signal handler may print, too
            for line in lines:
                self._say(line)
        return len(text)

    def flush(self) -> None:
        """Send the unfinished line, too; what follows begins another.

        Raises:
            ValueError: the stream is closed.
        """
        self._check_open()
        with self._output_pipe.lock:
            if self._partial:
                partial, self._partial = self._partial, ""
                self._say(partial)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")

    def _say(self, line: str) -> None:
        """Send a line; one that is too long for one record makes several, nothing is cut."""
        clean = line if line.isascii() else line.encode("utf-8", "backslashreplace").decode()
        for piece in pieces(clean.rstrip("\r")):
            self._output_pipe.say(self._level, PRINTED, {"stream": self._stream, "text": piece})
