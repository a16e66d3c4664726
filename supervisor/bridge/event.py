"""AsyncEvent: events of multiprocessing, awaited without a blocked thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from actors.bounds import check_time, shown
from actors.errors import UsageError
from actors.event import SafeEvent
from supervisor.bridge.waiting import call_on, readable_on, settle

FIRST_LOOK: Final = 0.001  # seconds between two looks at a stock event, at first
LAST_LOOK: Final = 0.01  # the same after a long wait
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
        UsageError: it is neither.
    """

    def __init__(self, event: EventLike | None = None) -> None:
        self._event: EventLike = SafeEvent() if event is None else _checked(event)

    def underlying_event(self) -> EventLike:
        """The event itself, for `Process(args=...)`."""
        return self._event

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, `timeout` seconds at most (None: for ever); returns whether it is. As `await_event`."""
        return await await_event(self._event, timeout)

    def set(self) -> None:
        """Set it, from any thread of any process that has it.

        It blocks for 20 ms at most: where a process has died with the lock of a stock event, a thread goes on waiting.
        """
        _briefly(self._event, self._event.set)

    def clear(self) -> None:
        """Clear it, as `set`."""
        _briefly(self._event, self._event.clear)

    def is_set(self) -> bool:
        """Whether it is set. Takes no lock where the flag can be read without one.

        For some microseconds in which another process itself looks at a stock event, it seems unset.
        """
        flag = _flag(self._event)
        return self._event.is_set() if flag is None else flag

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self._event!r}>"


async def await_event(event: EventLike, timeout: float | None = None) -> bool:
    """Wait on the event loop until a multiprocessing event is set.

    A SafeEvent wakes the coroutine through the loop's reader thread. A stock event's own `wait()` is never called: a
    process that dies inside it makes every later `set()` hang, and the daemon would be such a process. Its flag is
    read every 1 to 10 ms instead, without its lock and without a thread.

    Args:
        event: a SafeEvent, or a stock multiprocessing.Event of any context.
        timeout: seconds; None waits for ever.

    Returns:
        True when it is set, False when the time was over first.

    Raises:
        UsageError: it is not an event, or the timeout is not a time.
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
        raise UsageError(f"{shown(event)} is not an event; pass a SafeEvent or a multiprocessing.Event")
    return event


def _flag(event: EventLike) -> bool | None:
    """Whether it is set, read without any lock; None where that is not possible (macOS: no sem_getvalue)."""
    if isinstance(event, SafeEvent):
        return event.is_set()
    try:
        return bool(event._flag._semlock._get_value())  # type: ignore[attr-defined]  # noqa: SLF001 - no other way
    except (AttributeError, NotImplementedError):
        return None


def _briefly(event: EventLike, deed: Callable[[], None]) -> None:
    """Call it here if it cannot block, else in a daemon thread, and wait 20 ms for that at most.

    A stock event's `set` and `clear` take its lock, and `set` waits for its waiters; the processes that hold them may
    be dead. A call that takes longer stays with the thread, which ends when the lock is released, or never.
    """
    if isinstance(event, SafeEvent):
        deed()
        return
    thread = threading.Thread(target=deed, name="stock-event", daemon=True)
    thread.start()
    thread.join(PATIENCE)


async def _looked_at(event: EventLike, timeout: float | None) -> bool:
    """Wait for an event whose flag is only readable under its lock: a daemon thread polls it while we wait."""
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
