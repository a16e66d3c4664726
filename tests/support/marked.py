"""An actor whose module says in a file which process has imported it."""

from __future__ import annotations

import os
from pathlib import Path

from actors import Actor, Message, handles

if "ACTORS_TEST_MARK" in os.environ:
    Path(os.environ["ACTORS_TEST_MARK"], str(os.getpid())).touch()


class Pid(Message[int]):
    pass


class Marked(Actor):
    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()
