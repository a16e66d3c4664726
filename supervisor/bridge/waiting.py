"""Waiting: coroutines wait for a descriptor in a shared reader thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from actors.errors import UsageError
from actors.event import close_fd
from supervisor.io.thread_reader import ThreadReader

LINGER: Final = 0.1  # seconds the reader thread stays for the next item when no coroutine waits
BURST: Final = 64  # items in a row without waiting, after which the loop's other tasks run


class BridgeClosed(UsageError, ValueError):
    """The bridge was closed: nothing was taken, nothing was put."""


class Side:
    """A bridge's state for one event loop. Used on that loop's thread only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.fetching = asyncio.Lock()  # asyncio's locks are fair: first come, first served
        self.submitting = asyncio.Lock()
        self._loop = loop
        self._waiting: set[asyncio.Future[bool]] = set()
        self._in_a_row = 0  # items since the last wait

    async def breathe(self) -> None:
        """Let the loop's other tasks run after BURST items without a wait."""
        self._in_a_row += 1
        if self._in_a_row > BURST:
            self._in_a_row = 0
            await asyncio.sleep(0)

    async def readable(self, fd: int, timeout: float | None = None) -> None:
        """Wait until `fd` is readable, the time is over or the bridge is closed."""
        self._in_a_row = 0
        answer: asyncio.Future[bool] = self._loop.create_future()
        self._waiting.add(answer)
        try:
            await readable_on(fd, timeout, answer, linger=LINGER)
        finally:
            self._waiting.discard(answer)

    def end(self, error: BridgeClosed) -> None:
        """Raise the error in every waiting coroutine."""
        if not self._loop.is_closed():
            for answer in self._waiting:
                settle(answer, error)
        thread = _ReaderThread.of.get(self._loop)
        if thread is not None:
            thread.end_if_idle()


class _ReaderThread:
    """The reader of one event loop, from the first waiting coroutine to the last. Used on that loop's thread."""

    of: Final[dict[asyncio.AbstractEventLoop, _ReaderThread]] = {}

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.reader = ThreadReader(loop, name="bridge-reader")
        self.reader.on_orphaned = self._forget  # in its thread: the loop was closed before us
        self._loop = loop
        self.waiting = 0
        self.rest: asyncio.TimerHandle | None = None
        self.of[loop] = self

    @classmethod
    @contextlib.contextmanager
    def lent(cls, loop: asyncio.AbstractEventLoop, linger: float) -> Iterator[ThreadReader]:
        """Use the reader for one wait; its thread stays `linger` seconds longer, unless the wait is cancelled."""
        thread = cls.of.get(loop) or cls(loop)
        thread.waiting += 1
        stay = 0.0
        try:
            yield thread.reader
            stay = linger
        finally:
            thread.waiting -= 1
            if not stay:
                thread.end_if_idle()
            elif thread.rest is None:
                thread.rest = loop.call_later(stay, thread.end_if_idle)

    def end_if_idle(self) -> None:
        """End the thread if no coroutine waits."""
        if self.rest is not None:
            self.rest.cancel()
            self.rest = None
        if not self.waiting:
            self._forget()
            self.reader.close()

    def _forget(self) -> None:
        if self.of.get(self._loop) is self:
            del self.of[self._loop]


async def readable_on(
    fd: int,
    timeout: float | None,
    answer: asyncio.Future[bool] | None = None,
    linger: float = 0.0,
) -> bool:
    """Wait in the reader thread until `fd` is readable: True; or False after `timeout` seconds.

    Settling `answer` ends the wait. A duplicate of the descriptor is watched: the original may be closed, or watched
    by other code, at any time.
    """
    loop = asyncio.get_running_loop()
    answer = answer or loop.create_future()
    timer = None if timeout is None else loop.call_later(timeout, partial(settle, answer, False))
    with _ReaderThread.lent(loop, linger) as reader:
        watched = os.dup(fd)
        try:
            reader.once(watched, partial(settle, answer, True))
            return await answer
        finally:
            if timer is not None:
                timer.cancel()
            if answer.done() and not answer.cancelled() and answer.exception() is None and answer.result():
                close_fd(watched)  # the thread no longer watches it
            else:
                reader.forget(watched, close=partial(close_fd, watched))


def settle(answer: asyncio.Future[bool], outcome: bool | Exception) -> None:
    """Give a waiting coroutine its outcome, unless it was cancelled."""
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


def call_on(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call it on the loop's thread: now if that is the current thread or the loop is closed, else soon."""
    try:
        running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if loop is running or loop.is_closed():
        call()
    else:
        with contextlib.suppress(RuntimeError):  # closed at this moment: its reader ends by itself
            loop.call_soon_threadsafe(call)
