"""An actor whose module says in a file which process imports it, and may wait there for a gate."""

from __future__ import annotations

import os
import time
from pathlib import Path

from actors import Actor, Message, handles

if "ACTORS_TEST_MARK" in os.environ:
    Path(os.environ["ACTORS_TEST_MARK"], str(os.getpid())).touch()
while "ACTORS_TEST_GATE" in os.environ and not Path(os.environ["ACTORS_TEST_GATE"]).exists():
    time.sleep(0.005)


class Pid(Message[int]):
    pass


class Marked(Actor):
    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()
