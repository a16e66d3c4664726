"""House: what all supervisors of one tree share.

Law: it owns the tree's directory, topics, waits and dice; nothing of it is global.
May import: directory, topics, reports, ports, letters, core.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from supervisor.core.fates import Fate
from supervisor.core.waits import Waits
from supervisor.directory import Directory
from supervisor.ports import Launcher
from supervisor.reports import Reports
from supervisor.topics import Topics


class House:
    """What all supervisors of one tree share."""

    def __init__(self, loop: asyncio.AbstractEventLoop, launcher: Launcher, reports: Reports) -> None:
        self.loop = loop
        self.launcher = launcher
        self.reports = reports
        self.directory = Directory()
        self.waits = Waits()
        self.stop_reason = Fate.ACTOR_STOPPED  # of messages for who is down for good; SHUTDOWN once all are to be
        self.topics = Topics()
        self.dice = random.Random()  # noqa: S311 - jitter is no secret
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let something go on by itself, until the tree ends."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
