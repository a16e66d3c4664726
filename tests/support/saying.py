"""A voice without a pipe."""

from __future__ import annotations

from actors.lines import read_line
from actors.voice import Voice


class KeptVoice(Voice):
    """A voice that keeps what is said, as it would be read."""

    def __init__(self):
        super().__init__(-1)
        self.said = []

    def send(self, line):
        self.said += read_line(line.removesuffix(b"\n"))
