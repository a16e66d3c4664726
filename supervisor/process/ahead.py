"""Ahead: processes of lives that are about to start, spawned and importing while earlier ones run `on_start`.

    expect: the next lives, in order ─▶ spawn ─▶ Preload ─▶ take, when the life's turn has come
                                           └─▶ killed, when the life is not expected any more

A process is for one path and one module. It is an optimisation, and decides nothing: a life whose process is missing,
dead or stale starts on a fresh one; what fails in an import fails again, and is reported, when the life has begun.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Final

from actors.event import close_fd
from actors.wire.codec import encode
from actors.wire.framing import header
from actors.wire.to_child import Preload, StartActor
from supervisor.ports.launching import Expected
from supervisor.process.spawn.sources import Sources, sources_now
from supervisor.process.spawn.surroundings import surroundings
from supervisor.process.spawn.worker_process import WorkerProcess

AT_ONCE: Final = (os.cpu_count() or 1) + 2  # processes that wait or import: more would only share the processors


class _Waiting:
    """A process that waits for its StartActor, or imports."""

    def __init__(self, expected: Expected, sources: Sources, make: Callable[[], WorkerProcess]) -> None:
        self.expected = expected
        self.surroundings = surroundings()
        self.sources = sources
        self.worker = make()

    @property
    def fresh(self) -> bool:
        """Whether a process that starts now would be the same."""
        return self.surroundings == surroundings() and self.sources.unchanged and not self.worker.dead


class Ahead:
    """The processes spawned ahead for one tree.

    Args:
        make: makes and begins a process, given its name and the lanes of its black box.
    """

    def __init__(self, make: Callable[[str, int], WorkerProcess]) -> None:
        self._make = make
        self._expected: dict[str, tuple[Expected, ...]] = {}  # by supervisor
        self._waiting: list[_Waiting] = []
        self._sources: Sources | None = None  # of the last of them, while lives are expected
        self._ending: list[WorkerProcess] = []
        self._unfit: set[Expected] = set()  # their processes have ended by themselves
        self._closed = False
        self._all_gone = asyncio.Event()

    def expect(self, supervisor: str, lives: Sequence[Expected]) -> None:
        """These lives are about to start, one after the other; it replaces what this supervisor expected before."""
        if lives:
            self._expected[supervisor] = tuple(lives)
        elif self._expected.pop(supervisor, None) is None:
            return
        self._adapt()

    @property
    def expects(self) -> bool:
        """Whether any life is about to start."""
        return bool(self._expected)

    def take(self, start: StartActor, lanes: int) -> WorkerProcess | None:
        """The process for a life, which may still import; None when there is none."""
        for waiting in self._waiting:
            if waiting.expected == Expected(start.path, start.module, tuple(start.main.items()), lanes):
                self._waiting.remove(waiting)
                if waiting.fresh:
                    return waiting.worker
                self._end(waiting)
                return None
        return None

    def reject(self, worker: WorkerProcess) -> None:
        """A process that was taken is not used: end it."""
        if worker.gone:
            self._discard(worker)
        else:
            self._end_worker(worker)

    def dismiss(self) -> None:
        """No life is expected any more."""
        self._closed = True
        self._expected.clear()
        self._adapt()

    async def close(self) -> None:
        """Dismiss them, and wait until they have ended."""
        self.dismiss()
        if self._ending:
            await self._all_gone.wait()

    def abandon(self) -> None:
        """Kill and reap them, without the loop. Runs in the spawner's thread."""
        for worker in [*self._ending, *(waiting.worker for waiting in self._waiting)]:
            worker.abandon()
            close_fd(worker.output)

    def _adapt(self) -> None:
        """End those that are not expected any more, and spawn those that are next."""
        expected = [life for lives in self._expected.values() for life in lives]
        for waiting in tuple(self._waiting):
            if waiting.expected not in expected:
                self._waiting.remove(waiting)
                self._end(waiting)
        if not expected:
            self._sources = None
        there = {waiting.expected for waiting in self._waiting}
        for life in expected[:AT_ONCE]:
            if len(self._waiting) < AT_ONCE and life not in there and life not in self._unfit and not self._closed:
                self._spawn(life)

    def _spawn(self, life: Expected) -> None:
        try:
            self._sources = sources_now((life.module,), self._sources)
            waiting = _Waiting(life, self._sources, lambda: self._make(life.path, life.lanes))
        except OSError:
            self._unfit.add(life)  # the start itself will say what the system is short of
            return
        self._waiting.append(waiting)
        waiting.worker.on_gone = lambda: self._ended_itself(waiting)
        frame = encode(Preload([life.module], dict(life.main), quiet=True))
        try:
            waiting.worker.duplex.send(header(len(frame)) + frame)  # small, into an empty channel: it fits
        except OSError:
            self._waiting.remove(waiting)
            self._end(waiting)

    def _ended_itself(self, waiting: _Waiting) -> None:
        self._unfit.add(waiting.expected)
        self._waiting.remove(waiting)
        self._discard(waiting.worker)

    def _end(self, waiting: _Waiting) -> None:
        self.reject(waiting.worker)

    def _end_worker(self, worker: WorkerProcess) -> None:
        self._ending.append(worker)
        worker.on_gone = lambda: self._ended(worker)
        worker.kill()

    def _ended(self, worker: WorkerProcess) -> None:
        self._ending.remove(worker)
        self._discard(worker)
        if self._closed and not self._ending:
            self._all_gone.set()

    @staticmethod
    def _discard(worker: WorkerProcess) -> None:
        worker.exit_status()
        worker.discard()
