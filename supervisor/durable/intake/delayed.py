"""Delayed: the delayed tells of a durable mailbox. They wait in the store; one timer is set for the first of them.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from supervisor.durable.stored import StoredMailbox
from supervisor.store.errors import StoreError

AT_ONCE: Final = 500  # messages that enter the mailbox in one group
LONGEST: Final = 60.0  # seconds until the clock of the wall is looked at again: it may be set, the machine may sleep
PATIENCE: Final = 1.0  # seconds until the store is asked again after an error


class Delayed:
    """The delayed tells of one mailbox.

    Args:
        stored: its side of the store.
        loop: its timers are used.
        entered: called with the last number of messages that have entered the mailbox, and how many.
    """

    def __init__(
        self, stored: StoredMailbox, loop: asyncio.AbstractEventLoop, entered: Callable[[int, int], None]
    ) -> None:
        self._stored = stored
        self._loop = loop
        self._entered = entered
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")  # time.time() for which the timer is set
        self._task: asyncio.Task[None] | None = None
        self._again = False  # whether something fell due while the store was read, which may not have seen it
        self._closed = False
        stored.on_postponed = self._announce

    def look(self) -> None:
        """Let in what is due, and set the timer for what follows."""
        self._closed = False
        self._look()

    def close(self) -> None:
        """The messages stay in the store."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _announce(self, due: float) -> None:
        """A message is stored that is due then."""
        if due < self._due and not self._closed:
            self._set(due)

    def _set(self, due: float) -> None:
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(min(max(0.0, due - time.time()), LONGEST), self._look)

    def _look(self) -> None:
        if self._closed:
            return
        self._due = float("inf")
        self._again = self._task is not None and not self._task.done()
        if not self._again:
            self._task = self._loop.create_task(self._let_in())

    async def _let_in(self) -> None:
        try:
            waiting = await self._stored.store.delayed(self._stored.name, AT_ONCE)
        except StoreError as error:
            self._stored.reading.note(error)
            self._set(time.time() + PATIENCE)
            return
        self._stored.reading.note(None)
        now = time.time()
        due = [one.message.seq for one in waiting if one.due <= now]
        later = next((one.due for one in waiting if one.due > now), None)
        if due:
            self._stored.fall_due(due, partial(self._fell, len(due)))
        elif self._again:
            self._set(now)
        elif later is not None and later < self._due:
            self._set(later)

    def _fell(self, count: int, last: int | None) -> None:
        if last is not None:
            self._entered(last, count)
        self._set(time.time() + (0.0 if last is not None else PATIENCE))
