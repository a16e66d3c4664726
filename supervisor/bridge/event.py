"""AsyncEvent: events of multiprocessing, awaited without a blocked thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from actors.bounds import check_time
from actors.errors import UsageError
from actors.event import SafeEvent
from supervisor.bridge.waiting import call_on, readable_on, settle

FIRST_LOOK: Final = 0.001  # seconds from one look at a stock event to the next, at first ...
LAST_LOOK: Final = 0.01  # ... and when it takes long
PATIENCE: Final = 0.02  # seconds that set() and clear() of a stock event may take


class EventLike(Protocol):
    """What multiprocessing.Event and SafeEvent have in common."""

    def set(self) -> None:
        """As in multiprocessing.Event."""

    def clear(self) -> None:
        """As in multiprocessing.Event."""

    def is_set(self) -> bool:
        """As in multiprocessing.Event."""


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
        return event.is_set() or await readable_on(event.fileno(), timeout)
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
        call_on(loop, partial(settle, answer, outcome))

    timer = None if timeout is None else loop.call_later(timeout, partial(settle, answer, False))
    threading.Thread(target=look, name="stock-event", daemon=True).start()
    try:
        return await answer
    finally:
        left.set()
        if timer is not None:
            timer.cancel()
