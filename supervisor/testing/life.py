"""InlineLife: one life of an actor in a fiber of the test's process.

Everything between the two ends of the channel is what a process runs: `actors.child` in the fiber, the mailbox and the
supervisor on the loop. What a process is and a fiber is not is left out: its options, its output, its signals.

    post, stop, ... ─▶ channel ─▶ wake ─▶ _step: the fiber runs until it parks ─▶ _hear ─▶ LifeListener

Runs on the loop's thread; `_main` runs in the fiber.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NoReturn, cast

from msgspec.structs import replace

from actors.child.fork import Copies
from actors.child.life import Life
from actors.child.serving import find_class, serve, serve_to_the_end, unpickled
from actors.ipc.channel import Channel
from actors.ipc.pipes import Duplex
from actors.output.capture import Output
from actors.process.memory import Reserve
from actors.process.task_stacks import stacks_of_tasks
from actors.protocol.protocol import protocol_of
from actors.puppet import HOST
from actors.wire.from_child import CrashReport, Goodbye
from actors.wire.log_lines import Record
from actors.wire.progress import Progress
from actors.wire.to_child import StartActor
from actors.wire.to_child import Stop as StopFrame
from supervisor.core.health import life_end
from supervisor.ports.life import LifeListener
from supervisor.ports.reading import AnyReader
from supervisor.process.channel import FrameReader, FrameWriter, ProcessDelivery
from supervisor.process.channel_end import ChannelEnd
from supervisor.process.kept_replies import KeptReplies
from supervisor.testing.clock import VirtualClock
from supervisor.testing.fiber import Fiber, Killed
from supervisor.testing.loop import InlineLoop
from supervisor.testing.memory import DaemonEnd, InlineBox, InlineOutputPipe, LifeEnd, NoReader, NoReserve, Ready, Stop
from supervisor.testing.processless import NoProcess

_SIGKILL = 9


class InlineLife(ProcessDelivery, ChannelEnd, NoProcess):
    """One life.

    Args:
        start: which actor it runs.
        lanes: how many handlers may run at once.
        listener: gets its events.
        loop: the test's.
        clock: of that loop.
        on_interrupted: called when the test is interrupted while code of the actor runs: this life is over then, and no
            other code may run that would hold up the test once more.
    """

    def __init__(  # noqa: PLR0917 - called once, by its launcher
        self,
        start: StartActor,
        lanes: int,
        listener: LifeListener,
        loop: asyncio.AbstractEventLoop,
        clock: VirtualClock,
        on_interrupted: Callable[[], None],
    ) -> None:
        super().__init__(start.path, loop)
        self.node: str | None = None
        self.awaits = ""
        self._start = replace(start, keeps_replies=True)
        self._listener = listener
        self._clock = clock
        self._on_interrupted = on_interrupted
        self._box = InlineBox(lanes)
        self._own_box = self._box.other_side()  # as its process has it: each side reads or writes replies
        self._kept = KeptReplies(self._box, loop)
        self._fiber = Fiber(start.path, self._main)
        self._life_end = LifeEnd(self._fiber, clock, self._say_bytes)
        self._stop = Stop()
        self._life: Life | None = None
        self._own_loop: InlineLoop | None = None  # that of async handlers
        self._said: deque[Callable[[], None]] = deque()  # what the life has done that is not heard yet
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None
        self._exit_code: int | None = None
        self._text = ""  # the stacks that were asked for last
        self._died_doing: Progress | None = None  # what it was doing when it died by itself
        self._stop_at: float | None = None
        self._grace: float | None = None
        self._kill_asked = False
        self._dying = False
        frames = FrameReader(
            start.max_frame, listener, on_farewell=self._said_farewell, on_error=self._broken, kept=self._kept
        )
        self._frames, self._take_kept = frames, frames.take_kept
        self._writer = FrameWriter(
            cast("Duplex", DaemonEnd(self._write)),
            cast("AnyReader", NoReader(loop)),
            listener.life_writable,
            self.refuse,
            _broken_pipe,
        )
        self._wake()

    # ---- Control, Inspection

    def stop(self) -> None:
        """See `Life`."""
        if not self.over:
            self._stop_at = self._loop.time()
            self._stop.set()
            self._send_now(StopFrame())

    def kill(self) -> None:
        """See `Life`."""
        if self.over or self._dying:
            return
        if self._stop_at is not None:
            self._grace = self._loop.time() - self._stop_at
        self._kill_asked = True
        self.be_killed()

    def be_killed(self) -> None:
        """End as by a SIGKILL from outside: it does nothing more, and its end is reported soon."""
        if not self.over and not self._dying:
            self._dying = True
            self._loop.call_soon(self._end_by_kill)

    def ask_heartbeat(self) -> bool:
        """See `Life`; it answers at once."""
        if self.over:
            return False
        self.dump_stacks()
        self._own_box.recorder.beat()
        return True

    def dump_stacks(self) -> None:
        """See `Life`."""
        if self.over:
            return
        self._text = self._fiber.stack()
        with contextlib.suppress(Exception):  # tasks may be of any class
            if self._own_loop is not None:
                self._text += "".join(stacks_of_tasks(self._own_loop))

    def text(self) -> str:
        """See `Life`."""
        return self._text

    # ---- steps of the fiber

    def _write(self, data: bytes) -> None:
        self._life_end.put(data)
        self._wake()

    def _wake(self) -> None:
        """Let the fiber run soon."""
        if not self._woken and not self.over:
            self._woken = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._woken = False
        if self.over or self._dying:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            self._fiber.run()
        except BaseException as interruption:  # a test's timeout, Ctrl-C
            self._wire_error = (
                f"the test was interrupted ({type(interruption).__name__}: {interruption}) while code of the actor "
                f"ran, which inline cannot be stopped: it goes on in a thread"
            )
            self.be_killed()
            self._on_interrupted()
            raise
        if not self._fiber.over and self._fiber.wish is not None:
            self._timer = self._loop.call_later(self._fiber.wish, self._wake)
        self._hear()
        if self._fiber.over and not self.over:
            if self._died_doing is None:
                self._frames.take_rest()
            self._end(self._exit_code, self._died_doing)

    def _hear(self) -> None:
        """Pass on what the life has done, in its order."""
        while self._said and not self.over:
            self._said.popleft()()

    def _say(self, deed: Callable[[], None]) -> None:
        """The life has done something; any thread of the actor."""
        if self._fiber.killed:
            return
        self._said.append(deed)
        if not self._fiber.inside:
            self._loop.call_soon_threadsafe(self._hear)

    def _say_bytes(self, data: bytes) -> None:
        self._say(lambda: self._frames.arrived(data))

    def _log(self, record: Record) -> None:
        self._say(lambda: self._listener.life_wrote(self._start.life, record))

    # ---- its end

    def _said_farewell(self, farewell: CrashReport | Goodbye) -> None:
        """Its last frame; the fiber ends by itself."""
        self._farewell = farewell

    def _end_by_kill(self) -> None:
        """What its black box says now is what it was doing; then the fiber is unwound, and nothing of that is heard."""
        if self.over:
            return
        doing = self._box.progress()
        self._hear()
        self._frames.take_rest()
        if self._life is not None:
            self._life.leaving.asked()  # no further message begins
        self._fiber.kill()
        self._end(-_SIGKILL, doing)

    def _end(self, exit_code: int | None, progress: Progress | None = None) -> None:
        self._writer.close()
        if self._timer is not None:
            self._timer.cancel()
        self._last_progress = progress or self._box.progress()
        self._last_activity = self._box.activity()
        idle, counts = self._box.left_idle, self._box.counts()
        self.over = True
        if not self._fiber.lost:  # else its code still uses them
            self._close()
        self._life = None
        self._listener.life_exited(
            life_end.LifeEnd(
                pid=None,
                exit_code=exit_code,
                crash_report=self._farewell if isinstance(self._farewell, CrashReport) else None,
                goodbye=self._farewell is not None,
                wire_error=self._wire_error,
                stop_asked=self._stop_at is not None and not self._last_activity.leaving,
                kill_asked=self._kill_asked,
                grace=self._grace,
                progress=self._last_progress,
                idle=idle,
                counts=counts,
                oom_kills=0,  # the kernel has killed nothing
            )
        )

    def _close(self) -> None:
        self._box.close()
        self._own_box.close()
        self._life_end.close()

    # ---- in the fiber

    def die(self, number: int) -> NoReturn:
        """See `actors.puppet.Host`."""
        if not self._fiber.killed:  # else this is a handler that a process would not have begun any more
            self._died_doing = self._box.progress()
            if self._box.has_unread:
                self._said.append(partial(self._take_kept, *self._kept.reached()))
            self._exit_code = -number
            self._fiber.killed = True  # nothing is heard and nothing waits any more
        raise Killed

    def hang(self) -> NoReturn:
        """See `actors.puppet.Host`."""
        if self._own_loop is not None:
            self._own_loop.hold()  # it stands in a handler
        while True:
            self._fiber.park(None)

    def _main(self) -> None:
        HOST.set(self)
        channel = Channel(cast("Duplex", self._life_end))
        copies, reserve = Copies(channel, self._own_box), NoReserve()
        try:
            code = serve_to_the_end(lambda: self._run(channel, copies, reserve), channel, reserve, copies)
            if self._died_doing is None:
                self._exit_code = code
        finally:
            reserve.release()
            if self._fiber.lost:
                self._close()

    def _run(self, channel: Channel, copies: Copies, reserve: Reserve) -> None:
        start = self._start
        cls = find_class(start)
        life = self._life = Life(
            start,
            protocol_of(cls),
            channel,
            self._own_box,
            self._stop,
            reserve=reserve,
            output=Output(InlineOutputPipe(self._log), captured=False),
            copies=copies,
            clock=self._clock,
        )
        args, kwargs = unpickled(start)
        serve(cls, args, kwargs, life, Ready(lambda: self._say(self._listener.life_ready)), self._run_loop)

    def _run_loop(self, main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=self._new_loop) as runner:
            runner.run(main)

    def _new_loop(self) -> InlineLoop:
        self._own_loop = InlineLoop(self._fiber, self._clock, self._loop, self._wake)
        return self._own_loop


def _broken_pipe(error: OSError) -> None:
    raise error
