"""Snapshots: the tree as it is now, taken once for all clients that ask meanwhile.

    ask, ask, ask ─▶ one snapshot, begun after all of them ─▶ one frame ─▶ each of them

So whatever the number of clients, snapshots take a small share of the loop's time, and a client that has changed
something sees it.

Runs on the loop's thread, in slices.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from functools import cached_property
from typing import Final

from supervisor.control.frames import Tree
from supervisor.control.framing import framed
from supervisor.control.look.slices import in_slices
from supervisor.control.look.slim import slim
from supervisor.tree.engine import Engine
from supervisor.tree.look import steps_of
from supervisor.tree.snapshot import SupervisorSnapshot

PAUSE: Final = 9.0  # of the time that a snapshot took, before the next one
LONGEST: Final = 1.0  # seconds of such a pause
BURST: Final = 4  # snapshots that may follow each other without a pause, as those of one command do
SPAN: Final = 0.4  # seconds in which there are no more of them than these


class Taken:
    """A snapshot.

    Attributes:
        tree: what it shows.
    """

    def __init__(self, tree: SupervisorSnapshot) -> None:
        self.tree = tree
        self._at = time.time()

    @cached_property
    def frame(self) -> bytes:
        """The reply to `ShowTree`."""
        return framed(Tree(self._at, slim(self.tree)))


class Snapshots:
    """Takes the snapshots of one tree."""

    def __init__(self, root: Engine) -> None:
        self._root = root
        self._loop = root.tree.loop
        self._now: asyncio.Task[Taken] | None = None  # the last one that was begun
        self._next: asyncio.Task[Taken] | None = None  # the one that waits to begin
        self._not_before = 0.0
        self._began: deque[float] = deque(maxlen=BURST)

    def close(self) -> None:
        """Take no more."""
        for task in (self._now, self._next):
            if task is not None:
                task.cancel()

    async def take(self) -> Taken:
        """A snapshot that is begun after this call, soon."""
        if self._next is None:
            self._next = self._loop.create_task(self._take(self._now))
        return await asyncio.shield(self._next)

    async def _take(self, before: asyncio.Task[Taken] | None) -> Taken:
        if before is not None and not before.done():
            await asyncio.wait([before])
        await asyncio.sleep(max(0.0, self._not_before - self._loop.time()))
        self._now, self._next = self._next, None
        began = self._loop.time()
        self._began.append(began)
        tree = await in_slices(steps_of(self._root))
        ended = self._loop.time()
        self._not_before = ended + min(LONGEST, PAUSE * (ended - began))
        if len(self._began) == BURST:
            self._not_before = max(self._not_before, self._began[0] + SPAN)
        return Taken(tree)
