"""AsyncQueueBridge: a queue between an event loop and plain multiprocessing code.

Nothing that can block runs on the event loop's thread. A waiting coroutine only waits until a descriptor is readable.
The item is then taken without waiting, in the coroutine itself, with no `await` before the return. So a cancelled
coroutine has taken nothing, and there is no thread that could have.

One reader thread watches the descriptors of one event loop. It runs while a coroutine waits; it is a daemon thread,
and the interpreter's exit does not wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Iterator
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar
from weakref import ref

from actors.errors import UsageError
from actors.queue import Putting, SafeQueue
from supervisor.bridge.waiting import BridgeClosed, Side, call_on
from supervisor.known_options import tells_options

T = TypeVar("T")

_numbers = count(1)
_bridges: Final[set[ref[AsyncQueueBridge[Any]]]] = set()  # no WeakSet: other threads may add while one looks


@tells_options
class AsyncQueueBridge(Generic[T]):
    """A queue between an event loop and plain multiprocessing code.

    Coroutines `fetch` and `submit`; processes and threads `get` and `put` on `underlying_queue()`, which is passed to
    a process as an argument. Make it anywhere; use it from one event loop, or from several, one after another.
    Waiting fetches are served in order, and so are waiting submits. Items are pickled and unpickled on the loop's
    thread.

    Args:
        maxsize: how many items the queue may hold; 0 is unbounded.
        name: what metrics call it; `bridge-1` and so on when empty.
    """

    def __init__(self, maxsize: int = 0, *, name: str = "") -> None:
        self.name = name or f"bridge-{next(_numbers)}"
        self._queue = SafeQueue(maxsize)
        self._sides: dict[asyncio.AbstractEventLoop, Side] = {}
        self._closed = False
        _bridges.add(ref(self, _bridges.discard))

    async def fetch(self) -> T:
        """Take the next item, waiting for it. Cancelled or timed out, it has taken none.

        Raises:
            BridgeClosed: the bridge is closed, or was closed meanwhile.
        """
        side = self._side()
        async with side.fetching:
            await side.breathe()
            with self._only_while_open():
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
            with self._only_while_open():
                self._check_open()
                while not putting.attempt():
                    await side.readable(putting.fileno(), putting.pause)
                    self._check_open()

    def underlying_queue(self) -> SafeQueue:
        """The queue itself, for `Process(args=...)` and for synchronous code in any thread."""
        return self._queue

    @property
    def depth(self) -> int | None:
        """About how many items wait; None once it is closed, and where the platform cannot tell."""
        with contextlib.suppress(NotImplementedError, OSError, ValueError):
            return None if self._closed or self._queue.closed else self._queue.qsize()
        return None

    def close(self) -> None:
        """Close it in this process; may be called twice, and from any thread.

        Waiting fetches and submits raise BridgeClosed, `async for` ends. Submitted items still arrive, if another
        process has the queue.
        """
        self._closed = True
        self._queue.close()
        for loop, side in list(self._sides.items()):
            call_on(loop, partial(side.end, self._why_closed()))

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

    @contextlib.contextmanager
    def _only_while_open(self) -> Iterator[None]:
        """Raise BridgeClosed for what fails because another thread closes the bridge at that moment."""
        try:
            yield
        except BridgeClosed:
            raise
        except (OSError, ValueError):
            self._check_open()
            raise

    def _check_open(self) -> None:
        if self._closed or self._queue.closed:
            raise self._why_closed()

    def _why_closed(self) -> BridgeClosed:
        return BridgeClosed(f"{self!r}: it was closed in this process; make a new bridge to continue")

    def _side(self) -> Side:
        """The state for the running loop; that of closed loops is dropped when a new one comes."""
        loop = asyncio.get_running_loop()
        if loop not in self._sides:
            for old in [old for old in self._sides if old.is_closed()]:
                del self._sides[old]
            self._sides[loop] = Side(loop)
        return self._sides[loop]


def open_bridges() -> list[AsyncQueueBridge[Any]]:
    """The bridges of this process that are not closed, by name."""
    bridges = [bridge for known in list(_bridges) if (bridge := known()) is not None and bridge.depth is not None]
    return sorted(bridges, key=lambda bridge: bridge.name)
