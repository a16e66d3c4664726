"""WorkerProcess: one spawned process with the descriptors it shares with the daemon.

Made and closed on the loop's thread; spawned in the spawner's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.event import SafeEvent, close_fd, readable
from actors.ipc.blackbox import BlackBox
from actors.ipc.output_pipe import OutputPipe
from actors.ipc.pipes import Duplex
from actors.process.diagnostics import DUMP_SIGNAL
from actors.process.heartbeat import HEARTBEAT_SIGNAL
from actors.process.signals import LEFT_TO_THE_DAEMON
from supervisor.ports.reading import AnyReader
from supervisor.process.spawn.lean_spawn import LeanProcess
from supervisor.system.orphans import OrphanReaper
from supervisor.system.pidfd import open_pidfd, send_signal
from supervisor.system.pipe_budget import BUDGET, widen
from supervisor.system.post_mortem import ExitStatus, has_ended, reap
from supervisor.system.priority import step_back, step_forward

if TYPE_CHECKING:  # for packagers, who look for what is imported
    from actors.child import command_main, function_main, main  # noqa: F401
    from actors.ipc.box_file import BoxFile

RECHECK: Final = 0.01  # seconds between looks at a process without a pidfd, from when its descriptors are closed
LAST_WAIT: Final = 1.0  # seconds for a killed process to end


class Program(NamedTuple):
    """What a process runs.

    Attributes:
        module: its function `main` is called in it with what it shares with the daemon, the daemon's process id, its
            mark, and `args`. Only the process imports it.
        args: pickled while the process is spawned.
    """

    module: str
    args: tuple[Any, ...] = ()


ACTOR: Final = Program("actors.child.main")


class WorkerProcess:
    """A process, from before its spawn until it has ended, with all it needs to run one actor.

    Which one, it learns later.

    Made and used on the loop's thread, except `spawn`, `kill` and `signal`.

    Attributes:
        loop: of its tree.
        reader: waits for what it sends.
        pid: its process id, None before the spawn.
        duplex: the daemon's end of its channel.
        box: its black box.
        ready: set by the process.
        stop: set by the daemon.
        output: the reading end of the pipe for everything it writes.
        error: why it could not be started or ended, None otherwise.
        traceback: where its start failed, None otherwise.
        preloads: how often it will set `ready` before its life is ready: once for each `Preload` of a spare.
        kill_asked: whether `kill` was called.
        gone: whether the process is known to be dead, or could not be started.
        on_gone: called on the loop, once, when it is gone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reader: AnyReader,
        orphan_reaper: OrphanReaper,
        name: str,
        lanes: int,
        *,
        program: Program = ACTOR,
        box: BoxFile | None = None,
    ) -> None:
        self.loop = loop
        self.reader = reader
        self.pid: int | None = None
        self.error: Exception | None = None
        self.traceback: str | None = None
        self.kill_asked = False
        self.preloads = 0
        self.gone = False
        self.on_gone: Callable[[], None] = _nothing
        self._open_ends(lanes, box)
        self._child_ends: tuple[Duplex | OutputPipe, ...] = (self._child_duplex, self._output_pipe)
        self._widened = widen(self.duplex.incoming, self.duplex.outgoing)
        self.pidfd = -1
        self._tether = -1  # tells the process that the daemon is gone, when it is closed
        self._orphan_reaper = orphan_reaper
        self._number: int | None = None
        self._name = name
        self._program = program
        self._process: LeanProcess | None = None
        self._ready_dropped = False
        self._stands_back = True  # should it be a spare, until it is ready or taken
        self._runs_on = False  # it may not be killed, and counts as gone

    def _open_ends(self, lanes: int, box: BoxFile | None) -> None:
        """Make the kernel objects that it shares with its process: all of them, or none.

        Raises:
            OSError: the system has no descriptor or no memory left for one.
        """
        with contextlib.ExitStack() as undo:
            self.duplex, self._child_duplex = Duplex.pair()
            undo.callback(self._child_duplex.close)
            undo.callback(self.duplex.close)
            self.duplex.set_blocking(blocking=False)
            self.box = BlackBox(lanes, box)
            undo.callback(self.box.close)
            self.ready = SafeEvent()
            undo.callback(self.ready.close)
            self.stop = SafeEvent()
            undo.callback(self.stop.close)
            self.output, writing = os.pipe()
            undo.callback(close_fd, self.output)
            undo.callback(close_fd, writing)
            os.set_blocking(self.output, False)
            self._output_pipe = OutputPipe(writing)
            undo.pop_all()

    def spawn(self) -> None:
        """Start the process. Runs in the spawner's thread; the only step that may take long."""
        try:
            process = self._start()
        except Exception as reason:
            self.error = reason
            self.traceback = "".join(traceback.format_exception(reason))
        else:
            self._process, self.pid, self.pidfd = process, process.pid, open_pidfd(process.pid or 0)
            if self.pidfd >= 0:
                self._tether = process.give_away()
            self._register()
        finally:  # whatever fails once there is a process, its life must see it, or it could never be ended
            self._close_child_ends()
            if self.kill_asked:
                self.kill()
            if not self._on_loop(self._spawned):
                self.kill()

    def step_back(self) -> None:
        """Give way to other processes until `step_forward`. Runs in the spawner's thread, after `spawn`."""
        if self.pid is not None and self._stands_back and step_back(self.pid) and not self._stands_back:
            step_forward(self.pid)  # the loop has said so meanwhile

    def step_forward(self) -> None:
        """Run as other processes do."""
        stood_back, self._stands_back = self._stands_back, False
        if stood_back and self.pid is not None and not self.gone:
            step_forward(self.pid)

    def was_set(self) -> bool:
        """Take in that `ready` was set: whether its life is ready, and not only what it was given to import.

        Raises:
            OSError: the kernel does not say.
        """
        self.preloads -= self.ready.take()
        return self.preloads < 0

    def _close_child_ends(self) -> None:
        """Close what only the child keeps; once."""
        ends, self._child_ends = self._child_ends, ()
        for end in ends:
            end.close()

    def _start(self) -> LeanProcess:
        with _blocked_signals():
            mark = self._orphan_reaper.mark()
            parts = self._child_duplex, self.box, self.ready, self.stop, self._output_pipe
            args = (*parts, os.getpid(), mark, *self._program.args)
            process = LeanProcess(self._program.module, self._name, args, self._orphan_reaper.held)
            process.start()
            return process

    def _register(self) -> None:
        """The process runs, whatever becomes of its orphan reaper."""
        try:
            self._number = self._orphan_reaper.begun(self.pid or 0)
        except Exception as error:
            report_error(self.loop, error)

    def _on_loop(self, deed: Callable[[], None]) -> bool:
        """Call something on the loop, soon; False when the loop was closed meanwhile. Runs on any thread."""
        try:
            self.loop.call_soon_threadsafe(deed)
        except RuntimeError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL, now or as soon as there is a process. Runs on any thread.

        A process that may not be killed any more (it runs as another user) counts as gone: its channel is closed.
        """
        self.kill_asked = True
        try:
            self._send(signal.SIGKILL)
        except PermissionError as refusal:
            self.error = PermissionError(f"{refusal.strerror}; process {self.pid} may live on")
            self._on_loop(self._given_up)

    def signal(self, number: int) -> bool:
        """Send a signal, if there is a process; whether it may be sent one. Runs on any thread."""
        try:
            self._send(number)
        except PermissionError:
            return False
        return True

    def _send(self, number: int) -> None:
        if self.pid is not None and not self.gone:
            send_signal(self.pid, self.pidfd, number)

    def abandon(self) -> None:
        """Kill and reap it, and close everything: there is no loop any more to see its end."""
        self.kill()
        if self._process is not None and self._death is not None:
            readable(self._death, LAST_WAIT)
            self.exit_status()
            _close(self._process)
        for thing in (self.ready, self.stop, self.duplex, self.box):
            thing.close()
        close_fd(self.pidfd)
        close_fd(self._tether)
        self._narrow()

    @property
    def dead(self) -> bool:
        """Whether its process is dead now, before or after `on_gone`; True also when the kernel does not say."""
        death = self._death
        try:
            return self.gone or (death is not None and readable(death))
        except OSError:
            return True

    def exit_status(self) -> ExitStatus:
        """Its exit code and resources, once it is gone."""
        return ExitStatus() if self._process is None else reap(self._process, self.pidfd)

    def drop_ready(self) -> None:
        """`ready` is no longer waited for."""
        if not self._ready_dropped:
            self._ready_dropped = True
            self.reader.forget(self.ready.fileno(), close=self.ready.close)

    def close(self) -> None:
        """Close everything of a process that is gone, except its box, which can still be read."""
        self.reader.forget(self.duplex.incoming, close=self.duplex.close_incoming)
        self.reader.forget(self.duplex.outgoing, close=self.duplex.close_outgoing)
        self.drop_ready()
        self.stop.close()
        if not self._runs_on:
            self._release()
        self._narrow()
        if self._number is not None:
            self._orphan_reaper.over(self._number)

    def _release(self) -> None:
        """Close what shows its end, and shows it ours."""
        close_fd(self._tether)
        if self.pidfd >= 0:
            self.reader.forget(self.pidfd, close=lambda: close_fd(self.pidfd))
        if self._process is not None:
            _close(self._process)

    def _narrow(self) -> None:
        """Its channel is closed: another pipe may be enlarged."""
        size, self._widened = self._widened, 0
        BUDGET.give_back(size)

    def discard(self) -> None:
        """Close everything of a process that is gone or was never begun, and whose output is not read elsewhere."""
        self._close_child_ends()
        self.close()
        self.box.close()
        close_fd(self.output)

    @property
    def _death(self) -> int | None:
        """The descriptor that becomes readable when the process ends; None when there never was one."""
        if self._process is None:
            return None
        return self.pidfd if self.pidfd >= 0 else self._process.sentinel

    def _spawned(self) -> None:
        death = self._death
        if death is None:
            self._died()
        else:
            self.reader.once(death, self._died)

    def _given_up(self) -> None:
        """The process may not be killed. It counts as gone, and is reaped when it ends."""
        if not self.gone:
            self._runs_on = True
            self._is_gone()

    def _died(self) -> None:
        """The process has ended, or closed every descriptor that it had from its start."""
        if self.pidfd < 0 and self.pid is not None and not has_ended(self.pid):
            self.loop.call_later(RECHECK, self._died)
        elif self._runs_on:
            self.exit_status()
            self._release()
        elif not self.gone:
            self._is_gone()

    def _is_gone(self) -> None:
        """Kill what is left in its process group."""
        self.gone = True
        if self.pid is not None:
            _kill_group(self.pid)
        self.on_gone()


_UNREADY: Final = {*LEFT_TO_THE_DAEMON, DUMP_SIGNAL} | ({HEARTBEAT_SIGNAL} if HEARTBEAT_SIGNAL is not None else set())


def _nothing() -> None:
    """The default of callbacks that are set later."""


def report_error(loop: asyncio.AbstractEventLoop, error: Exception) -> None:
    """Report an error in the spawner's thread, which continues, to the loop's exception handler."""
    context = {"message": "error in the thread that starts processes; it continues", "exception": error}
    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(loop.call_exception_handler, context)


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    """Inside, this thread blocks the signals for which a process is not ready while it starts: it inherits the mask.

    Blocked again when multiprocessing's helper runs: starting that unblocks SIGINT and SIGTERM in its thread. The
    helper itself inherits the rest. Where gevent has patched threads, the mask is that of the main thread.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _UNREADY)
    try:
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, _UNREADY)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill_group(leader: int) -> None:
    """SIGKILL for the process group of a process that is dead and not yet reaped.

    As long as its exit code is not taken, its number cannot be reused.
    """
    with contextlib.suppress(ChildProcessError, ProcessLookupError, PermissionError):
        if os.waitid(os.P_PID, leader, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            os.killpg(leader, signal.SIGKILL)


def _close(process: LeanProcess) -> None:
    """Close what multiprocessing keeps for a process that is gone, even if other code took its exit code."""
    try:
        process.close()
    except ValueError:  # without an exit code it believes that the process still runs
        popen = getattr(process, "_popen", None)
        if popen is not None:
            popen.close()
