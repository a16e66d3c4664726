"""Snapshots: the tree as it is now, taken once for all clients that ask meanwhile.

    ask, ask, ask ─▶ one snapshot, begun after all of them ─▶ one frame ─▶ each of them

So whatever the number of clients, snapshots take a small share of the loop's time, and a client that has changed
something sees it.

Runs on the loop's thread, in slices.
"""

from __future__ import annotations

import asyncio
import time
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
DISTANCE: Final = 0.2  # seconds from one to the next, on average, of many
FEW: Final = 16  # of those who get one together: as many in a turn of the loop


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
        self._waiting: list[asyncio.Future[Taken]] = []  # for the next one
        self._served: list[asyncio.Future[Taken]] = []  # by the one that is being taken, or was last
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._due = 0.0  # when the next one would be begun, had all of them kept their distance

    def close(self) -> None:
        """Take no more."""
        if self._task is not None:
            self._task.cancel()
        for waits in (*self._served, *self._waiting):
            waits.cancel()

    def take(self) -> asyncio.Future[Taken]:
        """A snapshot that is begun after this call, soon."""
        taken: asyncio.Future[Taken] = self._loop.create_future()
        self._waiting.append(taken)
        if self._task is None:
            self._task = self._loop.create_task(self._work())
        return taken

    async def _work(self) -> None:
        """Take snapshots as long as somebody waits for one."""
        try:
            while self._waiting:
                await asyncio.sleep(max(0.0, self._not_before - self._loop.time()))
                self._served, self._waiting = self._waiting, []
                taken = await self._take()
                for number, waits in enumerate(self._served):
                    if not waits.done():
                        waits.set_result(taken)
                    if number % FEW == FEW - 1:
                        await asyncio.sleep(0)
        except Exception as error:
            for waits in (*self._served, *self._waiting):
                if not waits.done():
                    waits.set_exception(error)
            self._waiting = []
        finally:
            self._task = None

    async def _take(self) -> Taken:
        began = self._loop.time()
        tree = await in_slices(steps_of(self._root))
        ended = self._loop.time()
        self._due = max(self._due, began) + DISTANCE
        self._not_before = max(ended + min(LONGEST, PAUSE * (ended - began)), self._due - (BURST - 1) * DISTANCE)
        return Taken(tree)
