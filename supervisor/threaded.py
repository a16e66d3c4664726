"""Threaded: a tree in a thread of its own, beside a program without an event loop.

Exceptions of its start and its end come out in the thread that entered; leaving waits until nothing of it is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, TypeVar


class Tree(AbstractAsyncContextManager["Tree"], Protocol):
    """The tree that runs in the thread, as seen by that thread."""

    def request_kill(self) -> None:
        """End it at once."""


T = TypeVar("T", bound=Tree)


class InThread(AbstractContextManager[T]):
    """Enter `root` on a loop in a new thread, and leave it there at the end, or when `over` is set on that loop.

    An interrupt during the start stops it; one during the stop kills it. A tree that is entered and never left runs as
    long as the program, whatever becomes of this object: so no generator, which ends when it is collected.
    """

    def __init__(self, root: T, over: asyncio.Event) -> None:
        self._root = root
        self._life = _Life(root, over)

    def __enter__(self) -> T:
        try:
            self._life.begin()
        except BaseException:
            self._life.abandon()
            raise
        return self._root

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._life.leave()
        failure = self._life.failure
        if failure is None:
            return
        if error is None:
            raise failure
        error.add_note(f"Meanwhile the tree has ended with {type(failure).__name__}: {failure}")


class _Thread(Protocol):
    @property
    def ident(self) -> int | None:
        """None before it is started."""

    def start(self) -> None:
        """Run it."""

    def join(self) -> None:
        """Wait for its end."""


class _BesideGreenlets:
    """A real thread where gevent has patched threads; those that the tree starts are greenlets of this one.

    Of all greenlets of a thread only one can run an event loop.
    """

    def __init__(self, run: Callable[[], None]) -> None:
        from gevent.threadpool import ThreadPool  # noqa: PLC0415 - it has patched this process, so it is there

        self.ident: int | None = None
        self._run = run
        self._pool: Any = ThreadPool(1)

    def start(self) -> None:
        self._running = self._pool.spawn(self._run)
        self.ident = id(self._running)

    def join(self) -> None:
        self._running.wait()
        self._pool.kill()


def _thread_for(run: Callable[[], None]) -> _Thread:
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        return _BesideGreenlets(run)
    return threading.Thread(target=run, name="actors-tree", daemon=True)


class _Life:
    def __init__(self, root: Tree, over: asyncio.Event) -> None:
        self.entered: Future[None] = Future()
        self.failure: BaseException | None = None
        self._root = root
        self._over = over
        self._loop: asyncio.AbstractEventLoop | None = None
        self._up = threading.Event()
        self._thread = _thread_for(self._run)

    # ---- in the thread that entered

    def begin(self) -> None:
        """Start the thread, and the tree in it; returns when the tree runs."""
        self._thread.start()
        self.entered.result()

    def abandon(self) -> None:
        """Stop a start that was interrupted, or failed; returns when nothing of it is left."""
        if self._thread.ident is not None:  # else there is no thread: the system has none left
            self._up.wait()
            self.call(self.cancel)
            self.join()

    def leave(self) -> None:
        """Stop the tree; returns when nothing of it is left."""
        self.call(self._over.set)
        self.join()

    def join(self) -> None:
        """Wait for the end of the thread."""
        try:
            self._thread.join()
        except BaseException:
            self.call(self._root.request_kill)
            self._thread.join()
            raise

    def call(self, deed: Callable[[], object]) -> None:
        """Call it on the loop, if there is one that still runs."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(deed)

    # ---- in the tree's

    def cancel(self) -> None:
        """Cancel the start."""
        self._task.cancel()

    def _run(self) -> None:
        living = self._live()
        try:
            asyncio.run(living)
        except BaseException as error:
            self.failure = error
            if not self.entered.done():
                self.entered.set_exception(error)
        finally:
            living.close()
            self._up.set()  # also where there is no descriptor left for a loop

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._stay())
        self._up.set()
        await self._task

    async def _stay(self) -> None:
        async with self._root:
            self.entered.set_result(None)
            await self._over.wait()
