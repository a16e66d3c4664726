"""ProcessLife: one life of an actor as a spawned operating system process.

Law: nothing here blocks the event loop, and nothing here decides: what happens is told to a listener. The channel, the
     events and the black box belong to this life alone and are never used again.
May import: reader, ports, and the words of `actors`.

Everything but the spawn itself runs on the loop's thread. The spawn runs in one thread that lives as long as its
launcher, because the kernel ties a child's PR_SET_PDEATHSIG to the thread that made it.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import multiprocessing.process
import os
import queue
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from typing import Final

import msgspec

from actors import child
from actors.blackbox import BlackBox, Progress
from actors.codec import encode
from actors.envelope import NOTHING, Cancel, Credit, Deliver, FromChild, Items, LastWords, Part, Stop
from actors.errors import WireError
from actors.event import SafeEvent
from actors.exits import ExitKind, ExitReason
from actors.framing import LARGE, Frame, Framer, header
from supervisor.core.delivery import Posted
from supervisor.ports import AnyReader, LifeEnd, LifeListener
from supervisor.reader import close_fd

SEND_BUFFER: Final = 1024 * 1024  # bytes the kernel may hold on the way to a child
LAST_WORDS_WAIT: Final = 1.0  # seconds a process may live on after it closed its channel

_OWN_FAULTS: Final = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}

_DECODER: Final = msgspec.msgpack.Decoder(FromChild)


class ProcessLauncher:
    """Starts lives as spawned processes. One per supervisor tree; made and used on the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, reader: AnyReader) -> None:
        self.loop = loop
        self.reader = reader
        self.alive: set[ProcessLife] = set()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._spawn_all, name="actors-spawner", daemon=True)
        self._thread.start()

    def launch(self, part: Part, lanes: int, listener: LifeListener) -> ProcessLife:
        """Begin a life; what becomes of it is told to `listener`, never before this returns."""
        life = ProcessLife(self, part, lanes, listener)
        self.alive.add(life)
        self._jobs.put(life.spawn)
        return life

    def close(self) -> None:
        """End the spawning thread. Every life must be over."""
        self._jobs.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def abandon(self) -> None:
        """The loop was closed without us: kill every process. Runs on any thread."""
        for life in tuple(self.alive):
            life.kill()
        self._jobs.put(None)

    def _spawn_all(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # children inherit it until they are ready for it
        while (job := self._jobs.get()) is not None:
            job()


class ProcessLife:
    """One process life, from before its spawn until its last words are read."""

    def __init__(self, launcher: ProcessLauncher, part: Part, lanes: int, listener: LifeListener) -> None:
        self.pid: int | None = None
        self._launcher = launcher
        self._reader = launcher.reader
        self._loop = launcher.loop
        self._listener = listener
        self._path = part.path
        self._sock, self._child_sock = socket.socketpair()
        self._sock.setblocking(False)
        for end in (self._sock, self._child_sock):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._box = BlackBox(lanes)
        self._ready = SafeEvent()
        self._stop = SafeEvent()
        self._process: SpawnProcess | None = None
        self._pidfd = -1
        self._framer = Framer()
        self._backlog: deque[memoryview] = deque()
        self._last_words: LastWords | None = None
        self._wire_error: str | None = None
        self._ready_dropped = False
        self._stop_asked = False
        self._kill_asked = False
        self._channel_over = False
        self._gone = False
        self._ended = False
        self._reader.stream(self._sock, self._arrived)
        self._reader.once(self._ready.fileno(), self._became_ready)
        self._write(encode(part))

    # ---- towards the child

    def post(self, batch: list[Posted]) -> None:
        """Send a batch of messages; what the kernel does not take now leaves when it does.

        A large message is the last of its batch: its bytes go out from where they are, behind what is around them.
        """
        last = batch[-1]
        payload = memoryview(last.message)
        if payload.nbytes < LARGE:
            self._write(encode(Deliver(batch)))
            return
        around = encode(Deliver([*batch[:-1], msgspec.structs.replace(last, message=NOTHING)]))
        self._write(memoryview(around)[: -len(bytes(NOTHING))], payload)

    def cancel(self, seqs: list[int]) -> None:
        """Take messages back that have not begun; overtakes what the child has read."""
        self._write(encode(Cancel(seqs)))
        self._box.ring()

    def credit(self, seq: int, count: int) -> None:
        """The reader of a stream takes more items; overtakes what the child has read."""
        self._write(encode(Credit(seq, count)))
        self._box.ring()

    def follow(self, seq: int, items: list[bytes], *, over: bool) -> None:
        """Send items that follow a message."""
        self._write(encode(Items(seq, [msgspec.Raw(item) for item in items], over)))
        self._box.ring()

    def answer(self, frame: bytes) -> None:
        """Send an already encoded `Answer`."""
        self._write(frame)

    @property
    def congested(self) -> bool:
        """Whether the kernel holds all it can take for this child."""
        return bool(self._backlog)

    def stop(self) -> None:
        """Ask it to finish its message and leave. The event overtakes a full channel, the frame wakes a reader."""
        self._stop_asked = True
        self._stop.set()
        self._box.ring()
        self._write(encode(Stop()))

    def kill(self) -> None:
        """SIGKILL, now or as soon as there is a process. Runs on any thread."""
        self._kill_asked = True
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        elif self.pid is not None and not self._gone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def progress(self) -> Progress:
        """What its black box says, while it lives or after."""
        return self._box.progress()

    def _write(self, *parts: bytes | memoryview) -> None:
        """Send one frame, given in parts."""
        if self._channel_over:
            return
        head = header(sum(map(len, parts)))
        first = (head + parts[0],) if len(parts[0]) < LARGE else (head, parts[0])
        frame: tuple[bytes | memoryview, ...] = first + parts[1:]
        if self._backlog:
            self._backlog.extend(map(memoryview, frame))
            return
        try:
            sent = self._sock.send(frame[0]) if len(frame) == 1 else self._sock.sendmsg(frame)
        except BlockingIOError:
            sent = 0
        except OSError:  # it died; what was in its hands is known from the box, and the pidfd is about to say so
            return
        for part in frame:
            if sent < len(part):
                self._backlog.append(memoryview(part)[sent:])
            sent = max(0, sent - len(part))
        if self._backlog:
            self._reader.once_writable(self._sock.fileno(), self._go_on_writing)

    def _go_on_writing(self) -> None:
        while self._backlog:
            view = self._backlog[0]
            try:
                sent = self._sock.send(view)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._backlog.clear()
                return
            if sent < len(view):
                self._backlog[0] = view[sent:]
                self._reader.once_writable(self._sock.fileno(), self._go_on_writing)
                return
            self._backlog.popleft()
        self._listener.life_writable()

    # ---- from the child

    def _arrived(self, chunk: bytes) -> None:
        if not chunk:
            self._channel_ended()
        elif self._wire_error is None:
            try:
                for data in self._framer.feed(chunk):
                    self._read(data)
            except WireError as error:
                self.refuse(str(error))

    def _read(self, data: Frame) -> None:
        try:
            frame = _DECODER.decode(data)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise WireError(f"a frame of {len(data)} bytes does not decode: {error}") from error
        if isinstance(frame, LastWords):
            self._last_words = frame
        else:
            self._listener.life_said(frame)

    def refuse(self, why: str) -> None:
        """It broke the protocol: its life ends, nobody else's."""
        self._wire_error = self._wire_error or why
        self.kill()

    def _became_ready(self) -> None:
        self._drop_ready()
        if not self._gone:
            self._listener.life_ready()

    def _drop_ready(self) -> None:
        if not self._ready_dropped:
            self._ready_dropped = True
            self._reader.forget(self._ready.fileno(), close=self._ready.close)

    def _channel_ended(self) -> None:
        self._channel_over = True
        if self._gone:
            self._end()
        else:  # the pidfd speaks within microseconds, unless the process closed its end and lives on
            self._loop.call_later(LAST_WORDS_WAIT, self._kill_if_alive)

    def _kill_if_alive(self) -> None:
        if not self._gone:
            self._wire_error = self._wire_error or "it closed its channel and lived on"
            self.kill()

    # ---- its process

    def spawn(self) -> None:
        """Start the process. Runs in the launcher's thread; the only thing that may take long."""
        error: OSError | AssertionError | None = None
        pidfd = -1
        process = multiprocessing.get_context("spawn").Process(
            target=child.main,
            name=self._path,
            args=(self._child_sock, self._box, self._ready, self._stop, os.getpid()),
        )
        try:
            process.start()
            _disown(process)
            pidfd = _open_pidfd(process)
            self._process, self._pidfd, self.pid = process, pidfd, process.pid
        except (OSError, AssertionError) as reason:
            error = reason
        finally:
            self._child_sock.close()
            self._box.close_descriptor()
        if self._kill_asked:
            self.kill()
        try:
            self._loop.call_soon_threadsafe(self._spawned, error)
        except RuntimeError:  # the loop was closed meanwhile
            self.kill()

    def _spawned(self, error: OSError | AssertionError | None) -> None:
        if self._process is None:
            self._last_words = None
            self._wire_error = f"the process could not be started: {error}"
            self._vanished()
        else:
            fd = self._pidfd if self._pidfd >= 0 else self._process.sentinel
            self._reader.once(fd, self._vanished)

    def _vanished(self) -> None:
        """The process is gone. What it wrote last is still in the channel: its end comes after it."""
        self._gone = True
        if self._channel_over:
            self._end()
        else:  # a grandchild may hold the other end open; nothing more is read than what lies there now
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._backlog.clear()
        self._launcher.alive.discard(self)
        code = None if self._process is None else self._process.exitcode
        self._reader.forget(self._sock.fileno(), close=self._sock.close)
        self._drop_ready()
        if self._pidfd >= 0:
            self._reader.forget(self._pidfd, close=lambda: close_fd(self._pidfd))
        self._stop.close()
        end = LifeEnd(
            pid=self.pid,
            exit_code=code,
            last_words=self._last_words,
            wire_error=self._wire_error,
            stop_asked=self._stop_asked,
            kill_asked=self._kill_asked,
        )
        try:
            self._listener.life_exited(end)
        finally:
            self._box.close()
            if self._process is not None:
                _close(self._process)


def exit_reason(end: LifeEnd) -> ExitReason:  # noqa: PLR0911 - one line for each way to end
    """The way a life ended, in one word and one line. Pure."""
    words = end.last_words
    if end.wire_error is not None:
        return ExitReason(ExitKind.CRASHED, end.wire_error)
    if words is not None:
        failure = words.failure
        said = f"{failure.type_name}: {failure.message}" if failure.message else failure.type_name
        return ExitReason(ExitKind.CRASHED, f"{said} ({words.where})")
    if end.exit_code is None:
        return ExitReason(ExitKind.LOST, "its exit code was taken by another part of the daemon")
    if end.exit_code < 0:
        return ExitReason(ExitKind.KILLED, f"{signal_name(end.exit_code)} {_whose(end)}")
    if end.exit_code:
        return ExitReason(ExitKind.CRASHED, f"exit code {end.exit_code}")
    if end.stop_asked:
        return ExitReason(ExitKind.SHUTDOWN, "asked by the supervisor")
    return ExitReason(ExitKind.NORMAL, "the actor stopped itself")


def _whose(end: LifeEnd) -> str:
    """Where a deadly signal came from, as far as that can be told."""
    number = -(end.exit_code or 0)
    if number == signal.SIGKILL:
        return "from its supervisor" if end.kill_asked else "from outside: a kill -9, or the kernel short of memory"
    return "raised by its own code" if number in _OWN_FAULTS else "from outside"


def signal_name(exit_code: int) -> str:
    """`SIGKILL` for -9; `signal 99` for what has no name."""
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"


def _open_pidfd(process: SpawnProcess) -> int:
    """A descriptor that becomes readable when the process ends; -1 where the system has none (then the sentinel)."""
    if not hasattr(os, "pidfd_open") or process.pid is None:
        return -1
    try:
        return os.pidfd_open(process.pid)
    except OSError:
        return -1


def _close(process: SpawnProcess) -> None:
    """Give back what multiprocessing keeps for a process that is gone, whoever took its exit code."""
    try:
        process.close()
    except ValueError:  # without an exit code it believes that the process still runs
        popen = getattr(process, "_popen", None)
        if popen is not None:
            popen.close()


def _disown(process: SpawnProcess) -> None:
    """Keep multiprocessing's exit handler from waiting for the process: a hung actor must not hold up the exit."""
    children = getattr(multiprocessing.process, "_children", None)
    if children is not None:
        children.discard(process)
