"""JobsRef: the ref of an actor in the daemon, which runs jobs where the actor is a `Jobs` pool.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, TypeVarTuple, overload

from actors.bounds import is_count, shown
from actors.errors import ActorsError, UsageError
from actors.exits import with_article
from actors.jobs.jobs import Jobs
from actors.lazy import LazyModule
from supervisor.mailbox.mailbox import Mailbox
from supervisor.messaging.refs import MailboxRef

if TYPE_CHECKING:
    from supervisor.jobs import job_map, job_run, prepared_job
    from supervisor.jobs import progress_bar as bars
else:  # the first pool of jobs in a tree brings the first three, see ChildFactory
    bars = LazyModule("supervisor.jobs.progress_bar")
    job_map = LazyModule("supervisor.jobs.job_map")
    job_run = LazyModule("supervisor.jobs.job_run")
    prepared_job = LazyModule("supervisor.jobs.prepared_job")

T = TypeVar("T")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

AT_ONCE: Final = 8  # items of a map for each process, where its caller says nothing
MOST_AT_ONCE: Final = 1_000_000


class JobsRef(MailboxRef):
    """The ref of an actor in the daemon. `run` and `map` are for actors of the class `Jobs`; others refuse them.

    Args:
        mailbox: of the actor.
        preload: called with the module of each job, which the next processes may import before they are needed.
    """

    __slots__ = ("_preload",)

    def __init__(self, mailbox: Mailbox, preload: Callable[[str, dict[str, bytes]], None]) -> None:
        super().__init__(mailbox)
        self._preload = preload

    async def run(
        self,
        function: Callable[[*Ts], R],
        /,
        *args: *Ts,
        timeout: float | None = None,
        idempotent: bool = False,
        **kwargs: Any,
    ) -> R:
        """Run a job in one of the pool's processes, and wait for its result.

        Cancelled, the job does not begin; one that runs is ended with its process.

        Args:
            function: marked with `@job`.
            args: its positional arguments, checked against its annotations before anything is sent.
            timeout: seconds it may run, waiting for a process and the import of its module excluded; then it is ended
                with its process. None for no limit.
            idempotent: whether it runs again when the process that runs it dies, `max_deliveries` times at most.
            kwargs: its keyword arguments.

        Raises:
            UsageError: it is no job, does not take these arguments, or the actor is no `Jobs`. Nothing was sent.
            HandlerError: it raised, or its result does not have the type that it promises.
            AskTimeout: it took longer than `timeout`.
            ActorCrashed: it ended its process.
            ActorStopped: the pool is down for good.
            MailboxFull: the mailbox is full and its spec says `overflow=FAIL`.
        """
        run = job_run.JobRun(self._mailbox, self._prepared(function, timeout, idempotent=idempotent), args, kwargs)
        try:
            try:
                await run.send()
            except ActorsError as error:
                run.failed(error)
            result: R = await run.future
        except asyncio.CancelledError:
            run.abandon()
            raise
        return result

    @overload
    def map(
        self,
        function: Callable[[T], R],
        items: AsyncIterable[T] | Iterable[T],
        *,
        limit: int | None = None,
        timeout: float | None = None,
        idempotent: bool = False,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
        progress: bool | str = False,
    ) -> AsyncGenerator[R, None]: ...

    @overload
    def map(
        self,
        function: Callable[[T], R],
        items: AsyncIterable[T] | Iterable[T],
        *,
        limit: int | None = None,
        timeout: float | None = None,
        idempotent: bool = False,
        ordered: bool = True,
        return_exceptions: bool,
        progress: bool | str = False,
    ) -> AsyncGenerator[R | ActorsError, None]: ...

    def map(
        self,
        function: Callable[[T], R],
        items: AsyncIterable[T] | Iterable[T],
        *,
        limit: int | None = None,
        timeout: float | None = None,
        idempotent: bool = False,
        ordered: bool = True,
        return_exceptions: bool = False,
        progress: bool | str = False,
    ) -> AsyncGenerator[Any, None]:
        """Run a job for each item, and iterate over the results: `async for report in root["pool"].map(parse, paths)`.

        Leaving the loop early ends the jobs under way as cancelling `run` does; at once with `contextlib.aclosing`,
        else when the generator is collected. Items are taken on the loop: an iterator that blocks, blocks it.

        Args:
            function: marked with `@job`; it gets one item.
            items: any iterable, sync or async, without end too.
            limit: how many items are taken ahead of the results that were taken; None for eight for each process.
            timeout: seconds, as in `run`, for each item.
            idempotent: as in `run`, for each item.
            ordered: whether results come in the order of the items, or as they come.
            return_exceptions: whether the error of an item is an item of the results, with the item in its attribute
                `item`. If not, the first one is raised, and the jobs under way are ended.
            progress: whether a progress bar is shown on stderr; a text stands before it. Needs the extra `rich`.

        Raises:
            UsageError: it is no job, the actor is no `Jobs`, or an argument cannot work. Nothing was sent.
            ActorStopped: the pool is down for good, whatever `return_exceptions` says.
            Exception: whatever `items` raises, after the results of the items before.
        """
        job = self._prepared(function, timeout, idempotent=idempotent)
        job.check_single()
        if limit is None:
            limit = AT_ONCE * len(self._mailbox.consumers.names)
        if not is_count(limit, 1, MOST_AT_ONCE):
            raise UsageError(
                f"limit of a map must be a whole number of at least 1 and at most {MOST_AT_ONCE}, it is {shown(limit)}"
            )
        for name, value in (("ordered", ordered), ("return_exceptions", return_exceptions)):
            if not isinstance(value, bool):
                raise UsageError(f"{name} of a map must be True or False, it is {shown(value)}")
        if not isinstance(progress, bool | str):
            raise UsageError(f"progress of a map must be True, False or a text, it is {shown(progress)}")
        if not isinstance(items, AsyncIterable | Iterable):
            raise UsageError(
                f"map runs {job.name} for each of several items; {shown(items)} is not an iterable of them"
            )
        seen: job_map.Seen = nullcontext(_not_shown)
        if progress:
            seen = bars.progress_bar(items, job.name if progress is True else progress)
        run = job_map.JobMap(self._mailbox, job, items, limit=limit, ordered=ordered)
        return run.outcomes(seen, return_exceptions=return_exceptions)

    def _prepared(
        self, function: Callable[..., Any], timeout: float | None, *, idempotent: bool
    ) -> prepared_job.PreparedJob:
        actor = self._mailbox.protocol.actor
        if not issubclass(actor, Jobs):
            raise UsageError(
                f"{self.path} is {with_article(actor.__qualname__)}, which runs no jobs; they need a pool of their "
                f"own: ChildSpec(Jobs, name='pool', size=8)"
            )
        self._mailbox.home.check(f"the ref of {self.path}")
        job = prepared_job.PreparedJob(function, timeout, idempotent=idempotent)
        self._preload(job.module, job.main)
        return job


def _not_shown(outcome: object) -> None:
    """Show no bar."""
