"""Line: those who wait for room in a mailbox, first come first served.

Room that was given to somebody is nobody else's until it is taken or passed on; whoever leaves leaves no gap.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

Slot = asyncio.Future[None]


class SendWaiters:
    """Who waits for room.

    Args:
        loop: of those who wait.
        wake: gives the room there is to those first in line; called when one who was given room does not take it.

    Attributes:
        granted: places that were given to some of them and are not taken yet.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self.granted = 0
        self._loop = loop
        self._wake = wake
        self._places: deque[Slot] = deque()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def busy(self) -> bool:
        """Whether anybody waits, or has been given room and not taken it yet."""
        return bool(self._places) or self.granted > 0

    def join(self) -> Slot:
        """A place at the end; cancelling it leaves the line."""
        place: Slot = self._loop.create_future()
        self._places.append(place)
        return place

    async def wait(self, place: Slot, deadline: float | None) -> None:
        """Wait for one's turn, until `deadline` on the loop's clock at most; then the room is the caller's.

        Raises:
            TimeoutError: it was not in time.
        """
        try:
            async with asyncio.timeout_at(deadline):
                await place
        except BaseException:
            if place.done() and not place.cancelled():
                self.granted -= 1
                self._wake()  # the room was given to us, and we go: the next one may have it
            else:
                with suppress(ValueError):
                    self._places.remove(place)
            raise
        self.granted -= 1  # whoever called takes it now, in the same turn of the loop

    def grant(self, free: int) -> None:
        """Give so many places to those who are first."""
        while self._places and free > 0:
            place = self._places.popleft()
            if not place.done():
                place.set_result(None)
                self.granted += 1
                free -= 1
