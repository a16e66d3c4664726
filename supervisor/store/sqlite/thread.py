"""StoreThread: the one thread in which a store works; what was handed over while it was at work is done at once.

loop: commit, call ─▶ queue ─▶ thread: one transaction of all groups, then all calls ─▶ loop: one wake-up
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from supervisor.loop_affinity import LOOK
from supervisor.store.errors import StoreError
from supervisor.store.writes import Write

T = TypeVar("T")
Group = Sequence[Write]

SOON: Final = 0.05  # seconds after the last that was handed over
_BATCH: Final = 4096  # groups in one transaction


class _Commit(NamedTuple):
    group: Group
    future: asyncio.Future[None]


class _Call(NamedTuple):
    function: Callable[[], Any]
    future: asyncio.Future[Any]


class _End(_Call):
    """The last call."""


_Job = _Commit | _Call


class StoreThread:
    """A thread that stores groups and runs calls, in the order in which they were handed over.

    It ends with `close`, or when the loop was closed without that.

    Args:
        loop: of the tree.
        store: stores groups in one transaction; of each, what went wrong.
        tidy: called after that, when the loop has been told.
        idle: called a little after the last that was handed over, and now and then.
        release: called at the end.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        store: Callable[[Sequence[Group]], Sequence[StoreError | None]],
        tidy: Callable[[], None],
        idle: Callable[[], None],
        release: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._store = store
        self._tidy = tidy
        self._idle = idle
        self._release = release
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="actors-store", daemon=True)
        self._thread.start()

    def commit(self, group: Group) -> asyncio.Future[None]:
        """Hand over a group. Runs on the loop's thread."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put(_Commit(group, future))
        return future

    def call(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run a function in the thread, after what was handed over before. Runs on the loop's thread."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Call(function, future))
        return future

    def end(self) -> asyncio.Future[None]:
        """Do what was handed over, release the store, and end. Runs on the loop's thread."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put(_End(self._release, future))
        return future

    def join(self) -> None:
        """Wait until the thread has ended, after `end`."""
        self._thread.join()

    # ---- the thread

    def _run(self) -> None:
        patience = LOOK
        while True:
            jobs = self._next(patience)
            if not jobs and self._loop.is_closed():
                self._release()
                return
            if not jobs:
                self._idle()
                patience = LOOK
            elif not self._do(jobs):
                return
            else:
                self._tidy()
                patience = SOON

    def _next(self, patience: float) -> list[_Job]:
        """What was handed over since the last time; nothing after so many seconds without."""
        jobs: list[_Job] = []
        with suppress(queue.Empty):
            jobs.append(self._jobs.get(timeout=patience))
            while len(jobs) < _BATCH:
                jobs.append(self._jobs.get_nowait())
        return jobs

    def _do(self, jobs: Sequence[_Job]) -> bool:
        """Store and call; returns whether there is more to come."""
        commits = [job for job in jobs if isinstance(job, _Commit)]
        done: list[Callable[[], None]] = []
        if commits:
            errors = self._store([commit.group for commit in commits])
            done += [
                partial(_settle, commit.future, None, error) for commit, error in zip(commits, errors, strict=True)
            ]
        done += [_called(job) for job in jobs if isinstance(job, _Call)]
        with suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(_report, done)
        return not any(isinstance(job, _End) for job in jobs)


def _called(call: _Call) -> Callable[[], None]:
    try:
        result = call.function()
    except BaseException as error:
        return partial(_settle, call.future, None, error)
    return partial(_settle, call.future, result, None)


def _report(done: Sequence[Callable[[], None]]) -> None:
    for settle in done:
        settle()


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():  # the one who waited was cancelled
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
