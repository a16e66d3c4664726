"""SQLiteStore: a store in one SQLite file, by the standard library, in a thread of its own.

Its methods run on the loop's thread and block it in no case; what they hand over is done in the thread.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from actors.bounds import check_time, shown
from actors.errors import UsageError
from supervisor.known_options import tells_options
from supervisor.store.errors import StoreError
from supervisor.store.records import (
    DelayedMessage,
    KnownKey,
    MailboxSummary,
    RecoveredMailbox,
    StoredDeadLetter,
    StoredMessage,
)
from supervisor.store.sqlite.connection import Sync
from supervisor.store.sqlite.database import Database
from supervisor.store.sqlite.queries import Queries
from supervisor.store.sqlite.thread import StoreThread
from supervisor.store.writes import ScheduleRow, Write

T = TypeVar("T")

_WEEK: Final = 7 * 24 * 3600.0


@tells_options
class SQLiteStore:
    """Keeps messages, states, outcomes, dead letters and schedules of one tree in a SQLite file.

    For `Supervisor(..., store=SQLiteStore("shop.db"))`. Nothing is opened before the tree is entered. One daemon owns
    the file; `sqlite3 shop.db` may look at it meanwhile (docs/reference/store.md).

    Args:
        path: of the file; its directory exists. Beside it are `-wal`, `-shm`, `-lock` and `-boxes`.
        sync: "full": what is acknowledged is on the disk. "normal": it survives every kill, but a power cut may lose
            the last of it.
        keep_keys: seconds for which the outcome of a message with a key is kept after its end.

    Raises:
        UsageError: an argument cannot work.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync: Sync = "full", keep_keys: float = _WEEK) -> None:
        if not isinstance(path, str | os.PathLike) or str(path) in ("", ":memory:") or "\0" in str(path):
            raise UsageError(f"SQLiteStore takes the path of a file, as 'shop.db'; it is {shown(path)}")
        if sync not in ("full", "normal"):
            raise UsageError(f"sync of {path} must be 'full' or 'normal'; it is {shown(sync)}")
        check_time(f"keep_keys of {path}", keep_keys)
        self._path = Path(os.path.realpath(path))
        self._sync = sync
        self._database = Database(self._path, sync, keep_keys)
        self._thread: StoreThread | None = None

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._path)!r}, sync={self._sync!r})"

    @property
    def boxes(self) -> Path:
        """A directory beside the file, for the black boxes of durable actors."""
        return self._database.boxes

    @property
    def failure(self) -> StoreError | None:
        """Why nothing is stored now; None while it works, or is not open. May be used in any thread."""
        return None if self._thread is None else self._database.failure

    async def open(self) -> None:
        """Take the file for the running loop.

        Raises:
            StoreBusy: another process has it, or another tree of this one.
            StoreError: it cannot be used; the text says why, and what to do.
        """
        if self._thread is not None:
            raise StoreError(f"{self._path} is open already; one tree owns a store")
        database = self._database
        thread = self._thread = StoreThread(
            asyncio.get_running_loop(), database.store, database.tidy, database.idle, database.close
        )
        try:
            await asyncio.shield(thread.call(database.open))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Store what was handed over, and release the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.shield(thread.end())
            thread.join()

    def commit(self, group: Sequence[Write]) -> asyncio.Future[None]:
        """See `Store.commit`."""
        if self._thread is None:
            refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            refused.set_exception(self._closed())
            return refused
        return self._thread.commit(group)

    async def recover(self, mailbox: str) -> RecoveredMailbox:
        """See `Store.recover`."""
        return await self._read(lambda queries: queries.recover(mailbox))

    async def messages(self, mailbox: str, after: int, limit: int) -> list[StoredMessage]:
        """See `Store.messages`."""
        return await self._read(lambda queries: queries.messages(mailbox, after, limit))

    async def delayed(self, mailbox: str, limit: int, after: tuple[float, int] = (0.0, 0)) -> list[DelayedMessage]:
        """See `Store.delayed`."""
        return await self._read(lambda queries: queries.delayed(mailbox, limit, after))

    async def find_key(self, mailbox: str, key: str) -> KnownKey | None:
        """See `Store.find_key`."""
        return await self._read(lambda queries: queries.find_key(mailbox, key, self._database.oldest))

    async def mailboxes(self) -> list[MailboxSummary]:
        """See `Store.mailboxes`."""
        return await self._read(Queries.mailboxes)

    async def move(self, mailbox: str, to: str) -> int:
        """See `Store.move`.

        Raises:
            StoreError: both are the same mailbox.
        """
        if mailbox == to:
            raise StoreError(f"the messages of {mailbox} cannot be moved to {to}: name another mailbox")
        return await self._change(lambda queries: queries.move(mailbox, to))

    async def discard(self, mailbox: str) -> int:
        """See `Store.discard`."""
        return await self._change(lambda queries: queries.discard(mailbox))

    async def dead_letters(self, mailbox: str | None, limit: int, after: int = 0) -> list[StoredDeadLetter]:
        """See `Store.dead_letters`."""
        return await self._read(lambda queries: queries.dead_letters(mailbox, limit, after))

    async def dead_letter(self, letter: int) -> StoredDeadLetter | None:
        """See `Store.dead_letter`."""
        return await self._read(lambda queries: queries.dead_letter(letter))

    async def schedules(self) -> list[ScheduleRow]:
        """See `Store.schedules`."""
        return await self._read(Queries.schedules)

    def _read(self, query: Callable[[Queries], T]) -> asyncio.Future[T]:
        return self._open_thread().call(partial(self._database.read, query))

    def _change(self, query: Callable[[Queries], T]) -> asyncio.Future[T]:
        return self._open_thread().call(partial(self._database.change, query))

    def _open_thread(self) -> StoreThread:
        if self._thread is None:
            raise self._closed()
        return self._thread

    def _closed(self) -> StoreError:
        return StoreError(f"{self._path} is not open: use it inside `async with Supervisor(..., store=...)`")
