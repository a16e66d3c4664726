"""Storing: a message on its way into the store, and its sender, who waits for the commit.

Used on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

from actors.wire.frames import TELL
from supervisor.mailbox.intake.entry import Entry, Taken, Wait
from supervisor.store.errors import StoreError
from supervisor.store.writes import Write


class Storing(Wait):
    """A message that is being stored.

    Args:
        entry: the message.
        loop: of the sender.
        due: when the message enters the mailbox, in seconds since the epoch; None for now.
        notes: what is stored with the message.

    Attributes:
        entry, due, notes: as above.
        abandoned: whether its asker went away before it was stored: then it ends at once. A tell is sent even so.
    """

    def __init__(
        self, entry: Entry, loop: asyncio.AbstractEventLoop, due: float | None = None, notes: Sequence[Write] = ()
    ) -> None:
        self.entry = entry
        self.due = due
        self.notes = notes
        self.abandoned = False
        self._loop = loop
        self._number: asyncio.Future[int] = loop.create_future()

    def stored(self, seq: int) -> None:
        """It is stored, under this number."""
        if not self._number.done():
            self._number.set_result(seq)

    def failed(self, error: StoreError) -> None:
        """It is not stored."""
        if not self._number.done():
            self._number.set_exception(StoreError(str(error)))  # each sender its own

    def cancel(self) -> None:
        """The sender no longer waits."""
        self._abandon()
        self._number.cancel()

    def forget(self, failed: Callable[[BaseException], None]) -> None:
        """No sender waits: an error is told to `failed`."""

        def over(number: asyncio.Future[int]) -> None:
            error = None if number.cancelled() else number.exception()
            if error is not None:
                failed(error)

        self._number.add_done_callback(over)

    async def taken(self, deadline: float | None = None) -> Taken:
        """Wait until it is stored, until `deadline` on the monotonic clock.

        Raises:
            TimeoutError: it was not stored in time.
            StoreError: it cannot be stored.
        """
        late = None if deadline is None else max(0.0, deadline - monotonic()) + self._loop.time()
        try:
            async with asyncio.timeout_at(late):
                return Taken(await self._number)
        except (asyncio.CancelledError, TimeoutError):
            self._abandon()
            raise

    def _abandon(self) -> None:
        self.abandoned = self.entry.kind != TELL and self.entry.key is None
