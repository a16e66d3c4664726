"""Capacity: the senders that wait for room in a mailbox, first come first served.

A granted slot is reserved until used or returned; a cancelled sender's slot goes to the next.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

Slot = asyncio.Future[None]


class SendWaiters:
    """The senders that wait for room.

    Args:
        loop: of the senders.
        wake: grants free slots to the first waiters; called when a granted slot is not used.

    Attributes:
        granted: slots that were granted and are not used yet.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self.granted = 0
        self._loop = loop
        self._wake = wake
        self.slots: deque[Slot] = deque()

    @property
    def busy(self) -> bool:
        """Whether a sender waits, or has a granted slot it has not used yet."""
        return bool(self.slots) or self.granted > 0

    def join(self) -> Slot:
        """A waiter at the end of the queue; cancelling it leaves the queue."""
        place: Slot = self._loop.create_future()
        self.slots.append(place)
        return place

    async def wait(self, place: Slot, deadline: float | None) -> None:
        """Wait for a slot until `deadline` on the loop's clock; then it is the caller's.

        Raises:
            TimeoutError: there was none in time.
        """
        try:
            async with asyncio.timeout_at(deadline):
                await place
        except BaseException:
            if place.done() and not place.cancelled():
                self.granted -= 1
                self._wake()  # a slot was granted to a cancelled sender: the next one gets it
            else:
                with suppress(ValueError):
                    self.slots.remove(place)
            raise
        self.granted -= 1  # the caller uses it now, in the same turn of the loop

    def grant(self, free: int) -> None:
        """Grant this many slots to the first waiters."""
        while self.slots and free > 0:
            place = self.slots.popleft()
            if not place.done():
                place.set_result(None)
                self.granted += 1
                free -= 1
