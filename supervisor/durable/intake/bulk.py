"""DurableBulk: many messages of one call on their way into a durable mailbox.

    parts ─▶ tells: StoringParcel, a commit for each thousand ─▶ QueuedBulk ─▶ MessageQueue
             asks, large tells: single messages ─▶ DurableIntake.post, and one wait for all of them

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Final

from actors.errors import ActorsError
from actors.wire.kinds import TELL
from actors.wire.to_child import MAX_BULK
from supervisor.core.delivery.parcel import Parcel
from supervisor.durable.intake.intake import DurableIntake
from supervisor.mailbox.intake.bulk import Bulk, BulkCall, Part
from supervisor.mailbox.intake.entry import Entry, Patience, Wait
from supervisor.mailbox.intake.parts import MailboxParts
from supervisor.mailbox.many import AskSlot
from supervisor.mailbox.validation import Admitted

_GROUP: Final = 8 * 1024 * 1024  # bytes of one call that are stored together


class DurableBulk(Bulk):
    """As `Bulk`.

    Args:
        parts: of the mailbox.
        intake: takes single messages, and parcels.
    """

    def __init__(self, parts: MailboxParts, intake: DurableIntake) -> None:
        super().__init__(parts, intake)
        self._into = intake

    async def post(self, parts: Sequence[Part], call: BulkCall) -> None:
        """See `Bulk.post`.

        Raises:
            ActorStopped: the actor is down for good.
            StoreError: some cannot be stored; the tells counted in `call.taken` are.
        """
        self._into.check_open("this call")
        for together, run in groupby(parts, lambda part: call.kind == TELL and isinstance(part.content, Parcel)):
            if together:
                await self._post_parcels(run, call)
            else:
                await self._post_singles(self.singles(run), call)

    async def _post_parcels(self, parts: Iterator[Part], call: BulkCall) -> None:
        for group in _groups(parts):
            stored = [self._into.store_parcel(parcel, part.handlers, call.sender, part.trace) for part, parcel in group]
            count = sum(parcel.count for _, parcel in group)
            call.taken += count  # they are stored, also where this is cancelled
            try:
                await asyncio.gather(*stored)
            except ActorsError:
                call.taken -= count
                raise

    async def _post_singles(self, messages: Iterator[tuple[int, Admitted]], call: BulkCall) -> None:
        waits: list[tuple[int, Wait]] = []
        before = call.taken
        try:
            for index, message in messages:
                with _told(call, index):
                    waits.append((index, self._post_single(index, message, call)))
            for index, wait in waits:
                with _told(call, index):
                    taken = await wait.taken(call.deadline)
                    call.taken += 1
                    if call.asker is not None:
                        call.asker.sent(index, taken.seq, 1)
        except BaseException as error:
            for _, wait in waits:
                wait.cancel()  # asks that are not stored yet end when they are; tells are sent
            if isinstance(error, asyncio.CancelledError):
                call.taken = before + len(waits)
            raise

    def _post_single(self, index: int, message: Admitted, call: BulkCall) -> Wait:
        asker = None if call.asker is None else AskSlot(call.asker, index)
        entry = Entry(call.kind, message, call.sender, call.deadline, asker, call.fail_if_down)
        entered = self._into.post(entry, Patience.WAIT)
        assert isinstance(entered, Wait)  # noqa: S101 - it is stored first
        return entered


@contextmanager
def _told(call: BulkCall, index: int) -> Iterator[None]:
    """The error of one message: of an ask its asker gets it, and the others go on."""
    try:
        yield
    except ActorsError as error:
        if call.asker is None:
            raise
        call.asker.failed(index, error)


def _groups(parts: Iterator[Part]) -> Iterator[list[tuple[Part, Parcel]]]:
    """Parcels that are stored together: up to MAX_BULK messages."""
    group: list[tuple[Part, Parcel]] = []
    count = size = 0
    for part in parts:
        parcel = part.content
        assert isinstance(parcel, Parcel)  # noqa: S101 - see `DurableBulk.post`
        if group and (count + parcel.count > MAX_BULK or size + len(parcel.body) > _GROUP):
            yield group
            group, count, size = [], 0, 0
        group.append((part, parcel))
        count, size = count + parcel.count, size + len(parcel.body)
    if group:
        yield group
