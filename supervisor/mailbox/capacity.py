"""Capacity: how many messages may wait in one mailbox, and the senders that wait for room, first come first served.

A granted slot is reserved until it is used or returned; the slot of a cancelled sender goes to the next.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from supervisor.mailbox.consumers import Consumers

WATCHED: Final = 10_000  # ends of watched actors that may wait in a full mailbox: about one for each in a large tree
TELL_BATCH: Final = 512  # messages after which a sender that never yields to the loop dispatches them in its own call


class Capacity:
    """The room of one mailbox.

    Args:
        consumers: their queues hold the messages.
        most: how many messages may wait.
        most_bytes: how many bytes of messages may wait, None without a bound.
        loop: of the senders.
        clock: seconds, of the deadlines.

    Attributes:
        most: as above.
        fast_slots: messages that may be accepted before the room is computed again; each accepted one takes a slot.
        line: the senders that wait for room.
        granted: slots that were granted and are not used yet.
    """

    def __init__(
        self,
        consumers: Consumers,
        most: int,
        most_bytes: int | None,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
    ) -> None:
        self.most: Final = most
        self.fast_slots = 0
        self.line: deque[Place] = deque()
        self.granted = 0
        self.clock: Final = clock
        self._consumers = consumers
        self._most_bytes = most_bytes
        self._plenty = most if most_bytes is None else 0  # below so many messages there surely is room
        self._loop = loop
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether a new message must wait: there is no room, or other senders wait for it."""
        shared_queue = self._consumers.shared_queue
        if self.line or self.granted:
            return True
        return (shared_queue is None or shared_queue.unsettled >= self._plenty) and self.free <= 0

    @property
    def free(self) -> int:
        """How many more messages may wait; one that a handler has begun does not wait."""
        if self._full_of_bytes:
            return 0
        free = self.most - self._consumers.depth - self.granted
        return free if free > 0 else self.most - self.waiting - self.granted

    @property
    def waiting(self) -> int:
        """How many messages wait for a handler, those that are given to a life in advance too."""
        consumers = self._consumers
        return consumers.depth - sum(len(life.progress().active) for life in consumers.served.values())

    @property
    def crowd(self) -> str:
        """What takes the room of a full mailbox, in words."""
        if self._full_of_bytes:
            return f"messages of {self._total_bytes} bytes, and its mailbox holds {self._most_bytes}"
        count = min(self.waiting, self.most)  # one that is handled waits, by this count, until its outcome has come
        waiting = f"{count} message{'' if count == 1 else 's'} waiting"
        coming = f" and {self.granted} coming in" if self.granted else ""
        return f"{waiting}{coming}, as many as its mailbox holds"

    @property
    def bound(self) -> str:
        """The option of the spec that bounds a full mailbox."""
        return "mailbox_bytes" if self._full_of_bytes else "mailbox"

    @property
    def _total_bytes(self) -> int:
        return sum(queue.total_bytes for queue in self._consumers.queues.values())

    @property
    def _full_of_bytes(self) -> bool:
        return self._most_bytes is not None and self._total_bytes >= self._most_bytes

    @property
    def weighed(self) -> bool:
        """Whether bytes count."""
        return self._most_bytes is not None

    @property
    def room(self) -> int:
        """How many messages of one call may enter together now; none while others wait for room, or bytes count."""
        shared_queue = self._consumers.shared_queue
        if shared_queue is None or self._closed or self._most_bytes is not None or self.line or self.granted:
            return 0
        return self.most - shared_queue.unsettled

    @property
    def overfull(self) -> bool:
        """Whether far more messages wait than the capacity.

        Notices of its own watches need no room, but are bounded.
        """
        return self._consumers.depth > self.most + WATCHED

    def refresh(self) -> None:
        """Compute how many messages may be accepted without another look."""
        shared_queue = self._consumers.shared_queue
        if shared_queue is None or self._closed or self._most_bytes is not None or self.line or self.granted:
            self.fast_slots = 0
        else:
            self.fast_slots = min(TELL_BATCH, self.most - shared_queue.unsettled)

    def grant(self) -> None:
        """Grant free slots to the first waiters; when the actor is down for good, wake all of them."""
        line = self.line
        if not line:
            return
        free = len(line) if self._closed else self.free
        while line and free > 0:
            if line.popleft().grant():
                self.granted += 1
                free -= 1

    def join(self) -> Place:
        """A place at the end of the line."""
        self.fast_slots = 0  # no message overtakes
        place = Place(self, self._loop.create_future())
        self.line.append(place)
        return place

    def close(self) -> None:
        """The actor is down for good: wake all waiters."""
        self._closed = True
        self.fast_slots = 0
        self.grant()

    def open(self) -> None:
        """The actor is started again."""
        self._closed = False


class Place:
    """A sender's place in the line."""

    __slots__ = ("_capacity", "_left", "_slot")

    def __init__(self, capacity: Capacity, slot: asyncio.Future[None]) -> None:
        self._capacity = capacity
        self._slot = slot
        self._left = False

    def grant(self) -> bool:
        """Wake the sender; False when it has left."""
        if self._slot.done():
            return False
        self._slot.set_result(None)
        return True

    def leave(self) -> None:
        """Leave the line. A slot that was granted and is not used yet goes to the next when `wait` returns."""
        self._left = True
        self._slot.cancel()
        with suppress(ValueError):
            self._capacity.line.remove(self)

    async def wait(self, deadline: float | None) -> None:
        """Wait for a slot until `deadline`; then it is the caller's, which uses it in the same turn of the loop.

        Raises:
            TimeoutError: there was none in time.
            asyncio.CancelledError: the sender has left the line.
        """
        capacity = self._capacity
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - capacity.clock())):
                if self._slot.done():  # before this task has run; those who wait longer were woken and run next
                    await asyncio.sleep(0)
                await self._slot
        except BaseException:
            if self._slot.done() and not self._slot.cancelled():
                self._return()
            else:
                self.leave()
            raise
        if self._left:
            self._return()
            raise asyncio.CancelledError
        capacity.granted -= 1

    def _return(self) -> None:
        self._capacity.granted -= 1
        self._capacity.grant()
