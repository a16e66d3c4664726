"""Spawner: the one thread in which a tree's processes are started.

A spawn may take long, so it has a thread of its own, which does nothing else.

The thread lives as long as its launcher, because the kernel ties a child's PR_SET_PDEATHSIG to the thread that made
it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Final

from actors.process.signals import LEFT_TO_THE_DAEMON
from supervisor.process.spawn.worker_process import WorkerProcess, report_error
from supervisor.signal_mask import leave_to_main_thread
from supervisor.system.priority import follow

ORPHAN_CHECK: Final = 0.5  # seconds between looks whether the loop was closed without closing us


class Spawner:
    """The one thread in which a tree's processes are started.

    Args:
        loop: of the tree.
        on_orphaned: the thread's last job when the loop was closed before the spawner.

    Attributes:
        do: runs a short job in the thread, after those given before. May be called on any thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_orphaned: Callable[[], None]) -> None:
        self._loop = loop
        self._on_orphaned = on_orphaned
        self._maker = threading.get_native_id()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.do: Final[Callable[[Callable[[], None]], None]] = self._jobs.put
        self._thread = threading.Thread(target=self._run, name="actors-spawner", daemon=True)
        self._thread.start()

    def begin(self, worker: WorkerProcess) -> None:
        """Start a process, after those begun before; returns at once. It inherits from the thread that made this."""
        self.do(lambda: follow(self._maker))
        self.do(worker.spawn)

    def close(self) -> None:
        """End the thread, and wait for that."""
        self._jobs.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        leave_to_main_thread(LEFT_TO_THE_DAEMON)
        while True:
            try:
                job = self._jobs.get(timeout=ORPHAN_CHECK)
            except queue.Empty:
                if not self._loop.is_closed():
                    continue
                self._on_orphaned()
                return
            if job is None:
                return
            try:
                job()
            except Exception as error:  # the kernel kills every actor when this thread ends
                report_error(self._loop, error)
