"""JobMap: one job for each of many items, so many at a time, in order or as they come.

    items ─▶ feeder (a task) ─▶ JobRun, JobRun, ... (at most `limit`) ─▶ outcomes, to who iterates

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any

from actors.errors import ActorsError, ActorStopped
from supervisor.jobs.job_run import JobRun
from supervisor.jobs.prepared_job import PreparedJob
from supervisor.mailbox.mailbox import Mailbox

Items = AsyncIterable[Any] | Iterable[Any]


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
        self._room = asyncio.Semaphore(limit)
        self._runs: dict[JobRun, Any] = {}  # taken items whose outcome was not taken, oldest first
        self._over: deque[JobRun] = deque()  # those that have ended, in the order of their ends
        self._news = asyncio.Event()

    async def outcomes(self) -> AsyncGenerator[Any, None]:
        """The results, and an ActorsError in place of each that failed.

        Raises:
            ActorStopped: the pool is down for good.
            Exception: whatever `items` raises, after the outcomes of the items before.
        """
        feeder = asyncio.create_task(self._feed())
        feeder.add_done_callback(lambda _: self._news.set())
        try:
            while True:
                run = self._next_over()
                if run is not None:
                    outcome = self._take(run)
                    self._room.release()
                    yield outcome
                elif feeder.done() and not self._runs:
                    feeder.result()
                    return
                else:
                    self._news.clear()
                    await self._news.wait()
        finally:
            feeder.cancel()
            for run in self._runs:
                run.abandon()
            await asyncio.gather(feeder, return_exceptions=True)

    async def _feed(self) -> None:
        async for item in _as_async(self._items):
            await self._room.acquire()
            run = JobRun(self._mailbox, self._job, (item,), {})
            self._runs[run] = item
            run.future.add_done_callback(lambda _, run=run: self._ended(run))  # type: ignore[misc]
            try:
                await run.send()
            except ActorsError as error:
                run.failed(error)
                if isinstance(error, ActorStopped):
                    return
            except BaseException:
                del self._runs[run]
                raise

    def _ended(self, run: JobRun) -> None:
        self._over.append(run)
        self._news.set()

    def _next_over(self) -> JobRun | None:
        """The run whose outcome is next; None while there is none."""
        if not self._ordered:
            return self._over.popleft() if self._over else None
        run = next(iter(self._runs), None)
        return run if run is not None and run.future.done() else None

    def _take(self, run: JobRun) -> Any:
        item = self._runs.pop(run)
        error = run.future.exception()
        if error is None:
            return run.future.result()
        if isinstance(error, ActorStopped) or not isinstance(error, ActorsError):
            raise error
        error.item = item
        return error


async def _as_async(items: Items) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
