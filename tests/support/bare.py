"""Trees whose lives are whole but for the process: what a child would write, a test writes, byte by byte."""

from __future__ import annotations

import contextlib
import fcntl
import os

import msgspec

from actors.wire.codec import encode
from actors.wire.framing import Framer, header
from actors.wire.from_child import Outcome, Outcomes
from actors.wire.kinds import ASK, REPLY, TELL
from actors.wire.to_child import Answer, AskBatch, Cancel, Credit, Deliver, Items, Stop, TellBatch
from supervisor import BRUTAL_KILL, Backoff, ChildSpec, Intensity, Supervisor
from supervisor.io.output_reader import OutputReader
from supervisor.process.descriptors import DescriptorListener
from supervisor.process.life import LifeServices, ProcessLife
from supervisor.process.spawn.worker_process import WorkerProcess
from supervisor.system.post_mortem import oom_witness
from tests.support.waiting import at_rest

AT_ONCE = Backoff(initial=0.0, cap=0.0, jitter=0.0)

_FROM_DAEMON = (
    Deliver[msgspec.Raw] | TellBatch[msgspec.Raw] | AskBatch[msgspec.Raw] | Answer | Cancel | Credit | Items | Stop
)


class BarePlayer(WorkerProcess):
    """A process that never is; its end of the channel is the test's."""

    def __init__(self, loop, reader, name, lanes):
        super().__init__(loop, reader, None, name, lanes)
        self.theirs = self._child_duplex
        self.theirs.set_blocking(blocking=False)
        self._over, self._end = os.pipe()

    @property
    def _death(self):
        return self._over

    def kill(self):
        self.kill_asked = True
        self.hang_up()

    def hang_up(self):
        """Let the daemon believe that the process is dead."""
        if self._end >= 0:
            self.theirs.close()
            self._output_pipe.close()
            os.close(self._end)
            self._end = -1

    def close(self):
        self.reader.forget(self._over, close=lambda: os.close(self._over))
        super().close()


class BareLauncher:
    """Begins lives without processes; each is ready at once."""

    spares = 0

    def __init__(self, loop, reader):
        self._loop = loop
        self._reader = reader
        self._services = LifeServices(
            oom_witness(), OutputReader(loop), DescriptorListener(loop, self._reader), _nothing, _nothing
        )
        self.current = {}

    def launch(self, start, lanes, listener):
        worker = BarePlayer(self._loop, self._reader, start.path, lanes)
        life = ProcessLife(worker, start, listener, self._services)
        self.current[start.path.rpartition("/")[2]] = Child(life, worker)
        worker.ready.set()
        self._loop.call_soon(worker._spawned)
        return life

    def expect(self, supervisor, lives):
        pass

    def preload(self, module, main):
        pass

    def wind_down(self):
        """There are no spares."""

    async def close(self):
        """Nothing runs but the output reader and the socket for descriptors."""
        self._services.output_reader.close()
        self._services.descriptors.close()


class BareSupervisor(Supervisor):
    """A supervisor over such lives; a child that is ended is back at once, with another life."""

    def __init__(self, *names, actor, **options):
        specs = [ChildSpec(actor, name=name, backoff=AT_ONCE, shutdown=BRUTAL_KILL, **options) for name in names]
        super().__init__(*specs, reading="loop", intensity=Intensity.unlimited())

    def _make_launcher(self, loop):
        self.launcher = BareLauncher(loop, self._reader)
        return self.launcher

    def child(self, name):
        """The current life of an actor, from the child's side."""
        return self.launcher.current[name]


class Child:
    """The child's side of a life.

    Attributes:
        given: the messages it was given, as (seq, kind, bytes).
        answers: what came of its asks.
    """

    def __init__(self, life, worker):
        self.life = life
        self.worker = worker
        self.given = []
        self.answers = []
        self._framer = Framer()

    @property
    def refused(self):
        """Why the daemon ends this life, None when it does not."""
        return self.life._wire_error

    @property
    def unfinished(self):
        """Whether the daemon waits for the rest of a frame."""
        framer = self.life._frames._framer
        return bool(framer._parts) or framer._arriving is not None

    def say(self, *frames):
        """Let the daemon read frames, now."""
        self.feed(b"".join(header(len(data)) + data for data in map(encode, frames)))

    def feed(self, data):
        """Let the daemon read bytes, now."""
        self.life._frames.arrived(data)

    def scribble(self, data):
        """Write bytes where a process writes its output; what does not fit at once is left out."""
        if self.worker._end >= 0:
            os.write(self.worker._output_pipe._fd, data[:4000])

    def read(self):
        """Take in everything that the daemon wrote; what is not its part."""
        frames = []
        with contextlib.suppress(BlockingIOError, OSError):
            while chunk := self.worker.theirs.recv(1 << 20):
                frames += self._framer.feed(chunk)
        for frame in frames:
            try:
                self._take(msgspec.msgpack.decode(frame, type=_FROM_DAEMON))
            except msgspec.ValidationError:  # its part
                continue

    def _take(self, frame):
        if isinstance(frame, Deliver):
            self.given += [(one.seq, one.kind, bytes(one.message)) for one in frame.items]
        elif isinstance(frame, TellBatch):
            self.given += [(frame.first + at, TELL, bytes(raw)) for at, raw in enumerate(frame.messages)]
        elif isinstance(frame, AskBatch):
            self.given += [(frame.first + at, ASK, bytes(raw)) for at, raw in enumerate(frame.messages)]
        elif isinstance(frame, Answer):
            self.answers.append(frame)

    async def serve(self, reply):
        """Handle everything it has: what is no tell gets `reply(message bytes)`, tells are acknowledged."""
        await at_rest()
        self.read()
        given, self.given = self.given, []
        for seq, kind, data in given:
            self.worker.box.recorder.begin(seq, 0, 1)
            self.worker.box.recorder.done(seq)
            items = [Outcome(seq, REPLY, msgspec.Raw(encode(reply(data))))] if kind != TELL else []
            self.say(Outcomes(seq, items))
        return [data for _, _, data in given]


def _nothing(life: ProcessLife) -> None:
    """No launcher counts the lives."""


def narrow(child, size):
    """Make the way to a child so narrow, or as narrow as the kernel lets it be."""
    fcntl.fcntl(child.life._duplex.outgoing, fcntl.F_SETPIPE_SZ, size)
