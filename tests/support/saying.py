"""A voice without a pipe."""

from __future__ import annotations

from actors.ipc.output_pipe import OutputPipe
from actors.wire.log_lines import read_line


class KeptVoice(OutputPipe):
    """A voice that keeps what is said, as it would be read."""

    def __init__(self):
        super().__init__(-1)
        self.said = []

    def send(self, line):
        self.said += read_line(line.removesuffix(b"\n"))
