"""What takes part in a benchmark has to be able to do, and the workloads that are the same for all of it.

Runs in an interpreter of its own, also in one that has nothing but a peer installed: the standard library alone.
"""

from __future__ import annotations

import gc
import os
import platform
import signal
import statistics
import time
from abc import ABC, abstractmethod
from importlib.metadata import version
from typing import ClassVar, Generic, Self, TypeVar

from benchmarks import processes
from benchmarks.absent import Absent

MIB = 1024 * 1024
IN_FLIGHT = 64  # asks under way in `flight`
SHORT_ROUND = 0.3  # seconds that a fan-out is repeated for
CALM = 0.3  # seconds before a kill

Figures = dict[str, float]

W = TypeVar("W")


class Contender(ABC, Generic[W]):
    """One way to have other processes add numbers up. Open from `__enter__` to `__exit__`; `W` is one of its workers.

    Each public method but `versions` is a workload: it does what its arguments say and returns figures by name.
    """

    PACKAGES: ClassVar[tuple[str, ...]] = ()  # whose versions matter
    NO_RECOVERY: ClassVar[str] = "nothing starts a worker again"

    @abstractmethod
    def __enter__(self) -> Self: ...
    @abstractmethod
    def __exit__(self, *exc: object) -> None: ...

    def versions(self) -> dict[str, str]:
        """What was measured."""
        return {"Python": platform.python_version(), **{name: version(name) for name in self.PACKAGES}}

    # ---- what a contender says about itself

    @abstractmethod
    def _launch(self, size: int) -> list[W]:
        """So many new workers, each of which has answered."""

    @abstractmethod
    def _end(self, workers: list[W]) -> None:
        """Stop workers that `_launch` made, and wait until they are gone."""

    @abstractmethod
    def _ask_each(self, workers: list[W]) -> None:
        """One ask to each of them, all under way at once; returns with the last reply."""

    @abstractmethod
    def _pid(self, worker: W) -> int: ...

    def _settle(self, worker: W) -> None:
        """Leave it time for what it gets ready in the background."""
        self._rest(CALM)

    def _recover(self, worker: W) -> None:
        """The process of the worker was killed; return when there is a reply again."""
        raise Absent(self.NO_RECOVERY)

    # ---- workloads: messages to one worker

    @abstractmethod
    def ask(self, count: int) -> Figures:
        """One ask after the other: `p50` and `p99`, in microseconds."""

    @abstractmethod
    def flight(self, count: int) -> Figures:
        """Asks of which IN_FLIGHT are always under way: `rate` per second."""

    @abstractmethod
    def tell(self, count: int) -> Figures:
        """Tells, and an ask behind them that shows that all were handled: `rate` per second."""

    @abstractmethod
    def send(self, count: int, mib: int) -> Figures:
        """Payloads one after the other, each answered by its length: `rate` in MiB per second."""

    @abstractmethod
    def echo(self, count: int, mib: int) -> Figures:
        """Payloads one after the other, each answered by itself: `rate` in MiB per second, counted once."""

    def array(self, count: int, mib: int) -> Figures:
        """A numpy array, summed by the worker, in MiB per second: `rate` handed over anew each time, `again` not."""
        raise Absent("not written for it")

    # ---- workloads: one worker to another

    def between_ask(self, count: int) -> Figures:
        """One worker asks another, one ask after the other: `p50` and `p99`, in microseconds."""
        raise Absent("its workers do not send to each other")

    def between_tell(self, count: int) -> Figures:
        """One worker tells another, and asks it at the end: `rate` per second."""
        raise Absent("its workers do not send to each other")

    # ---- workloads: processes

    def start(self, size: int) -> Figures:
        """From nothing until so many new workers have answered: `milliseconds`."""
        begun = time.perf_counter()
        workers = self._launch(size)
        took = time.perf_counter() - begun
        self._end(workers)
        return {"milliseconds": took * 1000}

    def kill(self) -> Figures:
        """From kill -9 of an idle worker to the next reply: `milliseconds`."""
        return self._kill(self._launch(1))

    def kill_cold(self) -> Figures:
        """The same without a spare process: `milliseconds`."""
        raise Absent("it keeps no spare process that it could do without")

    def fleet(self, size: int, idle: float) -> Figures:
        """What so many workers cost, and how fast they answer one message to each.

        Returns:
            `rate` of answered messages per second; `threads` of the daemon; in MiB the `worker`'s memory and the
            `tree`'s; in KiB `daemon`, the daemon's own growth by worker; in per cent of a core `idle`, the share of
            the whole tree while nothing happens (only when `idle` seconds are given).
        """
        gc.collect()
        before = processes.own_kib(os.getpid())
        workers = self._launch(size)
        try:
            figures = {"rate": self._fan_out(workers)}
            gc.collect()
            figures["daemon"] = (processes.own_kib(os.getpid()) - before) / size
            figures["threads"] = processes.threads(os.getpid())
            figures["worker"] = statistics.fmean(processes.pss_kib(self._pid(one)) for one in workers) / 1024
            figures["tree"] = processes.pss_kib(*processes.marked()) / 1024
            if idle:
                figures["idle"] = self._idle(idle)
            return figures
        finally:
            self._end(workers)

    def _kill(self, workers: list[W]) -> Figures:
        try:
            self._settle(workers[0])
            begun = time.perf_counter()
            os.kill(self._pid(workers[0]), signal.SIGKILL)
            self._recover(workers[0])
            return {"milliseconds": (time.perf_counter() - begun) * 1000}
        finally:
            self._end(workers)

    def _fan_out(self, workers: list[W]) -> float:
        self._ask_each(workers)
        begun, rounds = time.perf_counter(), 0
        while (took := time.perf_counter() - begun) < SHORT_ROUND:
            self._ask_each(workers)
            rounds += 1
        return rounds * len(workers) / took

    def _idle(self, seconds: float) -> float:
        daemon = {os.getpid()}
        others = processes.marked() - daemon
        before = processes.cpu_seconds(others) + processes.cpu_seconds(daemon)
        begun = time.perf_counter()
        self._rest(seconds)
        took = time.perf_counter() - begun  # looking costs time, too: the daemon is asked last, and then first
        return 100 * (processes.cpu_seconds(daemon) + processes.cpu_seconds(others) - before) / took

    def _rest(self, seconds: float) -> None:
        time.sleep(seconds)


def quantiles(nanoseconds: list[int]) -> Figures:
    """The middle and the slow end of what single asks took, in microseconds."""
    cuts = statistics.quantiles(nanoseconds, n=100)
    return {"p50": cuts[49] / 1000, "p99": cuts[98] / 1000}
