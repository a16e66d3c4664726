"""A load for the chaos suite: senders with a model of what they sent, and a ticker that measures the loop."""

from __future__ import annotations

import asyncio
import time

from actors import ActorCrashed
from supervisor import Supervisor
from tests.support.doomed import Note

TELLS = 20  # for each ask
PAUSE = 0.003  # seconds between asks: a load, not a benchmark


class Sender:
    """Sends notes to one actor, tells and asks, for as long as it may."""

    def __init__(self, root: Supervisor, name: str) -> None:
        self.sent = 0
        self.wrong: list[object] = []
        self._ref = root[name]
        self._over = False
        self._task = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while not self._over:
            for _ in range(TELLS):
                self.sent += 1
                await self._ref.tell(Note(self.sent))
            self.sent += 1
            try:
                answer = await self._ref.ask(Note(self.sent), timeout=None)
            except ActorCrashed:
                continue
            if answer != self.sent:
                self.wrong.append((self.sent, answer))
            await asyncio.sleep(PAUSE)

    async def end(self) -> None:
        """Stop sending; everything is sent."""
        self._over = True
        await self._task


class Ticker:
    """Measures how long the loop does not come to a task that wants every millisecond.

    While all cores have other work a task waits for one of them, whatever the loop does. How long the daemon computed
    meanwhile tells the two apart.

    Attributes:
        longest: the longest stall, in seconds.
        computed: the most processor time of the loop's thread in one stall.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.computed = 0.0
        self._task = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            began, used = time.monotonic(), time.thread_time()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.monotonic() - began - 0.001)
            self.computed = max(self.computed, time.thread_time() - used)

    def end(self) -> float:
        """Stop; the longest stall in seconds."""
        self._task.cancel()
        return self.longest
