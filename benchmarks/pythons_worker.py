"""The actor of the benchmark of Pythons; apart from it, so that its process imports nothing else."""

from __future__ import annotations

import os
import time

from actors import Actor, Message, handles


class Begun(Message[tuple[int, float]]):
    """Replied: its process id, and the seconds of processor time that its process has taken."""


class Idle(Actor):
    @handles
    def begun(self, msg: Begun) -> tuple[int, float]:
        return os.getpid(), time.process_time()
