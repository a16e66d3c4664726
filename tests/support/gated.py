"""An actor whose start waits for a file."""

from __future__ import annotations

import time
from pathlib import Path

from actors import Actor


class Gated(Actor):
    """Ready once its gate is open."""

    def __init__(self, gate: str) -> None:
        Path(gate + ".begun").touch()
        while not Path(gate).exists():
            time.sleep(0.005)
