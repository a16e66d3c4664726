"""Store: what a tree needs of a place that keeps messages and states over the death of the daemon. A port.

    loop: commit(group) ─▶ store: one transaction of all groups since the last ─▶ loop: futures resolved
    loop: await messages(...) ─▶ store, after all that was handed over before ─▶ loop: rows

All methods are called on the loop's thread and none blocks it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from supervisor.store.errors import StoreError
from supervisor.store.records import (
    DelayedMessage,
    KnownKey,
    MailboxSummary,
    RecoveredMailbox,
    StoredDeadLetter,
    StoredMessage,
)
from supervisor.store.writes import ScheduleRow, Write


class Store(Protocol):
    """Keeps messages, states, outcomes, dead letters and schedules of one tree.

    A mailbox has a name that stays the same over restarts of the daemon: the path of its child below the root,
    `parsers/parser`. A mailbox gives its messages ascending numbers, over restarts of the daemon too.

    Every method but `close` may raise StoreError, or its future does.
    """

    @property
    def boxes(self) -> Path:
        """A directory of the store for the black boxes of durable actors; it exists while the store is open."""

    @property
    def failure(self) -> StoreError | None:
        """Why the store stores nothing now; None while it works. It goes by itself when the cause is gone."""

    async def open(self) -> None:
        """Take the store for the running loop.

        Raises:
            StoreBusy: it has another owner.
            StoreError: it cannot be used: it is corrupt, of another program, of a newer version, read-only, ...
        """

    async def close(self) -> None:
        """Store what was handed over, and release the store. It may be opened again. Does not raise."""

    def commit(self, group: Sequence[Write]) -> asyncio.Future[None]:
        """Hand over a group of writes, all of which are stored, or none.

        The future is done when they are stored as `sync` promises; it fails with StoreError, and nothing of the group
        is stored. All groups handed over while the store was at work become one transaction, in their order. A group
        may be stored although an earlier one failed. So if one builds on another (a state on the messages settled with
        it), hand both over as one group, or the second when the first is stored.
        """

    async def recover(self, mailbox: str) -> RecoveredMailbox:
        """What there is of a mailbox; costs the same whatever waits in it."""

    async def messages(self, mailbox: str, after: int, limit: int) -> list[StoredMessage]:
        """The messages of a mailbox with a number above `after`, ascending, at most `limit`.

        As every read it sees all that was handed over before it, and may see what was handed over after it.
        """

    async def delayed(self, mailbox: str, limit: int, after: tuple[float, int] = (0.0, 0)) -> list[DelayedMessage]:
        """The messages of a mailbox that wait for their time, by due time and number, from behind `after` on."""

    async def find_key(self, mailbox: str, key: str) -> KnownKey | None:
        """What became of the message with a key; None when there was none, or its outcome is no longer kept."""

    async def mailboxes(self) -> list[MailboxSummary]:
        """All mailboxes that have messages, dead letters or a state."""

    async def move(self, mailbox: str, to: str) -> int:
        """Append what waits in a mailbox to another one, in order; returns how many messages, with delayed ones.

        Its dead letters go with them, and so do its states where the other has none. Neither belongs to a running
        actor.
        """

    async def discard(self, mailbox: str) -> int:
        """Delete a mailbox with all it has; returns how many messages, with delayed ones. No running actor has it."""

    async def dead_letters(self, mailbox: str | None, limit: int, after: int = 0) -> list[StoredDeadLetter]:
        """Dead letters of a mailbox, or of all, with an id above `after`, ascending, at most `limit`."""

    async def dead_letter(self, letter: int) -> StoredDeadLetter | None:
        """One dead letter; None when there is none of that id."""

    async def schedules(self) -> list[ScheduleRow]:
        """All schedules, by name."""
