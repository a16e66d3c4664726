"""Storing: messages on their way into the store, and their senders, who wait for the commit.

    Storing: one message, of any kind
    StoringTells: tells of the daemon that follow each other; each sender waits for its own
    StoringParcel: tells of one `tell_many`, whose sender waits once

Used on the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Protocol

from actors.wire.kinds import TELL
from supervisor.core.delivery.messages import Batch, Classes
from supervisor.core.delivery.parcel import Parcel, QueuedBulk
from supervisor.core.delivery.queue import QueuedTells
from supervisor.durable.rows import row_of
from supervisor.mailbox.intake.entry import Entry, Taken, Wait
from supervisor.store.errors import StoreError
from supervisor.store.writes import Accept, AcceptTells, Delay, Write


class Entering(Protocol):
    """The mailbox that messages enter once they are stored."""

    def entered(self, seq: int, entry: Entry) -> None:
        """A message is stored."""

    def entered_batch(self, batch: Batch) -> None:
        """Tells are stored."""

    def postponed(self, due: float) -> None:
        """A delayed message is stored."""

    def settle(self, seq: int) -> None:
        """A stored message has ended."""


class Stored(Protocol):
    """What is stored in a group of its mailbox.

    Attributes:
        alone: whether it is a group by itself, because the store may refuse it.
    """

    alone: bool

    @property
    def count(self) -> int:
        """How many messages."""

    def writes(self, mailbox: str, first: int) -> Sequence[Write]:
        """What is stored, under numbers from `first` on."""

    def arrive(self, first: int, mailbox: Entering) -> None:
        """It is stored."""

    def failed(self, error: StoreError) -> None:
        """It is not stored."""


class Storing(Wait):
    """A message that is being stored.

    Args:
        entry: the message.
        loop: of the sender.
        due: when the message enters the mailbox, in seconds since the epoch; None for now.
        beside: what `rows.beside_of` has of the message.
        notes: what is stored with the message.
    """

    count = 1

    def __init__(
        self,
        entry: Entry,
        loop: asyncio.AbstractEventLoop,
        due: float | None = None,
        *,
        beside: bytes | None = None,
        notes: Sequence[Write] = (),
    ) -> None:
        self.alone = entry.key is not None  # one that is known by now fails its group
        self._entry = entry
        self._due = due
        self._beside = beside
        self._notes = notes
        self._abandoned = False  # its asker went away before it was stored: then it ends at once
        self._loop = loop
        self._number: asyncio.Future[int] = loop.create_future()

    def writes(self, mailbox: str, first: int) -> Sequence[Write]:
        """See `Stored`."""
        row = row_of(first, self._entry, self._beside)
        return (*self._notes, Accept(mailbox, (row,)) if self._due is None else Delay(mailbox, self._due, row))

    def arrive(self, first: int, mailbox: Entering) -> None:
        """See `Stored`."""
        if self._due is not None:
            self.stored(first)
            mailbox.postponed(self._due)
        elif self._abandoned:
            mailbox.settle(first)
        else:
            mailbox.entered(first, self._entry)
            self.stored(first)

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
        """An ask is not wanted any more; a tell is sent even so, and one with a key ends as it does."""
        self._abandoned = self._entry.kind != TELL and self._entry.key is None


class StoringTells:
    """Tells of the daemon, one after the other, with nothing beside their bytes.

    Args:
        classes: of the actor's messages.
        loop: of the senders.
        trace: the trace context of all of them.

    Attributes:
        trace: as above.
    """

    alone = False

    def __init__(self, classes: Classes, loop: asyncio.AbstractEventLoop, trace: str | None) -> None:
        self.trace = trace
        self._classes = classes
        self._new_future = loop.create_future
        self._names: list[str] = []
        self._payloads: list[bytes] = []
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def count(self) -> int:
        """See `Stored`."""
        return len(self._payloads)

    def add(self, name: str, payload: bytes) -> asyncio.Future[None]:
        """One more; its sender waits for the future."""
        self._names.append(name)
        self._payloads.append(payload)
        future: asyncio.Future[None] = self._new_future()
        self._waiting.append(future)
        return future

    def writes(self, mailbox: str, first: int) -> Sequence[Write]:
        """See `Stored`."""
        return (AcceptTells(mailbox, first, None, time.time(), self._names, tuple(self._payloads)),)

    def arrive(self, first: int, mailbox: Entering) -> None:
        """See `Stored`."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        mailbox.entered_batch(QueuedTells(first, self._payloads, self._classes, self.trace))

    def failed(self, error: StoreError) -> None:
        """See `Stored`."""
        for future in self._waiting:
            if not future.done():
                future.set_exception(StoreError(str(error)))  # each sender its own


class StoringParcel:
    """Tells of one call.

    Args:
        parcel: the tells.
        names: of their classes, one for each.
        sender: path of the actor that sent them, None when the daemon did.
        classes: of the actor's messages.
        loop: of the sender.
        trace: the trace context of all of them.

    Attributes:
        over: done when all are stored.
    """

    alone = False

    def __init__(  # noqa: PLR0917 - as an envelope
        self,
        parcel: Parcel,
        names: Sequence[str],
        sender: str | None,
        classes: Classes,
        loop: asyncio.AbstractEventLoop,
        trace: str | None,
    ) -> None:
        self.count = parcel.count
        self.over: asyncio.Future[None] = loop.create_future()
        self._parcel = parcel
        self._names = names
        self._sender = sender
        self._classes = classes
        self._trace = trace

    def writes(self, mailbox: str, first: int) -> Sequence[Write]:
        """See `Stored`."""
        payloads = list(map(bytes, self._parcel.payloads()))
        return (AcceptTells(mailbox, first, self._sender, time.time(), self._names, payloads),)

    def arrive(self, first: int, mailbox: Entering) -> None:
        """See `Stored`."""
        if not self.over.done():
            self.over.set_result(None)
        mailbox.entered_batch(QueuedBulk(first, TELL, self._sender, None, self._parcel, self._classes, self._trace))

    def failed(self, error: StoreError) -> None:
        """See `Stored`."""
        if not self.over.done():
            self.over.set_exception(error)
