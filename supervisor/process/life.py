"""ProcessLife: one life of an actor as a spawned process.

Nothing here blocks the event loop, and no choice about restarts is made here: events go to a listener. Its own are
guards: it kills a process that breaks the protocol, or runs on after it closed its channel or said goodbye, and starts
on another one where a spare does not read its StartActor. The channel, the events and the black box belong to this life
alone and are never used again.

Runs on the loop's thread; only the spawn has its own, see `supervisor.process.spawn.spawner`.

    started ─▶ StartActor ─▶ ready ─▶ frames both ways, see `supervisor.process.channel`
    exited, channel read, output read: all three ─▶ LifeEnd ─▶ LifeListener.life_exited
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
from msgspec.structs import replace

from actors.errors import WireError
from actors.ipc.blackbox import BlackBox
from actors.wire.framing import Announced, SharedAttachment
from actors.wire.from_child import CrashReport, Goodbye
from actors.wire.progress import NOTHING_BEGUN
from actors.wire.to_child import StartActor, Stop
from supervisor.core.health.life_end import LifeEnd
from supervisor.core.health.patience import AGAIN, Patience
from supervisor.io.output_buffer import OutputBuffer
from supervisor.io.output_reader import OutputReader
from supervisor.ports.life import LifeListener
from supervisor.process.channel import FrameReader, FrameWriter, ProcessDelivery
from supervisor.process.channel_end import ChannelEnd, ChannelReader
from supervisor.process.descriptors import DescriptorListener, LifeDescriptors
from supervisor.process.inspection import ProcessInspection
from supervisor.process.kept_replies import KeptReplies
from supervisor.process.spawn.worker_process import WorkerProcess
from supervisor.shadowing import found_first
from supervisor.system.post_mortem import OomWitness
from supervisor.system.procfs import peak_bytes

LINGER: Final = 1.0  # seconds a process may run on after it closed its channel
CLOSED: Final = "it closed its channel and lived on"
GOODBYE: Final = 5.0  # seconds it may run on after its goodbye or crash report, for its exit handlers


class LifeServices(msgspec.Struct, frozen=True):
    """What all lives of a tree share.

    Attributes:
        oom: whether the kernel has killed for lack of memory.
        output_reader: reads what they write.
        descriptors: accepts the connections over which they pass descriptors.
        on_ready: called when one of them has become ready.
        on_over: called when one of them is over, before its listener is.
    """

    oom: OomWitness
    output_reader: OutputReader
    descriptors: DescriptorListener
    on_ready: Callable[[ProcessLife], None]
    on_over: Callable[[ProcessLife], None]


class ProcessLife(ProcessDelivery, ChannelEnd, ProcessInspection):
    """One life, from its StartActor until everything its process sent is read.

    Args:
        worker: the process, a fresh one or one that was there before.
        start: which actor it runs.
        listener: gets the events of the life.
        services: what it shares with the other lives of its tree.

    Attributes:
        on_untaken: called with the reason why the process, which was there before, has not read its StartActor; may
            start the life again.
    """

    def __init__(
        self, worker: WorkerProcess, start: StartActor, listener: LifeListener, services: LifeServices
    ) -> None:
        super().__init__(start.path, worker.loop)
        self.on_untaken: Callable[[str], None] | None = None
        self._services = services
        self._reader = worker.reader
        self._listener = listener
        self._start = replace(start, keeps_replies=not start.durable)
        self._stop_at: float | None = None
        self._grace: float | None = None
        self._peak: int | None = None
        self._was_ready = False
        self._channel_over = False
        self._output_over = False
        self._descriptors: LifeDescriptors | None = None  # until the first value in shared memory passes
        self._begin_on(worker, self._attach(worker))

    def _attach(self, worker: WorkerProcess) -> ChannelReader:
        """Let the reader watch a process for this life; when that fails nothing has changed."""
        frames = self._frame_reader(worker.box)
        self._reader.stream(worker.duplex, frames.arrived, self._channel_ended)
        try:
            self._reader.once(worker.ready.fileno(), self._became_ready)
        except BaseException:
            self._reader.forget(worker.duplex.incoming)
            raise
        return frames

    def _frame_reader(self, box: BlackBox) -> ChannelReader:
        """What takes the bytes of its channel."""
        return FrameReader(
            self._start.max_frame,
            self._listener,
            on_farewell=self._said_farewell,
            on_error=self._broken,
            take=self._take,
            kept=KeptReplies(box, self._loop) if self._start.keeps_replies else None,
        )

    def _begin_on(self, worker: WorkerProcess, frames: ChannelReader) -> None:
        self._worker = worker
        self._frames = frames
        self._duplex = worker.duplex
        self._box = worker.box
        self._ready = worker.ready
        self._stop = worker.stop
        self._writer = FrameWriter(
            self._duplex, self._reader, self._listener.life_writable, self.refuse, self._unwritable
        )
        self._transcript = OutputBuffer(
            worker.output,
            partial(self._listener.life_wrote, self._start.life),
            partial(self._listener.life_lost, self._start.life),
        )
        self._writer.send(self._start)
        self._services.output_reader.follow(self._transcript)
        worker.on_gone = self._vanished

    def begin_again(self, worker: WorkerProcess) -> WorkerProcess:
        """Start again with another process; returns the former, which has not read its StartActor.

        Raises:
            OSError: the other process cannot be watched. The life goes on with the former.
        """
        former = self._worker
        frames = self._attach(worker)
        self.on_untaken = None
        self._writer.close()
        for fd in (former.duplex.incoming, former.duplex.outgoing, former.ready.fileno()):
            self._reader.forget(fd)
        self._services.output_reader.finish(self._transcript, lambda: None)
        former.output = -1
        self._channel_over = False
        self._wire_error = None
        self._begin_on(worker, frames)
        return former

    def await_taken(self, seconds: float, on_untaken: Callable[[str], None]) -> None:
        """Wait so long for its process, which was there before, to read its StartActor.

        One whose life is being stopped meanwhile is killed.
        """
        self.on_untaken = on_untaken
        self._loop.call_later(seconds, self._look_if_taken, Patience(seconds, self._loop.time(), self.condition()))

    def _look_if_taken(self, patience: Patience) -> None:
        if self.on_untaken is None or self.over or self._worker.gone or self._box.taken:
            return
        condition = self.condition()
        wait = patience.look(self._loop.time(), condition)
        imports = self._box.importing and condition.state != "T"  # its own module, which would take as long elsewhere
        if wait or imports:
            self._loop.call_later(wait or AGAIN, self._look_if_taken, patience)
        elif self._stop_at is not None:  # nothing of the actor has begun there, and nothing is to
            self.kill()
        else:
            self._untaken("it did not run when a life was to start on it")

    def _untaken(self, why: str) -> bool:
        """Whether the process has not read its StartActor, and another one takes over."""
        replace = self.on_untaken
        if replace is None or self.over or self._box.taken or self._stop_at is not None or self._worker.kill_asked:
            return False
        former = self._worker
        replace(why)
        return self._worker is not former

    @property
    def node(self) -> str | None:
        """It runs on the daemon's machine."""
        return None

    @property
    def awaits(self) -> str:
        """Its machine is there."""
        return ""

    # ---- Control

    def stop(self) -> None:
        """Ask it to finish its message and exit. The event overtakes a full channel, the frame wakes a reader."""
        if not self.over:
            self._ask_to_stop()
            self._send_now(Stop())

    def _ask_to_stop(self) -> None:
        self._stop_at = self._loop.time()
        with contextlib.suppress(OSError):  # the frame says the same
            self._stop.set()

    def kill(self) -> None:
        """SIGKILL, now or as soon as there is a process. Runs on any thread."""
        if self.over:
            return
        if self._stop_at is not None and self._grace is None:
            self._grace = self._loop.time() - self._stop_at
        if self.pid is not None and not self._worker.gone:
            self._peak = peak_bytes(self.pid)
        self._worker.kill()

    def abandon(self) -> None:
        """SIGKILL, and close everything without the loop. Runs in the spawner's thread."""
        self._worker.abandon()

    # ---- from the child

    def _passing(self) -> LifeDescriptors | None:
        if self._descriptors is None and self._services.descriptors.name and self.pid is not None:
            self._descriptors = LifeDescriptors(self._services.descriptors, self.pid)
        return self._descriptors

    def _take(self, announced: Announced) -> SharedAttachment:
        descriptors = self._passing()
        if descriptors is None:
            raise WireError("it announced a value in shared memory where no descriptors pass")
        return descriptors.take(announced)

    def _said_farewell(self, farewell: CrashReport | Goodbye) -> None:
        """A thread of its own may keep it from exiting."""
        self._farewell = farewell
        self._loop.call_later(GOODBYE, self._kill_if_alive, self._worker)

    def _became_ready(self) -> None:
        with contextlib.suppress(OSError):  # where the kernel does not say it counts as ready
            if not self._worker.was_set():  # it was a spare that imported, and has done so
                self._reader.once(self._worker.ready.fileno(), self._became_ready)
                return
        self._worker.drop_ready()
        self._was_ready = True
        self.on_untaken = None  # it runs, whatever its black box says
        self._services.on_ready(self)
        if not self._worker.gone:
            self._listener.life_ready()

    def _channel_ended(self) -> None:
        self._channel_over = True
        if self._writer.backlog:
            self._writer.close()
        if self._worker.gone:
            self._end()
        else:
            self._lose_channel(CLOSED)

    def _unwritable(self, error: OSError) -> None:
        self._lose_channel(CLOSED if isinstance(error, BrokenPipeError) else f"its channel has failed: {error}")

    def _lose_channel(self, why: str) -> None:
        """The pidfd follows within microseconds, unless the process runs on."""
        self._loop.call_later(LINGER, self._kill_if_alive, self._worker, why)

    def _kill_if_alive(self, worker: WorkerProcess, wire_error: str | None = None) -> None:
        if worker is self._worker and not worker.gone:
            self._wire_error = self._wire_error or wire_error
            self.kill()

    # ---- its process

    def _vanished(self) -> None:
        """The process has exited: drain its pipe, then report the exit."""
        if self._untaken("it ended when a life was to start on it"):
            return
        if self._worker.error is not None and self.pid is None:
            self._wire_error = f"the process could not be started: {self._worker.error}"
        self._services.output_reader.finish(self._transcript, self._output_ended)
        if not self._channel_over:  # a grandchild may hold the other end open; only what is left now is read
            self._reader.finish(self._duplex.incoming)

    def _output_ended(self) -> None:
        self._output_over = True
        self._end()

    def _end(self) -> None:
        """The life ends, its black box is closed, and what is known of it is reported as a value."""
        if self.over or not (self._channel_over and self._output_over):
            return
        if self._box.has_unread:
            self._frames.take_rest()
        if self._descriptors is not None:
            self._descriptors.close()
        elif self._worker.pid in self._services.descriptors.accepted:
            self._services.descriptors.forget(self._worker.pid)
        if self._writer.backlog:
            self._writer.close()
        end = self._life_end()
        self._last_progress, self._last_activity, self._last_text = end.progress, self._box.activity(), end.text
        self.over = True
        del self._frames  # it may hold a large part of a frame, and timers may hold this life for a while
        self._worker.close()
        self._box.close()
        self._services.on_over(self)
        self._listener.life_exited(end)

    def _life_end(self) -> LifeEnd:
        worker, box = self._worker, self._box
        left = box.activity().leaving
        status = worker.exit_status()
        began = self._was_ready or box.taken
        overwritten = self._was_ready and not box.taken
        began_wrong = worker.pid is not None and not (began or worker.kill_asked)
        unexplained = status.exit_code == -signal.SIGKILL and not worker.kill_asked
        return LifeEnd(
            pid=worker.pid,
            exit_code=status.exit_code,
            crash_report=self._farewell if isinstance(self._farewell, CrashReport) else None,
            goodbye=self._farewell is not None,
            wire_error=self._wire_error,
            traceback=worker.traceback,
            stop_asked=self._stop_at is not None and (overwritten or not left),
            kill_asked=worker.kill_asked,
            grace=self._grace,
            progress=NOTHING_BEGUN if overwritten else box.progress(),
            text=box.text(),
            oom_kills=self._services.oom.look() if unexplained else None,
            cpu_time=status.cpu_time,
            peak_memory=(0 if overwritten else box.peak) or self._peak or status.peak_memory,
            stderr=self._transcript.last_lines() if self._transcript.last else (),
            began=began,
            found_first=found_first() if began_wrong else None,
            left=left,
            idle=box.left_idle,
            counts=box.counts(),
            overwritten=overwritten,
            unended=None if worker.error is None or worker.pid is None else str(worker.error),
        )
