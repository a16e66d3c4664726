"""An actor that says under which conditions it runs."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from actors import Actor, Message, handles


class Where(Message[dict[str, str]]):
    pass


class Located(Actor):
    @handles
    def where(self, msg: Where) -> dict[str, str]:
        return {
            "env": os.environ.get("COLOUR", ""),
            "cwd": str(Path.cwd()),
            "nofile": str(resource.getrlimit(resource.RLIMIT_NOFILE)),
            "as": str(resource.getrlimit(resource.RLIMIT_AS)),
            "cpus": str(sorted(os.sched_getaffinity(0))),
            "nice": str(os.getpriority(os.PRIO_PROCESS, 0)),
        }
