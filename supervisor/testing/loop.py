"""Inline loop: the event loop of an inline actor with async code. Where it would wait it parks its fiber.

It runs by the test's clock. It is a real asyncio loop: sockets, executors and timers work in it, and the test's loop
watches its selector.

Runs in the fiber of the life.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any, Final, TypeVar, TypeVarTuple

from supervisor.testing.clock import Unseen, VirtualClock
from supervisor.testing.fiber import Fiber

TURNS: Final = 100  # of a busy loop, after which the test's loop has one

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ParkingSelector(selectors.DefaultSelector):
    """A selector that parks a fiber where another one waits in the kernel.

    Where there is always something to do, as in a handler that polls, it parks after every `TURNS` turns of the loop.
    """

    def __init__(self, fiber: Fiber) -> None:
        super().__init__()
        self._fiber = fiber
        self._turns = 0  # since it has parked

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready."""
        events = super().select(0)
        busy = bool(events) or (timeout is not None and timeout <= 0)
        self._turns += 1
        if busy and self._turns < TURNS:
            return events
        self._turns = 0
        self._fiber.park(0.0 if busy else timeout)
        return super().select(0)


class InlineLoop(asyncio.SelectorEventLoop):
    """The event loop of one life.

    Args:
        fiber: of the life.
        clock: of the test.
        host: the test's loop.
        wake: called on the test's loop when a descriptor of this one is ready.
    """

    def __init__(
        self, fiber: Fiber, clock: VirtualClock, host: asyncio.AbstractEventLoop, wake: Callable[[], None]
    ) -> None:
        self._parking = ParkingSelector(fiber)
        super().__init__(self._parking)
        self._fiber = fiber
        self._clock = clock
        self._host = host
        self._own = len(self._parking.get_map()) + 1  # its self-pipe, and the channel of its actor
        self._unseen = Unseen()
        host.add_reader(self._parking.fileno(), wake)
        clock.others.add(self)

    def time(self) -> float:
        """The clock's."""
        return self._clock.monotonic()

    def awaits_outside(self) -> bool:
        """See `Outside`."""
        return bool(self._unseen) or len(self._parking.get_map()) > self._own

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """As ever, and counted."""
        return self._unseen.call(super().run_in_executor(executor, func, *args))

    async def subprocess_exec(self, *args: Any, **options: Any) -> Any:
        """As ever, and counted."""
        return await self._unseen.program(super().subprocess_exec(*args, **options))

    async def subprocess_shell(self, *args: Any, **options: Any) -> Any:
        """As ever, and counted."""
        return await self._unseen.program(super().subprocess_shell(*args, **options))

    async def shutdown_default_executor(self, *args: Any) -> None:
        """As ever, and counted: it waits for a thread of its own."""
        with self._unseen.thread():
            await super().shutdown_default_executor(*args)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """As ever; what a killed life leaves undone is not reported."""
        if not self._fiber.killed:
            super().call_exception_handler(context)

    def hold(self) -> None:
        """It runs no more, whatever arrives: the test's loop does not watch it, so time goes on without it."""
        if not self.is_closed():
            self._clock.others.discard(self)
            self._host.remove_reader(self._parking.fileno())

    def close(self) -> None:
        """Close it; the test's loop does not watch it any more."""
        self.hold()
        super().close()
