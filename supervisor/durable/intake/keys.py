"""Keys: messages of a durable mailbox that have a key: the same key has the same outcome, and is handled once.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from actors.wire.kinds import TELL
from supervisor.durable.asks import KeyedAsk
from supervisor.durable.stored import StoredMailbox, until_settled
from supervisor.durable.storing import Storing
from supervisor.mailbox.askers import Asker
from supervisor.mailbox.intake.entry import Entry
from supervisor.store.errors import StoreError

LOOK: Final = 0.02  # seconds until the first look for the outcome of a message that has no asker to tell; then doubled
LONGEST: Final = 1.0  # seconds between two looks


class Keys:
    """The keys of one mailbox.

    Args:
        path: of its actor.
        stored: its side of the store.
        accept: stores a message, which enters the mailbox now, or when it is due.
        attach: lets an asker wait for a message that is stored already; False when that has ended meanwhile.
    """

    def __init__(
        self,
        path: str,
        stored: StoredMailbox,
        accept: Callable[[Entry, float | None], Storing],
        attach: Callable[[int, Asker], bool],
    ) -> None:
        self._path = path
        self._stored = stored
        self._accept = accept
        self._attach = attach
        self._open: dict[tuple[str, bool], KeyedAsk] = {}  # asked for, or looked up now; tells apart
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, entry: Entry, now: float, due: float | None = None) -> Storing:
        """A message with a key: store it if the key is new; in any case its asker gets the outcome of the key.

        `due` is when it enters the mailbox, in seconds since the epoch; None for now.
        """
        assert entry.key is not None  # noqa: S101 - see `DurableIntake`
        loop = asyncio.get_running_loop()
        storing = Storing(entry, loop)
        which = entry.key, entry.kind == TELL
        known = self._open.get(which)
        asked = known or KeyedAsk(self._path, lambda: self._close(which))
        if entry.asker is not None:
            asked.join(entry.asker, now)
        if known is None:
            self._open[which] = asked
            task = loop.create_task(self._enter(entry, asked, due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        asked.entered.add_done_callback(lambda number: _pass_on(number, storing))
        return storing

    def _close(self, which: tuple[str, bool]) -> None:
        self._open.pop(which, None)

    async def _enter(self, entry: Entry, asked: KeyedAsk, due: float | None) -> None:
        try:
            seq = await self._number(entry, asked, due)
        except StoreError as error:
            if asked.entered.done():  # its senders know that it is stored
                asked.failed(error)
            else:
                asked.forget()
                asked.entered.set_exception(error)
        else:
            if not asked.entered.done():
                asked.entered.set_result(seq)
            if entry.kind == TELL:
                asked.forget()

    async def _number(self, entry: Entry, asked: KeyedAsk, due: float | None) -> int:
        """The number of the message with the key, which has an asker from now on."""
        stored, key, pause = self._stored, entry.key or "", LOOK
        while True:
            known = await stored.store.find_key(stored.name, key)
            if known is None:
                asker = None if entry.kind == TELL else asked
                first = Entry(entry.kind, entry.message, entry.sender, None, asker, entry.fail_if_down, key)
                try:
                    return (await self._accept(first, due).taken()).seq
                except StoreError:
                    if await stored.store.find_key(stored.name, key) is None:
                        raise
                    continue  # another sender was quicker
            if known.kind is not None:
                asked.ended(known.kind, msgspec.Raw(known.payload or b"\xc0"))
                return known.seq
            if entry.kind == TELL or (await self._is_ask(known.seq) and self._attach(known.seq, asked)):
                return known.seq
            if not asked.entered.done():
                asked.entered.set_result(known.seq)
            await until_settled(stored)  # it is a tell, or has ended, and that is being stored
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST)
            if not asked.awaited:
                asked.forget()
                return known.seq

    async def _is_ask(self, seq: int) -> bool:
        """Whether a stored message is one that waits, and that has a reply: no tell, which may be delayed."""
        rows = await self._stored.store.messages(self._stored.name, seq - 1, 1)
        return bool(rows) and rows[0].seq == seq and rows[0].kind != TELL


def _pass_on(number: asyncio.Future[int], storing: Storing) -> None:
    error = None if number.cancelled() else number.exception()
    if isinstance(error, StoreError):
        storing.failed(error)
    elif error is None and not number.cancelled():
        storing.stored(number.result())
