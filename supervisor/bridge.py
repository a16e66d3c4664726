"""Queues and events of plain multiprocessing code, awaited: AsyncQueueBridge, AsyncEvent, await_event.

Law: nothing that can block runs on the event loop's thread. A waiting coroutine only waits until a descriptor
     is readable; the item is then taken without waiting, in the coroutine itself, with no `await` before the
     return. So whoever is cancelled has taken nothing, and there is no thread that could have.
May import: reader, and actors.errors, actors.event, actors.queue.

One reader thread watches the descriptors of one event loop. It is there while somebody waits; it is a daemon
thread, and nothing ever waits for it at the interpreter's exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Final, Generic, Protocol, Self, TypeVar

from actors.bounds import check_time
from actors.errors import UsageError
from actors.event import SafeEvent
from actors.queue import Putting, SafeQueue
from supervisor.reader import Reader

__all__ = ["AsyncEvent", "AsyncQueueBridge", "BridgeClosed", "await_event"]

T = TypeVar("T")

LINGER: Final = 0.1  # seconds the reader thread stays for the next item when nobody waits any more
BURST: Final = 64  # items in a row without waiting, after which the loop's other tasks have a turn
FIRST_LOOK: Final = 0.001  # seconds from one look at a stock event to the next, at first ...
LAST_LOOK: Final = 0.01  # ... and when it takes long
PATIENCE: Final = 0.02  # seconds that set() and clear() of a stock event may take


class BridgeClosed(UsageError, ValueError):
    """The bridge was closed: nothing was taken, nothing was put."""


class EventLike(Protocol):
    """What multiprocessing.Event and SafeEvent have in common."""

    def set(self) -> None: ...
    def clear(self) -> None: ...
    def is_set(self) -> bool: ...


class AsyncQueueBridge(Generic[T]):
    """A queue between an event loop and plain multiprocessing code.

    Coroutines `fetch` and `submit`; processes and threads `get` and `put` on `underlying_queue()`, which is
    handed to a process as an argument. Make it anywhere; use it from one event loop, or from several, one
    after another. Waiting fetches are served in the order they came, and so are waiting submits. Items are
    pickled and unpickled on the loop's thread.

    Args:
        maxsize: how many items may be on their way; 0 is unbounded.
    """

    def __init__(self, maxsize: int = 0) -> None:
        self._queue = SafeQueue(maxsize)
        self._sides: dict[asyncio.AbstractEventLoop, _Side] = {}
        self._closed = False

    async def fetch(self) -> T:
        """Take the next item, waiting for it. Cancelled or timed out, it has taken none.

        Raises:
            BridgeClosed: the bridge is closed, or was closed meanwhile.
        """
        side = self._side()
        async with side.fetching:
            await side.breathe()
            while True:
                self._check_open()
                with contextlib.suppress(queue.Empty):
                    item: T = self._queue.get_nowait()
                    return item
                await side.readable(self._queue.fileno())

    async def submit(self, item: T) -> None:
        """Put an item, waiting for a place while a bounded queue is full. Cancelled, it has put nothing.

        Args:
            item: anything that multiprocessing can pickle; it is pickled at once.

        Raises:
            BridgeClosed: the bridge is closed, or was closed meanwhile.
        """
        self._check_open()
        putting = Putting(self._queue, item)
        side = self._side()
        async with side.submitting:
            await side.breathe()
            self._check_open()
            while not putting.attempt():
                await side.readable(putting.fileno(), putting.pause)
                self._check_open()

    def underlying_queue(self) -> SafeQueue:
        """The queue itself, for `Process(args=...)` and for synchronous code in any thread."""
        return self._queue

    def close(self) -> None:
        """Close it in this process; may be called twice, and from any thread.

        Waiting fetches and submits raise BridgeClosed, `async for` ends. What was submitted still arrives, if
        another process has the queue.
        """
        self._closed = True
        self._queue.close()
        for loop, side in list(self._sides.items()):
            _call_on(loop, partial(side.end, self._why_closed()))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.fetch()
        except BridgeClosed:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> Any:
        raise UsageError("an AsyncQueueBridge stays in its process; hand underlying_queue() to the other one")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self._closed else 'open'} on {self._queue!r}>"

    def _check_open(self) -> None:
        if self._closed or self._queue.closed:
            raise self._why_closed()

    def _why_closed(self) -> BridgeClosed:
        return BridgeClosed(f"{self!r}: it was closed in this process; make a new bridge to go on")

    def _side(self) -> _Side:
        """What the running loop needs; closed loops are forgotten when a new one comes."""
        loop = asyncio.get_running_loop()
        if loop not in self._sides:
            for old in [old for old in self._sides if old.is_closed()]:
                del self._sides[old]
            self._sides[loop] = _Side(loop)
        return self._sides[loop]


class AsyncEvent:
    """A multiprocessing event that coroutines can wait for.

    Make and use it in any process and thread; `wait` on an event loop.

    Args:
        event: a SafeEvent, or a stock multiprocessing.Event of any context; without it, a new SafeEvent.

    Raises:
        UsageError: that is no event.
    """

    def __init__(self, event: EventLike | None = None) -> None:
        self._event: EventLike = SafeEvent() if event is None else _checked(event)

    def underlying_event(self) -> EventLike:
        """The event itself, for `Process(args=...)`."""
        return self._event

    async def wait(self, timeout: float | None = None) -> bool:
        """`await_event(event, timeout)`."""
        return await await_event(self._event, timeout)

    def set(self) -> None:
        """Set it. A stock event may hang on a lock of a dead process: see `_briefly`."""
        _briefly(self._event, self._event.set)

    def clear(self) -> None:
        """Clear it. A stock event may hang on a lock of a dead process: see `_briefly`."""
        _briefly(self._event, self._event.clear)

    def is_set(self) -> bool:
        """Whether it is set, without waiting for anybody's lock where that can be told.

        For some microseconds in which another process is itself looking at a stock event, it seems unset.
        """
        flag = _flag(self._event)
        return self._event.is_set() if flag is None else flag

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self._event!r}>"


async def await_event(event: EventLike, timeout: float | None = None) -> bool:
    """Wait on the event loop until a multiprocessing event is set.

    A SafeEvent wakes the coroutine through the loop's reader thread. A stock event's own `wait()` is never
    called: a process that dies inside it wedges for ever whoever sets the event, and we would be such a
    process. Its flag is looked at every 1 to 10 ms instead, without its lock and without a thread.

    Args:
        event: a SafeEvent, or a stock multiprocessing.Event of any context.
        timeout: seconds; None waits for ever.

    Returns:
        True when it is set, False when the time was over first.

    Raises:
        UsageError: that is no event, or the timeout is no time.
    """
    event = _checked(event)
    if timeout is not None:
        check_time("timeout of await_event", timeout, otherwise=", or None to wait for ever")
    if isinstance(event, SafeEvent):
        return event.is_set() or await _readable(event.fileno(), timeout)
    if _flag(event) is None:
        return await _looked_at(event, timeout)
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = FIRST_LOOK
    while not _flag(event):
        left = LAST_LOOK if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return False
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.25, LAST_LOOK)
    return True


class _Side:
    """A bridge's side towards one event loop. Used on that loop's thread only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.fetching = asyncio.Lock()  # asyncio's locks are fair: first come, first served
        self.submitting = asyncio.Lock()
        self._loop = loop
        self._waiting: set[asyncio.Future[bool]] = set()
        self._in_a_row = 0  # items since somebody last waited

    async def breathe(self) -> None:
        """Let the loop's other tasks run now and then, although there is always something to do here."""
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
            await _readable(fd, timeout, answer, linger=LINGER)
        finally:
            self._waiting.discard(answer)

    def end(self, error: BridgeClosed) -> None:
        """Raise it in everybody who waits."""
        if not self._loop.is_closed():
            for answer in self._waiting:
                _settle(answer, error)
        thread = _ReaderThread.of.get(self._loop)
        if thread is not None:
            thread.end_if_idle()


class _ReaderThread:
    """The reader of one event loop, from the first who waits to the last. Used on that loop's thread."""

    of: Final[dict[asyncio.AbstractEventLoop, _ReaderThread]] = {}

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.reader = Reader(loop, name="bridge-reader")
        self.reader.on_orphaned = self._forget  # in its thread: the loop was closed before us
        self._loop = loop
        self.waiting = 0
        self.rest: asyncio.TimerHandle | None = None
        self.of[loop] = self

    @classmethod
    @contextlib.contextmanager
    def lent(cls, loop: asyncio.AbstractEventLoop, linger: float) -> Iterator[Reader]:
        """Have the reader for one wait; it stays `linger` seconds longer, unless the wait is cancelled."""
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
        """End the thread if nobody waits."""
        if self.rest is not None:
            self.rest.cancel()
            self.rest = None
        if not self.waiting:
            self._forget()
            self.reader.close()

    def _forget(self) -> None:
        if self.of.get(self._loop) is self:
            del self.of[self._loop]


async def _readable(
    fd: int,
    timeout: float | None,
    answer: asyncio.Future[bool] | None = None,
    linger: float = 0.0,
) -> bool:
    """Wait in the reader thread until `fd` is readable: True; or False after `timeout` seconds.

    Whoever settles `answer` ends the wait. We watch a duplicate, which is ours alone: the original may be
    closed, or watched by others, at any time.
    """
    loop = asyncio.get_running_loop()
    answer = answer or loop.create_future()
    timer = None if timeout is None else loop.call_later(timeout, partial(_settle, answer, False))
    with _ReaderThread.lent(loop, linger) as reader:
        watched = os.dup(fd)
        try:
            reader.once(watched, partial(_settle, answer, True))
            return await answer
        finally:
            if timer is not None:
                timer.cancel()
            if answer.done() and not answer.cancelled() and answer.exception() is None and answer.result():
                os.close(watched)  # the thread has let go of it
            else:
                reader.forget(watched, close=partial(os.close, watched))


def _settle(answer: asyncio.Future[bool], outcome: bool | Exception) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


def _call_on(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call on the loop's thread: now if that is where we are or the loop is no more, else soon."""
    try:
        running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if loop is running or loop.is_closed():
        call()
    else:
        with contextlib.suppress(RuntimeError):  # closed in this moment: its reader ends by itself
            loop.call_soon_threadsafe(call)


def _checked(event: EventLike) -> EventLike:
    if isinstance(event, AsyncEvent):
        return event.underlying_event()
    if not all(callable(getattr(event, name, None)) for name in ("set", "clear", "is_set")):
        raise UsageError(f"{event!r} is no event; pass a SafeEvent or a multiprocessing.Event")
    return event


def _flag(event: EventLike) -> bool | None:
    """Whether it is set, told without any lock; None where it cannot be told (macOS: no sem_getvalue)."""
    if isinstance(event, SafeEvent):
        return event.is_set()
    try:
        return bool(event._flag._semlock._get_value())  # type: ignore[attr-defined]  # noqa: SLF001 - no other way
    except (AttributeError, NotImplementedError):
        return None


def _briefly(event: EventLike, deed: Callable[[], None]) -> None:
    """Do it here if it cannot wait, else in a thread of its own for which we wait 20 ms at most.

    A stock event's `set` and `clear` take its lock, and `set` waits for those who wait: both may be dead.
    What is not done in 20 ms is left to the (daemon) thread, which ends when the lock comes free, or never.
    """
    if isinstance(event, SafeEvent):
        deed()
        return
    thread = threading.Thread(target=deed, name="stock-event", daemon=True)
    thread.start()
    thread.join(PATIENCE)


async def _looked_at(event: EventLike, timeout: float | None) -> bool:
    """Wait for an event that can be asked only under its lock: a daemon thread asks, until we leave."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()
    left = threading.Event()

    def look() -> None:
        outcome: bool | Exception = True
        try:
            while not event.is_set():
                if left.wait(LAST_LOOK):
                    return
        except Exception as error:
            outcome = error
        _call_on(loop, partial(_settle, answer, outcome))

    timer = None if timeout is None else loop.call_later(timeout, partial(_settle, answer, False))
    threading.Thread(target=look, name="stock-event", daemon=True).start()
    try:
        return await answer
    finally:
        left.set()
        if timer is not None:
            timer.cancel()
