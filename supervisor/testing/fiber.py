"""Fiber: a thread that runs only while the loop's thread waits for it, so that exactly one of them runs at a time.

An actor's code may wait in the middle of a sync call. In a process the process waits; here its fiber parks and the
test's loop goes on. What a fiber does while it runs is one step of the loop: no lock is needed between them.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Final

from actors.process.task_stacks import frame_line

_ITS_OWN: Final = (__name__, "supervisor.testing.life")  # modules whose frames only say that it is a fiber


class Killed(BaseException):
    """Raised where a fiber waits, to end it."""


class Fiber:
    """One fiber.

    Args:
        name: of its thread.
        main: what it runs.

    Attributes:
        wish: seconds after which it wants to run on though nothing wakes it; None without a bound.
        over: whether it has ended.
        killed: whether it may not wait any more.
        lost: whether the loop's thread was interrupted while it ran: it cannot be stopped and is left alone.
    """

    def __init__(self, name: str, main: Callable[[], None]) -> None:
        self.wish: float | None = None
        self.over = False
        self.killed = False
        self.lost = False
        self._main = main
        self._go, self._parked = _taken(), _taken()  # each is released by the one for the other
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def inside(self) -> bool:
        """Whether the caller runs in it."""
        return threading.current_thread() is self._thread

    def stack(self) -> str:
        """Where it waits, in the form in which faulthandler shows threads."""
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - its documented name
        lines = [f"Thread {self._thread.name} (most recent call first):"]
        while frame is not None and frame.f_code is not Fiber._run.__code__:
            if frame.f_globals.get("__name__") not in _ITS_OWN:
                lines.append(frame_line(frame))
            frame = frame.f_back
        return "\n".join([*lines, ""])

    def run(self) -> None:
        """Let it run until it parks or ends. Runs on the loop's thread."""
        if self.over or self.lost:
            return
        try:
            if self._thread.ident is None:
                self._thread.start()  # it runs at once
            else:
                self._go.release()
            self._parked.acquire()
        except BaseException:  # Ctrl-C, a test's timeout: whatever runs in it runs on
            self.lost = self._thread.ident is not None
            raise
        if self.over:
            self._thread.join()

    def park(self, seconds: float | None) -> None:
        """Wait until the loop's thread lets it run. Runs in the fiber.

        Raises:
            Killed: it shall end.
        """
        if not self.killed:
            self.wish = seconds
            self._parked.release()
            self._go.acquire()
        if self.killed:
            raise Killed

    def kill(self) -> None:
        """End it where it waits. Runs on the loop's thread."""
        self.killed = True
        if self._thread.ident is None:
            self.over = True
        self.run()

    def _run(self) -> None:
        try:
            self._main()
        finally:
            self.over = True
            self._parked.release()


def _taken() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
