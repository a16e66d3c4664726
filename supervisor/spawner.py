"""Spawner: starts operating system processes, each with a channel, a black box and events of its own.

Law: a spawn may take long, so it has a thread of its own, and nothing else happens there. What a process is started
     with belongs to it alone and is never used again.
May import: guard, lean, pipes, reaping, reader, ports, and the words of `actors`.

The thread lives as long as its launcher, because the kernel ties a child's PR_SET_PDEATHSIG to the thread that made it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable
from multiprocessing import resource_tracker
from typing import Final

from actors import child
from actors.blackbox import BlackBox
from actors.duplex import Duplex
from actors.event import SafeEvent, readable
from actors.faults import DUMP_SIGNAL
from actors.pulse import PULSE_SIGNAL
from actors.signals import LEFT_TO_THE_DAEMON
from actors.voice import Voice
from supervisor.guard import Guard, end_group
from supervisor.lean import LeanProcess
from supervisor.pipes import BUDGET, widen
from supervisor.ports import AnyReader
from supervisor.reader import close_fd
from supervisor.reaping import Remains, reap

ORPHAN_CHECK: Final = 0.5  # seconds between looks at whether the loop was closed behind our back
LAST_WAIT: Final = 1.0  # seconds for a killed process to be gone


class Spawner:
    """The one thread in which a tree's processes are started.

    Args:
        loop: of the tree.
        on_orphaned: the thread's last job when the loop was closed and nobody had closed the spawner.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_orphaned: Callable[[], None]) -> None:
        self._loop = loop
        self._on_orphaned = on_orphaned
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="actors-spawner", daemon=True)
        self._thread.start()

    def begin(self, player: Player) -> None:
        """Start a process, after those begun before; returns at once."""
        self.do(player.spawn)

    def do(self, job: Callable[[], None]) -> None:
        """Run a short job in the thread, after those given before. Runs on any thread."""
        self._jobs.put(job)

    def close(self) -> None:
        """End the thread, and wait for that."""
        self._jobs.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
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
                _tell(self._loop, error)


class Player:
    """A process, from before its spawn until it is gone, with all it needs to play one part; which, it learns later.

    Made and used on the loop's thread, but for `spawn`, `kill` and `signal`.

    Attributes:
        loop: of its tree.
        reader: waits for what it says.
        pid: its process id, None before the spawn.
        duplex: the daemon's end of its channel.
        box: its black box.
        ready: set by the process.
        stop: set by the daemon.
        output: the reading end of the pipe for everything it writes.
        error: why it could not be started, None otherwise.
        kill_asked: whether `kill` was called.
        gone: whether the process is dead, or could not be started, as far as we know.
        on_gone: called on the loop, once, when it is gone.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, reader: AnyReader, guard: Guard, name: str, lanes: int) -> None:
        self.loop = loop
        self.reader = reader
        self.pid: int | None = None
        self.error: Exception | None = None
        self.kill_asked = False
        self.gone = False
        self.on_gone: Callable[[], None] = _nothing
        with contextlib.ExitStack() as undo:
            self.duplex, self._child_duplex = Duplex.pair()
            undo.callback(self._child_duplex.close)
            undo.callback(self.duplex.close)
            self.duplex.set_blocking(blocking=False)
            self.box = BlackBox(lanes)
            undo.callback(self.box.close)
            self.ready = SafeEvent()
            undo.callback(self.ready.close)
            self.stop = SafeEvent()
            undo.callback(self.stop.close)
            self.output, writing = os.pipe()
            os.set_blocking(self.output, False)
            self._voice = Voice(writing)
            undo.pop_all()
        self._widened = widen(self.duplex.incoming, self.duplex.outgoing)
        self.pidfd = -1
        self._guard = guard
        self._family: int | None = None
        self._name = name
        self._process: LeanProcess | None = None
        self._ready_dropped = False

    def spawn(self) -> None:
        """Start the process. Runs in the spawner's thread; the only thing that may take long."""
        try:
            process = self._start()
        except Exception as reason:
            self.error = reason
        else:
            self._process, self.pidfd, self.pid = process, _open_pidfd(process), process.pid
            self._found_family()
        finally:
            self._child_duplex.close()
            self._voice.close()
        if self.kill_asked:
            self.kill()
        if not self._on_loop(self._spawned):
            self.kill()

    def _start(self) -> LeanProcess:
        _shelter()
        mark = self._guard.mark()
        parts = self._child_duplex, self.box, self.ready, self.stop, self._voice
        process = LeanProcess(target=child.main, name=self._name, args=(*parts, os.getpid(), mark))
        process.start()
        return process

    def _found_family(self) -> None:
        """The process runs, whatever becomes of its guardian."""
        try:
            self._family = self._guard.begun(self.pid or 0)
        except Exception as error:
            _tell(self.loop, error)

    def _on_loop(self, deed: Callable[[], None]) -> bool:
        """Do something on the loop, soon; False when the loop was closed meanwhile. Runs on any thread."""
        try:
            self.loop.call_soon_threadsafe(deed)
        except RuntimeError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL, now or as soon as there is a process. Runs on any thread.

        A process that is not ours to kill any more (it runs as another user) counts as gone: its channel is closed.
        """
        self.kill_asked = True
        try:
            self._send(signal.SIGKILL)
        except PermissionError as refusal:
            self.error = PermissionError(f"{refusal.strerror}; process {self.pid} may live on")
            self._on_loop(self._died)

    def signal(self, number: int) -> None:
        """Send a signal, if there is a process that takes it from us. Runs on any thread."""
        with contextlib.suppress(PermissionError):
            self._send(number)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.pidfd >= 0:
                signal.pidfd_send_signal(self.pidfd, number)
            elif self.pid is not None and not self.gone:
                os.kill(self.pid, number)

    def abandon(self) -> None:
        """Kill and bury it, and give everything back: there is no loop any more to see its end."""
        self.kill()
        if self._process is not None:
            self._process.join(LAST_WAIT)
            _close(self._process)
        for thing in (self.ready, self.stop, self.duplex, self.box):
            thing.close()
        close_fd(self.pidfd)
        self._narrow()

    @property
    def dead(self) -> bool:
        """Whether its process is dead now, told or not yet told by `on_gone`."""
        death = self._death
        return self.gone or (death is not None and readable(death))

    def remains(self) -> Remains:
        """What is left of it, once it is gone."""
        return Remains() if self._process is None else reap(self._process, self.pidfd)

    def drop_ready(self) -> None:
        """Nobody waits for `ready` any more."""
        if not self._ready_dropped:
            self._ready_dropped = True
            self.reader.forget(self.ready.fileno(), close=self.ready.close)

    def close(self) -> None:
        """Give back all that is kept for a process that is gone, but for its box, which can still be read."""
        self.reader.forget(self.duplex.incoming, close=self.duplex.close_incoming)
        self.reader.forget(self.duplex.outgoing, close=self.duplex.close_outgoing)
        self.drop_ready()
        if self.pidfd >= 0:
            self.reader.forget(self.pidfd, close=lambda: close_fd(self.pidfd))
        self.stop.close()
        if self._process is not None:
            _close(self._process)
        self._narrow()
        if self._family is not None:
            self._guard.over(self._family)

    def _narrow(self) -> None:
        """Its channel is closed: another may be widened."""
        size, self._widened = self._widened, 0
        BUDGET.give_back(size)

    def discard(self) -> None:
        """Give everything back of a process that is gone and whose output is not read by anyone else."""
        self.close()
        self.box.close()
        close_fd(self.output)

    @property
    def _death(self) -> int | None:
        """The descriptor that becomes readable when the process is gone; None when there never was one."""
        if self._process is None:
            return None
        return self.pidfd if self.pidfd >= 0 else self._process.sentinel

    def _spawned(self) -> None:
        death = self._death
        if death is None:
            self._died()
        else:
            self.reader.once(death, self._died)

    def _died(self) -> None:
        """What the process leaves behind in its group ends with it."""
        if self.gone:
            return
        self.gone = True
        if self.pid is not None:
            end_group(self.pid)
        self.on_gone()


_UNREADY: Final = {*LEFT_TO_THE_DAEMON, DUMP_SIGNAL} | ({PULSE_SIGNAL} if PULSE_SIGNAL is not None else set())


def _nothing() -> None:
    """Stands for a caller that has not come yet."""


def _tell(loop: asyncio.AbstractEventLoop, error: Exception) -> None:
    """Tell the loop's exception handler of an error in the spawner's thread, which goes on."""
    context = {"message": "error in the thread that starts processes; it goes on", "exception": error}
    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(loop.call_exception_handler, context)


def _shelter() -> None:
    """Block, in this thread, the signals for which a process is not ready while it starts: it inherits that.

    Each time anew, and once more when multiprocessing's helper runs: what starts that unblocks SIGINT and SIGTERM in
    its thread. The helper itself inherits the rest.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _UNREADY)
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, _UNREADY)


def _open_pidfd(process: LeanProcess) -> int:
    """A descriptor that becomes readable when the process ends; -1 where the system has none (then the sentinel)."""
    if not hasattr(os, "pidfd_open") or process.pid is None:
        return -1
    try:
        return os.pidfd_open(process.pid)
    except OSError:
        return -1


def _close(process: LeanProcess) -> None:
    """Give back what multiprocessing keeps for a process that is gone, whoever took its exit code."""
    try:
        process.close()
    except ValueError:  # without an exit code it believes that the process still runs
        popen = getattr(process, "_popen", None)
        if popen is not None:
            popen.close()
