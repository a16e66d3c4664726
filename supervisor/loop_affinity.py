"""Loop affinity: a tree and its refs belong to one event loop, in one thread, of one process.

Used elsewhere they refuse before anything is done, and say what to do instead.

A fork inherits every object and every pipe of its daemon, and the thread's number, too. So forks are noted by a hook.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import time
from asyncio import _get_running_loop  # the public one raises where there is none
from collections.abc import Coroutine
from typing import Any, Final, TypeVar
from weakref import WeakSet

from actors.errors import ActorStopped, AskTimeout, UsageError

T = TypeVar("T")

LATE: Final = 1.0  # seconds after its timeout within which a loop that is not blocked answers
LOOK: Final = 0.5  # seconds between looks whether a loop was closed
_NOWHERE: Final = -1  # not the number of any thread

_homes: WeakSet[Home] = WeakSet()


class Home:
    """The loop, thread and process a tree belongs to: those that run now.

    Attributes:
        loop: the event loop.
        thread: number of the loop's thread; in a fork that of no thread.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        _homes.add(self)

    @property
    def forked(self) -> bool:
        """Whether this process is a fork of the tree's process."""
        return self.thread == _NOWHERE

    def check(self, what: str) -> None:
        """Check that the caller runs in the loop, or in its thread while that runs no other loop.

        Raises:
            UsageError: it runs elsewhere.
        """
        running = _get_running_loop()
        if (
            self.thread == threading.get_ident()
            and (running is self.loop or running is None)
            and not self.loop.is_closed()
        ):
            return
        raise UsageError(f"{what} was used {self._where()}")

    def _where(self) -> str:
        if self.forked:
            return (
                "in a fork of its daemon, which has none of its threads; nothing was done. Use it in the daemon, or "
                "start a supervisor in the fork; multiprocessing's 'spawn' way makes processes that share nothing"
            )
        if self.loop.is_closed():
            return "after its event loop was closed; nothing was done. Use it inside `async with Supervisor(...)`"
        if self.thread != threading.get_ident() and _get_running_loop() is not None:
            return (
                "from another thread than that of its supervisor's loop; nothing was done. On this loop, use await "
                "asyncio.to_thread(ref.call, message); for anything else write a coroutine that does it, and await "
                "asyncio.wrap_future(asyncio.run_coroutine_threadsafe(it(), root.loop))"
            )
        if self.thread != threading.get_ident():
            return (
                "from another thread than that of its supervisor's loop; nothing was done. From here, use "
                "ref.call(message); for anything else write a coroutine that does it, and run it by "
                "asyncio.run_coroutine_threadsafe(it(), root.loop).result()"
            )
        return "on another event loop than its supervisor's; nothing was done. Await it where that was entered"

    def run(self, work: Coroutine[Any, Any, T], what: str, timeout: float | None) -> T:
        """Run `work`, which ends within `timeout` seconds, on the loop, and block this thread until it is done.

        Raises:
            ActorStopped: the loop is closed, or was closed meanwhile.
            AskTimeout: the loop is blocked, or does not run.
        """
        late = None if timeout is None else time.monotonic() + timeout + LATE
        try:
            future = asyncio.run_coroutine_threadsafe(work, self.loop)
        except RuntimeError:
            work.close()
            raise ActorStopped(f"{what} was not sent: the event loop of its supervisor is closed") from None
        try:
            while not concurrent.futures.wait([future], LOOK).done:
                self._check_alive(work, what, late)
            return future.result()
        except concurrent.futures.CancelledError:
            raise ActorStopped(f"{what}: the event loop of its supervisor ended meanwhile") from None
        except BaseException:
            future.cancel()
            raise

    def _check_alive(self, work: Coroutine[Any, Any, Any], what: str, late: float | None) -> None:
        if self.loop.is_closed():
            work.close()
            raise ActorStopped(f"{what}: the event loop of its supervisor was closed meanwhile")
        if late is not None and time.monotonic() > late:
            raise AskTimeout(f"{what}: the event loop of its supervisor is blocked, or does not run")


def _forked() -> None:
    for home in _homes:
        home.thread = _NOWHERE


os.register_at_fork(after_in_child=_forked)
