"""Virtual clock: the time of one event loop in a test. It stands still while code runs, and jumps instead of waiting.

    loop has nothing to do ─▶ select(timeout) ─▶ jump to the next timer, or to where `advance` stops

So timers come due in their order, and everything that one causes is done before the next. Where something from outside
is awaited, a socket, a program or a thread of an executor, time passes as it really does; and where there is always
something to do, a test that polls in a tight loop for instance, once that has gone on for a second.

Runs on the loop's thread. It replaces `time`, `run_in_executor`, `subprocess_exec`, `subprocess_shell` and the
selector's `select` of that loop object, and restores them in the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Any, Final, Protocol, TypeVar

from actors.bounds import check_time
from actors.errors import UsageError
from supervisor.clock import REAL, VIRTUAL

T = TypeVar("T")

BUSY: Final = 1.0  # seconds of real time after which time passes though there is always something to do
_TURN: Final = 0.01  # seconds of real time that one turn of the loop counts for at most: a debugger may stop in it
_SAME: Final = 1e-9  # seconds: two moments that are nearer than the loop's resolution are one


class Outside(Protocol):
    """A loop that may wait for something outside of the test."""

    def awaits_outside(self) -> bool:
        """Whether it waits for a socket, an executor's thread or a program now."""


class Unseen:
    """What a loop awaits that its selector may not see: an executor's thread, a program whose end a thread tells."""

    def __init__(self) -> None:
        self._threads = 0
        self._programs: list[asyncio.SubprocessTransport] = []

    def __bool__(self) -> bool:
        self._programs = [program for program in self._programs if program.get_returncode() is None]
        return bool(self._threads or self._programs)

    @contextlib.contextmanager
    def thread(self) -> Iterator[None]:
        """While inside, a thread is awaited."""
        self._threads += 1
        try:
            yield
        finally:
            self._threads -= 1

    def call(self, future: asyncio.Future[T]) -> asyncio.Future[T]:
        """Count a call in an executor, which is that future."""
        self._threads += 1
        future.add_done_callback(self._called)
        return future

    async def program(self, starting: Awaitable[tuple[Any, Any]]) -> tuple[Any, Any]:
        """Count a program that is being started; what `subprocess_exec` and `subprocess_shell` return."""
        transport, protocol = await starting
        self._programs.append(transport)
        return transport, protocol

    def _called(self, _: object) -> None:
        self._threads -= 1


class VirtualClock:
    """The virtual time of one event loop.

    Attributes:
        others: further loops that run by this clock, those of inline actors.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.others: set[Outside] = set()
        self._loop: Any = loop
        self._selector = _selector_of(loop)
        self._select: Callable[[float | None], list[Any]] = self._selector.select
        self._now = time.monotonic()
        self._ns = 0  # what `monotonic_ns` has said last
        self._epoch = time.time() - self._now  # seconds since the epoch when this clock was 0
        self._stops: list[tuple[float, int, asyncio.Future[None]]] = []  # of `advance`, the next one first
        self._ids = count()
        self._users = 0
        self._unseen = Unseen()
        self._turned = self._now  # when its last busy turn was
        self._worked = 0.0  # for how long it has always had something to do

    def monotonic(self) -> float:
        """Seconds, as `time.monotonic` when the clock was set."""
        return self._now

    def monotonic_ns(self) -> int:
        """The same in nanoseconds; each call is later than the one before, so what begins first has begun first."""
        self._ns = max(self._ns + 1, int(self._now * 1e9))
        return self._ns

    def time(self) -> float:
        """Seconds since the epoch: the system's when the clock was set, and what has passed here since."""
        return self._epoch + self._now

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass: returns when everything that is due until then is done, and nothing runs.

        `advance(0)` only waits until nothing runs.

        Raises:
            UsageError: `seconds` is no time.
        """
        check_time("what clock.advance gets", seconds)
        future: asyncio.Future[None] = self._loop.create_future()
        heapq.heappush(self._stops, (self._now + seconds, next(self._ids), future))
        await future

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """While inside, the loop runs by this clock; see `begin`."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def begin(self) -> None:
        """From now on the loop runs by this clock, until as many calls of `end`.

        Raises:
            UsageError: a tree of processes runs on the loop.
        """
        if REAL.get(self._loop):
            raise UsageError(
                "a tree of processes runs on this event loop, and their time is real; leave it before the clock is "
                "virtual, or use another loop for one of them"
            )
        if not self._users:
            VIRTUAL[self._loop] = self
            self._now = time.monotonic()
            self._epoch = time.time() - self._now
            self._loop.time = self.monotonic
            self._count_unseen()
            self._selector.select = self._wait
        self._users += 1

    def end(self) -> None:
        """The loop runs by its former clock again, where nobody else uses this one."""
        self._users -= 1
        if not self._users:
            del VIRTUAL[self._loop]
            del self._loop.time, self._loop.run_in_executor, self._selector.select
            del self._loop.subprocess_exec, self._loop.subprocess_shell

    def awaits_outside(self) -> bool:
        """Whether this loop, or another one of this clock, waits for something outside."""
        watched = len(self._selector.get_map()) - 1 - len(self.others)  # without the loop's own, and the other loops
        return bool(self._unseen) or watched > 0 or any(loop.awaits_outside() for loop in self.others)

    def _wait(self, timeout: float | None = None) -> list[Any]:
        """The loop's `select`: it does not wait for time."""
        events = self._select(0)
        if events or (timeout is not None and timeout <= 0):
            self._work()
            return events
        self._worked = 0.0
        due = float("inf") if timeout is None else self._now + timeout
        while self._stops and self._stops[0][2].done():  # cancelled
            heapq.heappop(self._stops)
        if self._stops and self._stops[0][0] < due - _SAME:
            stop, _, future = heapq.heappop(self._stops)
            self._now = max(self._now, stop)
            future.set_result(None)
            return []
        if timeout is None:
            return self._select(None)
        if not self._stops and self.awaits_outside():
            began = time.monotonic()
            events = self._select(timeout)
            self._now += min(timeout, time.monotonic() - began)
            return events
        self._now = due
        return []

    def _work(self) -> None:
        """A turn of the loop that has something to do."""
        now = time.monotonic()
        turn, self._turned = min(now - self._turned, _TURN), now
        self._worked += turn
        if self._worked > BUSY:
            self._now += turn

    def _count_unseen(self) -> None:
        """Let the loop count what its selector may not see."""
        loop, unseen = self._loop, self._unseen
        in_executor, execute, shell = loop.run_in_executor, loop.subprocess_exec, loop.subprocess_shell
        loop.run_in_executor = lambda *args: unseen.call(in_executor(*args))
        loop.subprocess_exec = lambda *args, **options: unseen.program(execute(*args, **options))
        loop.subprocess_shell = lambda *args, **options: unseen.program(shell(*args, **options))


def virtual_clock() -> VirtualClock:
    """The virtual clock of the running loop; a new one, which does not run yet, if it has none.

    Raises:
        UsageError: this kind of loop cannot have one, or no loop runs.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError("a virtual clock needs a running asyncio event loop; use it in an async test") from None
    clock = VIRTUAL.get(loop)
    return clock if isinstance(clock, VirtualClock) else VirtualClock(loop)


class LoopClock:
    """The clock of the running event loop: virtual where a test has one, else the real one."""

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass: at once where the clock is virtual, else by waiting. See `VirtualClock.advance`.

        Raises:
            UsageError: `seconds` is no time.
        """
        clock = VIRTUAL.get(asyncio.get_running_loop())
        if isinstance(clock, VirtualClock):
            await clock.advance(seconds)
        else:
            check_time("what clock.advance gets", seconds)
            await asyncio.sleep(seconds)

    def monotonic(self) -> float:
        """Seconds, those of the loop's timers."""
        return asyncio.get_running_loop().time()


def _selector_of(loop: asyncio.AbstractEventLoop) -> Any:
    """The selector in which a loop waits; asyncio has no other place to see that it has nothing to do."""
    selector = getattr(loop, "_selector", None)
    if selector is None or not hasattr(selector, "get_map"):
        raise UsageError(
            f"a virtual clock needs asyncio's own event loop, this one is a {type(loop).__module__}."
            f"{type(loop).__qualname__}; run these tests on asyncio's, or with real processes"
        )
    return selector
