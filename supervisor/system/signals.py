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
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any, Final

STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
LAST_RESORT: Final = 5.0  # seconds from a second signal to the end of a hanging daemon


class Serving:
    """A tree that serves.

    Args:
        stop: asks the tree to stop.
        kill: kills the tree.
    """

    def __init__(self, stop: Callable[[], None], kill: Callable[[], None]) -> None:
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


class Alarm:
    """Wakes a loop at each signal: a signal just before the loop blocks would otherwise wait for its next event."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heard, self._wake = socket.socketpair()
        for end in (self._heard, self._wake):
            end.setblocking(False)
        loop.add_reader(self._heard, self._heard.recv, 4096)
        before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        if before != -1:  # the loop's own: of `add_signal_handler`, or uvloop's
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)

    def close(self) -> None:
        """Stop waking the loop."""
        now = signal.set_wakeup_fd(-1)
        if now not in {-1, self._wake.fileno()}:
            signal.set_wakeup_fd(now, warn_on_full_buffer=False)
        self._loop.remove_reader(self._heard)
        self._heard.close()
        self._wake.close()


class Table:
    """The process's SIGTERM and SIGINT handling while any tree serves."""

    def __init__(self) -> None:
        self._serving: list[Serving] = []
        self._before: dict[int, Any] = {}
        self._process = 0
        self._alarm: Alarm | None = None

    def add(self, serving: Serving) -> None:
        """A tree starts serving."""
        if not self._serving or self._process != os.getpid():
            self._process = os.getpid()
            self._serving = []
            self._take(serving.loop)
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
        if self._alarm is not None:
            self._alarm.close()
            self._alarm = None

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in STOPPING:
            if signal.getsignal(number) != self._signalled:
                self._before[number] = signal.getsignal(number)
            signal.signal(number, self._signalled)
        self._alarm = Alarm(loop)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        """Runs between two instructions of the main thread, so it does as little as possible."""
        if not self._serving or self._process != os.getpid():  # restored by other code, or inherited by a fork
            self._pass_on(number, frame)
            return
        again = [serving for serving in self._serving if serving.signalled()]
        if again:
            for each in STOPPING:
                signal.signal(each, signal.SIG_DFL)
            timer = threading.Timer(LAST_RESORT, _end, (number, [serving.loop for serving in again]))
            timer.daemon = True
            timer.start()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        before = self._before[number]
        if callable(before):
            before(number, frame)
        elif before != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


def _end(number: int, loops: list[asyncio.AbstractEventLoop]) -> None:
    """End this process if one of these loops still runs. Runs in a thread of its own: the main thread may hang."""
    if any(loop.is_running() for loop in loops):
        name = signal.Signals(number).name
        os.write(2, f"still here {LAST_RESORT:g} s after a second {name}: the process ends\n".encode())
        os._exit(128 + number)


_TABLE: Final = Table()


@asynccontextmanager
async def until_signalled(stop: Callable[[], None], kill: Callable[[], None]) -> AsyncIterator[None]:
    """While inside, the first signal calls `stop` and the second `kill`, on the loop's thread.

    A daemon whose loop still runs `LAST_RESORT` seconds after the second signal, because something in it hangs, is
    ended: exit code 128 + the number of the signal. A third signal ends it at once.
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
