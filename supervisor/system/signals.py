"""Signals: SIGTERM and SIGINT ask every serving tree to stop; a second one kills; a third ends the daemon.

A signal belongs to the process, so one table serves all its trees. Handlers are installed when the first tree serves,
and restored when the last has ended.

Only in the main thread, where Python runs signal handlers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any, Final

from supervisor.system.signal_thread import SignalThread

STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


class Serving:
    """A tree that serves.

    Args:
        stop: asks the tree to stop.
        kill: kills the tree.
    """

    def __init__(self, stop: Callable[[], object], kill: Callable[[], object]) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = stop
        self._kill = kill
        self._asked = False

    def signalled(self) -> bool:
        """Schedule on the loop what this signal asks for; returns whether it is not the first."""
        again, self._asked = self._asked, True
        with contextlib.suppress(RuntimeError):  # the loop was closed
            self.loop.call_soon_threadsafe(self._kill if again else self._stop)
        return again


class Table:
    """The process's SIGTERM and SIGINT handling while any tree serves."""

    def __init__(self) -> None:
        self._serving: list[Serving] = []
        self._before: dict[int, Any] = {}
        self._process = 0
        self._thread: SignalThread | None = None
        self._forks_known = False

    def add(self, serving: Serving) -> None:
        """A tree starts serving."""
        if not self._serving or self._process != os.getpid():
            self._process = os.getpid()
            self._serving = []
            self._take()
        self._serving.append(serving)

    def remove(self, serving: Serving) -> None:
        """A tree has ended."""
        self._serving.remove(serving)
        if self._serving:
            return
        for number in STOPPING:
            if signal.getsignal(number) in (self._signalled, signal.SIG_DFL):  # else other code has set its own since
                before = self._before[number]
                signal.signal(number, signal.SIG_DFL if before is None else before)  # None: set by C code
        if self._thread is not None:
            self._thread.close()
            self._thread = None

    def _take(self) -> None:
        self._thread = SignalThread(STOPPING, self._loops)
        if not self._forks_known and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)
            self._forks_known = True
        for number in STOPPING:
            if signal.getsignal(number) != self._signalled:
                self._before[number] = signal.getsignal(number)
            signal.signal(number, self._signalled)

    def _loops(self) -> list[asyncio.AbstractEventLoop]:
        return [serving.loop for serving in self._serving]

    def _forked(self) -> None:
        """A fork does not tell the daemon's thread of its own signals."""
        if self._thread is not None:
            self._thread.forked()
            self._thread = None

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        """Runs between two instructions of the main thread, so it does as little as possible."""
        if not self._serving or self._process != os.getpid():  # restored by other code, or inherited by a fork
            self._pass_on(number, frame)
            return
        repeated = [serving for serving in self._serving if serving.signalled()]
        if repeated:
            for each in STOPPING:
                signal.signal(each, signal.SIG_DFL)
        if self._thread is not None:
            self._thread.handled(number, repeated=bool(repeated))

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        before = self._before[number]
        if callable(before):
            before(number, frame)
        elif before != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


_TABLE: Final = Table()


@asynccontextmanager
async def until_signalled(stop: Callable[[], object], kill: Callable[[], object]) -> AsyncIterator[None]:
    """While inside, the first signal calls `stop` and the second `kill`, on the loop's thread.

    A daemon in which something hangs, so that its loop still runs `signal_thread.LAST_RESORT` seconds after the second
    signal, is ended: exit code 128 + the number of the signal. A third signal ends it at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    serving = Serving(stop, kill)
    _TABLE.add(serving)
    try:
        yield
    finally:
        _TABLE.remove(serving)
