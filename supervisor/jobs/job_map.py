"""JobMap: one job for each of many items, so many at a time, in order or as they come.

    items ─▶ reading (a task) ─▶ fresh ─▶ feeder (a task) ─▶ Bulk: what came in one turn, together
                                                                 │
    who iterates ◀── outcomes, in order or as they come ◀── Together ◀── Settlement: each by itself

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec

from actors.errors import ActorsError, ActorStopped, UndecodableMessage, UsageError
from actors.protocol.protocol import Handler
from actors.wire.framing import Carried
from actors.wire.kinds import ASK
from supervisor.core.delivery.fates import Fate
from supervisor.jobs.job_end import JobEnd
from supervisor.jobs.job_errors import named, took_too_long
from supervisor.jobs.job_result import JobResult
from supervisor.jobs.prepared_job import PreparedJob
from supervisor.mailbox.askers import as_async
from supervisor.mailbox.intake.bulk import BulkCall, Part
from supervisor.mailbox.mailbox import Mailbox
from supervisor.mailbox.many import ReadAll

Items = AsyncIterable[Any] | Iterable[Any]
Seen = AbstractContextManager[Callable[[Any], object]]

TOGETHER: Final = 64  # items that are encoded, checked and sent in one step; the loop does other things in between


class Item:
    """One item that was taken.

    Attributes:
        value: as it was taken.
        outcome: the result of its job, or its error.
        over: whether there is an outcome.
        seq: the number of its message, 0 before there is one.
    """

    __slots__ = ("outcome", "over", "seq", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.outcome: Any = None
        self.over = False
        self.seq = 0


class JobMap:
    """One run of a map.

    Args:
        mailbox: of the pool.
        job: what is run for each item.
        items: what it is run for, one argument each.
        limit: how many items may have been taken without their outcomes having been taken.
        ordered: whether outcomes come in the order of the items.
    """

    def __init__(self, mailbox: Mailbox, job: PreparedJob, items: Items, *, limit: int, ordered: bool) -> None:
        self._mailbox = mailbox
        self._job = job
        self._items = items
        self._ordered = ordered
        self._result = JobResult(mailbox.intake.reader_of(job.result), shares=job.shares)
        self._room = asyncio.Semaphore(limit)
        self._fresh: list[Item] = []  # taken, and not sent yet
        self._fed = asyncio.Event()  # there are fresh ones, or there will be no more
        self._sent = asyncio.Event()  # there are none
        self._taken: deque[Item] = deque()  # those whose outcome was not taken, in their order or in that of their ends
        self._open = 0  # how many have no outcome
        self._under_way: dict[int, Item] = {}  # by the numbers of their messages
        self._news = asyncio.Event()
        self._left = False  # whether nothing is taken any more
        self._stopped: ActorStopped | None = None  # an outcome, where they are given out as they come

    async def outcomes(self, seen: Seen, *, return_exceptions: bool) -> AsyncGenerator[Any, None]:
        """The results, and an ActorsError in place of each that failed.

        It is one generator, and none around it: at the end of a loop asyncio closes all of them at once, each for
        itself, and one that is being closed by another cannot be.

        Args:
            seen: entered meanwhile; what it gives is called with each outcome.
            return_exceptions: whether an ActorsError is an outcome. If not, it is raised.

        Raises:
            ActorsError: the first one, without `return_exceptions`.
            ActorStopped: the pool is down for good.
            Exception: whatever `items` raises, after the outcomes of the items before.
        """
        feeder = asyncio.create_task(self._feed())
        feeder.add_done_callback(lambda _: self._news.set())
        try:
            with seen as see:
                while (item := await self._next(feeder)) is not None:
                    see(item.outcome)
                    if isinstance(item.outcome, ActorsError) and not return_exceptions:
                        raise item.outcome
                    yield item.outcome
        finally:
            feeder.cancel()
            self._abandon()
            await asyncio.gather(feeder, return_exceptions=True)
            self._abandon()  # what it sent while it ended

    async def _next(self, feeder: asyncio.Task[BaseException | None]) -> Item | None:
        """The next item whose outcome is given out; None after the last."""
        taken = self._taken
        while True:
            if taken and taken[0].over:
                item = taken.popleft()
                self._room.release()
                if not isinstance(item.outcome, ActorStopped):
                    return item
                if self._ordered:
                    raise item.outcome
                self._stopped = item.outcome  # what runs may still return: its time to stop, or a drain, lets it
            elif self._stopped is not None and not self._open:
                raise self._stopped
            elif feeder.done() and not self._open:
                if (why := feeder.result()) is not None:
                    raise why
                return None
            elif feeder.done() and feeder.exception() is not None:
                feeder.result()  # what was taken is not sent any more
            else:
                self._news.clear()
                await self._news.wait()

    # ---- in

    async def _feed(self) -> BaseException | None:
        """Send what is taken, as it is taken; returns what `items` raised, once the items before are sent."""
        reading = asyncio.create_task(self._read())
        reading.add_done_callback(lambda _: self._fed.set())
        try:
            while True:
                if self._fresh:
                    fresh, self._fresh = self._fresh, []
                    self._sent.set()
                    if not await self._send(fresh):
                        return None
                elif reading.done():
                    return asyncio.CancelledError() if reading.cancelled() else reading.exception()
                else:
                    self._fed.clear()
                    await self._fed.wait()
        finally:
            self._left = True
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        async for value in as_async(self._items):
            if self._left:  # what gave it has suppressed its cancellation
                return
            await self._room.acquire()
            item = Item(value)
            self._open += 1
            if self._ordered:
                self._taken.append(item)
            self._fresh.append(item)
            self._fed.set()
            if len(self._fresh) == TOGETHER:
                self._sent.clear()
                await self._sent.wait()

    async def _send(self, items: Sequence[Item]) -> bool:
        """Send items; returns False when the pool is down for good."""
        together = _Together(self, items)
        try:
            for part in await self._checked(items):
                try:
                    await self._mailbox.bulk.post((part,), BulkCall(ASK, asker=together))
                except UsageError as error:  # its shared values never fit
                    self.failed(items[part.index], error)
        except ActorStopped as error:
            for item in items:
                if not item.seq:
                    self.failed(item, error)
            return False
        return True

    async def _checked(self, items: Sequence[Item]) -> list[Part]:
        """The messages of items, checked; one that cannot be sent has its error, and is no part.

        Raises:
            ActorStopped: the pool is down for good.
        """
        bulk = self._mailbox.bulk
        try:
            return await bulk.check(self._job.messages([item.value for item in items]), ASK)
        except UsageError:  # each by itself says what is wrong with it
            parts = []
        for index, item in enumerate(items):
            try:
                parts.append(bulk.check_one(index, self._job.message((item.value,), {}), ASK))
            except UsageError as error:
                self.failed(item, error)
        return parts

    # ---- out

    def sent(self, items: Sequence[Item], first: int) -> None:
        """Items are in the mailbox, under consecutive numbers."""
        numbered = {seq: item for seq, item in enumerate(items, first) if not item.over}
        for seq, item in numbered.items():
            item.seq = seq
        self._under_way |= numbered
        if self._job.timeout is not None:
            self._mailbox.job_times.watch(numbered, self._job.timeout, self._late)

    def replied(self, item: Item, payload: msgspec.Raw) -> None:
        """The job of an item has returned; see `Asker`."""
        self._end(item, self._result.of(payload))

    def replied_beside(self, item: Item, attachment: Carried) -> None:
        """Its result is large; see `Asker`."""
        try:
            self._end(item, self._result.beside(attachment))
        except UndecodableMessage as error:
            self.failed(item, error)

    def failed(self, item: Item, error: ActorsError) -> None:
        """The job of an item has ended in another way, or was not sent."""
        self._end_with(item, named(error, self._shown(item), idempotent=self._job.idempotent))

    def _late(self, seq: int) -> None:
        item, timeout = self._under_way[seq], self._job.timeout or 0.0
        self._withdraw([seq], Fate.EXPIRED, f"its job {self._job.name} ran longer than {timeout:g} s")
        self._end_with(item, took_too_long(self._shown(item), timeout))

    def _end_with(self, item: Item, error: ActorsError) -> None:
        error.item = item.value
        self._end(item, error)

    def _end(self, item: Item, outcome: Any) -> None:
        if item.over:
            return
        item.outcome, item.over = outcome, True
        self._under_way.pop(item.seq, None)
        self._mailbox.job_times.forget((item.seq,))
        self._open -= 1
        if not self._ordered:
            self._taken.append(item)
        if self._taken[0].over:
            self._news.set()

    def _abandon(self) -> None:
        """What is under way is no longer wanted: it does not begin, or its process is killed."""
        self._mailbox.job_times.forget(self._under_way)
        self._withdraw(list(self._under_way), Fate.CANCELLED, f"its job {self._job.name} was cancelled")
        self._under_way.clear()

    def _withdraw(self, seqs: Sequence[int], fate: Fate, why: str) -> None:
        for held in self._mailbox.dispatcher.withdraw_all(seqs, fate).values():
            JobEnd(self._mailbox, *held, why)

    def _shown(self, item: Item) -> str:
        return self._job.shown((item.value,), {})


class _Together:
    """The asker of items that were sent together; see `ManyAsker`."""

    __slots__ = ("_items", "_map")

    def __init__(self, job_map: JobMap, items: Sequence[Item]) -> None:
        self._map = job_map
        self._items = items

    def read_all(self, handlers: set[Handler]) -> ReadAll | None:
        """See `ManyAsker`: each is read by itself."""
        del handlers
        return None

    def sent(self, index: int, first: int, count: int) -> None:
        """See `ManyAsker`."""
        self._map.sent(self._items[index : index + count], first)

    def replied(self, index: int, payload: msgspec.Raw) -> None:
        """See `ManyAsker`."""
        self._map.replied(self._items[index], payload)

    def replied_with(self, index: int, values: list[Any]) -> None:
        """See `ManyAsker`; not called, since nothing is read together."""

    def replied_beside(self, index: int, attachment: Carried) -> None:
        """See `ManyAsker`."""
        self._map.replied_beside(self._items[index], attachment)

    def failed(self, index: int, error: ActorsError) -> None:
        """See `ManyAsker`."""
        self._map.failed(self._items[index], error)
