"""Forking: actors' processes as forks of the test's process: a life costs milliseconds, so a test may have hundreds.

A fork has imported everything. Otherwise it runs what a spawned process runs.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
from types import SimpleNamespace

import pytest

from actors.child.exiting import Exit
from supervisor.process.spawn.worker_process import WorkerProcess

HIGHEST = 4096  # descriptors


class ForkedProcess:
    """What a worker process needs of `LeanProcess`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._popen = SimpleNamespace(returncode=None)

    @property
    def exitcode(self) -> int | None:
        return self._popen.returncode

    def give_away(self) -> int:
        """A fork has no tether to its parent."""
        return -1

    def close(self) -> None: ...


def fork_instead_of_spawning(patch: pytest.MonkeyPatch) -> None:
    """From now on trees fork their actors' processes; use `spares=0`."""

    def start(worker: WorkerProcess) -> ForkedProcess:
        mark = worker._orphan_reaper.mark()
        daemon = os.getpid()
        pid = os.fork()
        if not pid:
            try:
                run(worker, daemon, mark)
            finally:
                os._exit(1)
        return ForkedProcess(pid)

    patch.setattr(WorkerProcess, "_start", start)


def run(worker: WorkerProcess, daemon: int, mark: str) -> None:
    gc.freeze()  # what the test's process has made is not collected here: it would close descriptors
    duplex, output = worker._child_duplex, worker._output_pipe
    box, ready, stop = worker.box, worker.ready, worker.stop
    kept = sorted({duplex.incoming, duplex.outgoing, box.fileno(), ready.fileno(), stop.fileno(), output._fd})
    at = 3
    for fd in kept:  # nothing else: a process has no end of another one's channel
        os.closerange(at, fd)
        at = fd + 1
    os.closerange(at, HIGHEST)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    Exit.exit = lambda way_out, code: os._exit(code)
    main = importlib.import_module(worker._program.module).main
    main(duplex, box, ready, stop, output, daemon, mark, *worker._program.args)
