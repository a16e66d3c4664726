"""ProcessLife: one life of an actor as a spawned process.

Nothing here blocks the event loop, and nothing is decided here: events go to a listener. The channel, the events and
the black box belong to this life alone and are never used again.

Runs on the loop's thread; only the spawn has its own, see `supervisor.process.spawner`.

    post ─▶ PipeWriter ─▶ pipe ─▶ process ─▶ pipe ─▶ reader ─▶ Framer ─▶ decode ─▶ LifeListener.life_said
                                     │
                          pidfd, black box, output pipe
                                     │
    exited, channel read, output read: all three ─▶ LifeEnd ─▶ LifeListener.life_exited
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

import msgspec

from actors.errors import WireError
from actors.process.diagnostics import DUMP_SIGNAL
from actors.process.heartbeat import HEARTBEAT_SIGNAL
from actors.wire.codec import encode
from actors.wire.frames import (
    NOTHING,
    TELL_BATCH_HEAD,
    Cancel,
    CrashReport,
    Credit,
    Deliver,
    Envelope,
    FromChild,
    Goodbye,
    Items,
    Outcomes,
    Recall,
    StartActor,
    Stop,
)
from actors.wire.framing import HEADER, LARGE, Attachment, Frame, Framer
from actors.wire.log_lines import Record
from actors.wire.progress import Activity, Progress
from supervisor.core.delivery.messages import QueuedMessage, QueuedTells
from supervisor.core.health.life_end import LifeEnd
from supervisor.io.output_buffer import OutputBuffer
from supervisor.io.output_reader import OutputReader
from supervisor.io.pipe_writer import PipeWriter
from supervisor.ports import LifeListener
from supervisor.process.worker_process import WorkerProcess
from supervisor.system.oom import OomWitness
from supervisor.system.procfs import peak_bytes

LINGER: Final = 1.0  # seconds a process may run on after it closed its channel
CLOSED: Final = "it closed its channel and lived on"
GOODBYE: Final = 5.0  # seconds it may run on after its goodbye or crash report, for its exit handlers

_decode: Final = msgspec.msgpack.Decoder(FromChild).decode


@dataclass(frozen=True)
class LifeServices:
    """What all lives of a tree share.

    Attributes:
        oom: whether the kernel has killed for lack of memory.
        output_reader: reads what they write.
        on_ready: called when one of them has become ready.
        on_over: called when one of them is over, before its listener is.
    """

    oom: OomWitness
    output_reader: OutputReader
    on_ready: Callable[[ProcessLife], None]
    on_over: Callable[[ProcessLife], None]


class ProcessLife:
    """One life, from its StartActor until everything its process sent is read.

    Args:
        worker: the process, fresh or a spare.
        part: which actor it runs.
        listener: gets the events of the life.
        services: what it shares with the other lives of its tree.

    Attributes:
        over: whether it has ended.
        on_untaken: called with the reason why the process, a spare, has not read its StartActor; may start the
            life again.
    """

    def __init__(self, worker: WorkerProcess, part: StartActor, listener: LifeListener, services: LifeServices) -> None:
        self.over = False
        self.on_untaken: Callable[[str], None] | None = None
        self._services = services
        self._reader = worker.reader
        self._loop = worker.loop
        self._listener = listener
        self._part = part
        self._number = part.life
        self._path = part.path
        self._attachments: list[Attachment] = []  # attachments whose frame has not come yet
        self._farewell: CrashReport | Goodbye | None = None
        self._wire_error: str | None = None
        self._stop_at: float | None = None
        self._grace: float | None = None
        self._peak: int | None = None
        self._channel_over = False
        self._output_over = False
        self._attach(worker)
        self._begin_on(worker)

    def _attach(self, worker: WorkerProcess) -> None:
        """Let the reader watch a process for this life; when that fails nothing has changed."""
        self._reader.stream(worker.duplex, self._arrived)
        try:
            self._reader.once(worker.ready.fileno(), self._became_ready)
        except BaseException:
            self._reader.forget(worker.duplex.incoming)
            raise

    def _begin_on(self, worker: WorkerProcess) -> None:
        self._worker = worker
        self._duplex = worker.duplex
        self._box = worker.box
        self._ready = worker.ready
        self._stop = worker.stop
        self._framer = Framer(self._part.max_frame)
        self._small = min(LARGE, self._part.max_frame + 1)  # bytes; of a frame that need not be viewed
        self._pipe_writer = PipeWriter(
            self._duplex, self._reader, self._listener.life_writable, self.refuse, self._unwritable
        )
        self._transcript = OutputBuffer(worker.output, self._wrote, self._lost)
        self._pipe_writer.send(self._part)
        self._services.output_reader.follow(self._transcript)
        worker.on_gone = self._vanished

    def begin_again(self, worker: WorkerProcess) -> WorkerProcess:
        """Start again with another process; returns the former, which has not read its StartActor.

        Raises:
            OSError: the other process cannot be watched. The life goes on with the former.
        """
        former = self._worker
        self._attach(worker)
        self.on_untaken = None
        self._pipe_writer.close()
        for fd in (former.duplex.incoming, former.duplex.outgoing, former.ready.fileno()):
            self._reader.forget(fd)
        self._services.output_reader.finish(self._transcript, lambda: None)
        former.output = -1
        self._channel_over = False
        self._wire_error = None
        self._farewell = None
        self._begin_on(worker)
        return former

    def look_if_taken(self) -> None:
        """Called when a spare should have read its StartActor; a life that is being stopped keeps the spare."""
        if not self._worker.gone:
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
    def pid(self) -> int | None:
        """Its process id, None before the spawn."""
        return self._worker.pid

    # ---- towards the child

    def post(self, batch: list[QueuedMessage]) -> None:
        """Send a batch of messages; what the kernel does not take now is written when it does.

        A large message is the last of its batch and is not copied: its bytes are written between the encoded rest.
        """
        last = batch[-1]
        if last.attachments is not None:
            bare = msgspec.structs.replace(last, attachments=None)
            self._pipe_writer.send_with(last.attachments, _deliver([*batch[:-1], bare]))
        elif (payload := memoryview(last.message)).nbytes < LARGE:
            self._pipe_writer.send(Deliver(cast("list[Envelope[msgspec.Raw]]", batch)))
        else:
            envelope = Envelope(last.seq, last.kind, last.sender, last.deadline, NOTHING)
            around = _deliver([*batch[:-1], envelope])  # it ends with the message and `beside`, a byte each
            self._pipe_writer.send_around(around[:-2], payload, around[-1:])

    def post_tells(self, batch: QueuedTells) -> None:
        """Send a batch of tells: their bytes, joined, are the list that the child decodes."""
        payloads = batch.payloads
        head = TELL_BATCH_HEAD % (batch.seq.to_bytes(8, "big"), len(payloads).to_bytes(4, "big"))
        self._pipe_writer.send_joined(head, payloads)

    def cancel(self, seqs: list[int]) -> None:
        """Cancel messages that have not begun; overtakes what the child has read."""
        self._pipe_writer.send(Cancel(seqs))
        self._ring()

    def recall(self, seqs: list[int]) -> None:
        """Ask for messages back that have not begun; overtakes what the child has read."""
        self._pipe_writer.send(Recall(seqs))
        self._ring()

    def credit(self, seq: int, count: int) -> None:
        """The reader of a stream takes more items; overtakes what the child has read."""
        self._pipe_writer.send(Credit(seq, count))
        self._ring()

    def follow(self, seq: int, items: list[bytes], *, over: bool) -> None:
        """Send items that follow a message."""
        self._pipe_writer.send(Items(seq, [msgspec.Raw(item) for item in items], over))
        self._ring()

    def answer(self, frame: bytes, attachments: Sequence[Attachment] = ()) -> None:
        """Send an already encoded `Answer`, and the attachments that belong to it."""
        if attachments:
            self._pipe_writer.send_with(attachments, frame)
        else:
            self._pipe_writer.send_joined(frame, ())

    def _ring(self) -> None:
        """Let the child read what was sent before it begins another message; a life that is over has no box."""
        if not self.over:
            self._box.ring()

    @property
    def congested(self) -> bool:
        """Whether the kernel's buffer for this child is full."""
        return bool(self._pipe_writer.backlog)

    def stop(self) -> None:
        """Ask it to finish its message and exit. The event overtakes a full channel, the frame wakes a reader."""
        if self.over:
            return
        self._stop_at = self._loop.time()
        with contextlib.suppress(OSError):  # the frame says the same
            self._stop.set()
        self._ring()
        self._pipe_writer.send(Stop())

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

    @property
    def said_farewell(self) -> bool:
        """Whether its goodbye or crash report has arrived."""
        return self._farewell is not None

    def progress(self) -> Progress:
        """What its black box says; after its end, what it said last."""
        return self._last_progress if self.over else self._box.progress()

    def activity(self) -> Activity:
        """What its black box says, for those who watch it."""
        return self._last_activity if self.over else self._box.activity()

    def ask_pulse(self) -> bool:
        """Ask for a heartbeat; False on systems where there is none."""
        if HEARTBEAT_SIGNAL is None:
            return False
        if not self.over:
            self._box.rewind()
            self._worker.signal(HEARTBEAT_SIGNAL)
        return True

    def dump_stacks(self) -> None:
        """Have faulthandler write the Python stacks of all its threads, also when its interpreter is stuck.

        They are in `text` as soon as the kernel has let it run.
        """
        if not self.over:
            self._box.rewind()
            self._worker.signal(DUMP_SIGNAL)

    def text(self) -> str:
        """The stacks in its black box: those it was asked for last, and those of a fatal fault."""
        return self._last_text if self.over else self._box.text()

    # ---- from the child

    def _arrived(self, chunk: bytes) -> None:
        if not chunk:
            self._channel_ended()
        elif self._wire_error is None:
            size = int.from_bytes(chunk[:HEADER], "little")
            try:
                if len(chunk) == HEADER + size and size < self._small and self._framer.between:
                    self._hear(_decoded(memoryview(chunk)[HEADER:]))  # the common case: one small whole frame
                else:
                    for frame in decoded(self._framer.feed(chunk)):
                        self._hear(frame)
            except WireError as error:
                self.refuse(f"it broke the protocol: {error}")
            except Exception as error:  # a bug of ours; later frames of this life could not be trusted
                context = {"message": f"a frame of {self._path} could not be processed", "exception": error}
                self._loop.call_exception_handler(context)
                self.refuse(f"a frame of it could not be processed: {type(error).__name__}: {error}")

    def _hear(self, frame: FromChild | Attachment) -> None:
        if isinstance(frame, Attachment):
            self._attachments.append(frame)
            return
        attachments: Sequence[Attachment] = ()
        if self._attachments:
            attachments, self._attachments = self._attachments, []
        if isinstance(frame, Outcomes):
            self._listener.life_outcomes(frame, attachments)
        elif isinstance(frame, CrashReport | Goodbye):
            if self._farewell is not None:
                raise WireError("it said goodbye twice")
            self._farewell = frame
            self._loop.call_later(
                GOODBYE, self._kill_if_alive, self._worker
            )  # a thread of its own may keep it from exiting
        else:
            self._listener.life_said(frame, attachments)

    def _wrote(self, record: Record) -> None:
        self._listener.life_wrote(self._number, record)

    def _lost(self, lines: int, size: int) -> None:
        self._listener.life_lost(self._number, lines, size)

    def refuse(self, why: str) -> None:
        """It broke the protocol: only its life ends."""
        self._wire_error = self._wire_error or why
        self.kill()

    def _became_ready(self) -> None:
        self._worker.drop_ready()
        self._services.on_ready(self)
        if not self._worker.gone:
            self._listener.life_ready()

    def _channel_ended(self) -> None:
        self._channel_over = True
        self._pipe_writer.close()
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
        if self._worker.error is not None:
            what = "could not be started" if self.pid is None else "could not be ended"
            self._wire_error = f"the process {what}: {self._worker.error}"
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
        self._framer.drop()  # timers may keep this life for a while; an incomplete attachment may be large
        self._attachments.clear()
        self._pipe_writer.close()
        end = self._life_end()
        self._last_progress, self._last_activity, self._last_text = end.progress, self._box.activity(), end.text
        self.over = True
        self._worker.close()
        self._box.close()
        self._services.on_over(self)
        self._listener.life_exited(end)

    def _life_end(self) -> LifeEnd:
        worker, box = self._worker, self._box
        status = worker.remains()
        unexplained = status.exit_code == -signal.SIGKILL and not worker.kill_asked
        return LifeEnd(
            pid=worker.pid,
            exit_code=status.exit_code,
            crash_report=self._farewell if isinstance(self._farewell, CrashReport) else None,
            goodbye=self._farewell is not None,
            wire_error=self._wire_error,
            traceback=worker.traceback,
            stop_asked=self._stop_at is not None and not box.activity().leaving,
            kill_asked=worker.kill_asked,
            grace=self._grace,
            progress=box.progress(),
            text=box.text(),
            oom_kills=self._services.oom.look() if unexplained else None,
            cpu_time=status.cpu_time,
            peak_memory=box.peak or self._peak or status.peak_memory,
            stderr=self._transcript.last_lines(),
            began=box.taken,
            idle=box.left_idle,
        )


def _deliver(batch: Sequence[Envelope[msgspec.Raw]]) -> bytes:
    return encode(Deliver(cast("list[Envelope[msgspec.Raw]]", batch)))


def _decoded(data: bytes | memoryview) -> FromChild:
    try:
        frame: FromChild = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"a frame of {len(data)} bytes does not decode: {error}") from error
    return frame


def decoded(frames: list[Frame]) -> Iterator[FromChild | Attachment]:
    """Decode frames. Outcomes that follow each other become one, since the work of the daemon is by frame.

    Raises:
        WireError: a frame does not decode; what came before it was given.
    """
    joined: Outcomes | None = None
    for data in frames:
        frame: FromChild | Attachment
        try:
            frame = data if isinstance(data, Attachment) else _decoded(data)
        except WireError:
            if joined is not None:
                yield joined
            raise
        if not isinstance(frame, Outcomes):
            if joined is not None:
                yield joined
                joined = None
            yield frame
        elif joined is None:
            joined = frame
        else:
            joined.items.extend(frame.items)
            joined = Outcomes(frame.ack_up_to or joined.ack_up_to, joined.items)
    if joined is not None:
        yield joined
