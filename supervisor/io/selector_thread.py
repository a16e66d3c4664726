"""SelectorThread: a thread that waits on descriptors, and carries out the orders it is given in between.

It is a daemon thread. It ends when it is closed, and by itself when its loop was closed first.

    any thread ── order ─▶ deque, bell ─▶ thread: poller ─▶ Work.readable, then the orders, then Work.after_wake
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from actors.event import KernelCounter
from actors.process.signals import LEFT_TO_THE_DAEMON
from supervisor.io.poller import PACE, Poller, Ready
from supervisor.signal_mask import leave_to_main_thread

ORPHAN_CHECK: Final = 1.0  # seconds between looks whether the loop was closed without closing the thread

Order = Callable[[], None]


class Work(Protocol):
    """What a thread does. Its methods run in the thread."""

    def readable(self, ready: Ready) -> None:
        """These descriptors can be read; one that is not known here may be among them."""

    def after_wake(self) -> None:
        """What was readable has been read, and the orders have been carried out."""

    def orphaned(self) -> None:
        """The loop was closed first: the thread ends."""

    def ended(self) -> None:
        """The thread's last deed."""


class SelectorThread:
    """One thread, its poller and its orders.

    Args:
        loop: gets the errors of the thread; when it is closed the thread ends.
        name: of the thread.
        work: what it does.

    Attributes:
        closing: whether it ends or has ended.
        poller: the descriptors it waits on; used in the thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, work: Work) -> None:
        self.closing = False
        self._loop = loop
        self._work = work
        self._orders: deque[Order] = deque()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        with contextlib.ExitStack() as undo:
            self.poller = Poller()
            undo.callback(self.poller.close)
            self._bell = KernelCounter()
            undo.callback(self._bell.close)
            self._rung: Final = self._bell.fileno(), select.POLLIN
            self.poller.add(self._bell.fileno())
            self._thread.start()
            undo.pop_all()

    # ---- on any thread

    def order(self, order: Order) -> None:
        """Carry out a short order in the thread, after those given before."""
        self._orders.append(order)
        self._ring()

    def end(self) -> None:
        """Carry out the orders that are left, and end. Returns at once."""
        self.closing = True
        self._ring()

    def join(self) -> None:
        """Wait for its end, unless this is the thread itself. It takes no orders any more."""
        if threading.current_thread() is not self._thread:
            self._thread.join()
            self._bell.close()  # not in the thread, which may end while another one rings

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()

    def _ring(self) -> None:
        with contextlib.suppress(ValueError, OSError):  # it has ended; or it looks after ORPHAN_CHECK
            self._bell.add()

    # ---- in the thread

    def _run(self) -> None:
        # of two signals that come together the kernel gives the second to any thread that takes it; the main thread,
        # where Python handles it, would then not wake up from a system call
        leave_to_main_thread(LEFT_TO_THE_DAEMON)
        wait, readable, after_wake = self.poller.wait, self._work.readable, self._work.after_wake
        try:
            ready: Ready = []
            while not self.closing:
                try:
                    ready = wait(ORPHAN_CHECK)
                    readable(ready)
                except Exception as error:  # every life needs this thread
                    self._report(error)
                    time.sleep(PACE)  # what could not be read is still there
                if self._orders or self._rung in ready:
                    self._take_orders()  # only now: orders may close what was ready
                try:
                    after_wake()
                except Exception as error:  # as above
                    self._report(error)
                if self._loop.is_closed():
                    self._work.orphaned()
                    return
        finally:
            self.closing = True
            self._carry_out_orders()  # what was just forgotten is still closed
            self._work.ended()
            self.poller.close()

    def _take_orders(self) -> None:
        with contextlib.suppress(Exception):  # it stays readable: the next wait returns at once
            self._bell.take()
        self._carry_out_orders()

    def _carry_out_orders(self) -> None:
        while self._orders:
            try:
                self._orders.popleft()()
            except Exception as error:  # every life needs this thread
                self._report(error)

    def _report(self, error: Exception) -> None:
        context = {"message": f"error in the thread {self._thread.name!r}; it continues", "exception": error}
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(self._loop.call_exception_handler, context)
