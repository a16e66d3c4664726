"""OutputReader: the one thread that reads what actors write, so that no actor waits for the daemon's log.

The thread reads at once and always, whatever the loop does. The loop logs a little at a time and never spends more
than half of its time on it. Of lives that end together, one is told in a turn of the loop: what follows a death takes
most of a millisecond.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from actors.event import close_fd
from actors.wire.log_lines import Record
from supervisor.io.output_buffer import OutputBuffer
from supervisor.io.poller import Ready
from supervisor.io.selector_thread import SelectorThread

CHUNK: Final = 64 * 1024  # bytes: all that a pipe holds
LAST_CHUNKS: Final = 4  # reads at most after a death; what keeps the pipe full then is a grandchild
SLICE: Final = 0.002  # seconds of logging at a time, and of the pause that follows
LAST_SLICE: Final = 0.1  # seconds of logging at the end of the tree
NOTICE: Final = 1.0  # seconds for which losses are added up before they are reported
GATHER: Final = 0.001  # seconds to let a flood fill its pipe again: few large reads cost less than many small ones


T = TypeVar("T")


class Paced(Generic[T]):
    """What waits for the log: the loop does a little at a time, and never spends more than half of its time on it.

    Args:
        loop: of the tree.
        do: called on the loop with each.

    Attributes:
        waiting: any thread may add to it, and then calls `schedule` unless it is scheduled.
        scheduled: whether the loop will look.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, do: Callable[[T], None]) -> None:
        self.waiting: deque[T] = deque()
        self.scheduled = False
        self._loop = loop
        self._do = do

    def schedule(self) -> None:
        """Let the loop look. May run in any thread."""
        self.scheduled = True
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(self._work)

    def write_down(self, most: float) -> bool:
        """Log for at most this many seconds; returns whether there is more."""
        until = time.perf_counter() + most
        while self.waiting:
            self._do(self.waiting.popleft())
            if time.perf_counter() > until:
                break
        return bool(self.waiting)

    def _work(self) -> None:
        if self.write_down(SLICE):
            self._loop.call_later(SLICE, self._work)
            return
        self.scheduled = False
        if self.waiting:  # another thread brought more before it could see that
            self.schedule()


class OutputReader:
    """Reads every output buffer of a tree. Made and used on the loop's thread; `abandon` runs on any."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str = "actors-output") -> None:
        self._loop = loop
        self._followed: dict[int, OutputBuffer] = {}  # by descriptor; owned by the thread
        self._log: Paced[tuple[OutputBuffer, Record | None]] = Paced(loop, self._take)  # None: something was lost
        self._ended: deque[tuple[OutputBuffer, Callable[[], None]]] = deque()  # read to their end, and not told yet
        self._turn_taken = False  # whether one was told in this turn of the loop
        self._noticing: set[OutputBuffer] = set()
        self._flooded = False  # whether something was dropped just now; owned by the thread
        self._thread = SelectorThread(loop, name, self)

    # ---- on the loop's thread

    def follow(self, buffer: OutputBuffer) -> None:
        """Read it from now on."""
        self._thread.order(lambda: self._register(buffer))

    def finish(self, buffer: OutputBuffer, done: Callable[[], None]) -> None:
        """Its process is gone: read what is left, close the pipe, then call `done`, on the loop.

        It does not wait for the end of the pipe, which a grandchild may hold open.
        """
        self._thread.order(lambda: self._read_last(buffer, done))

    def close(self) -> None:
        """End the thread and log what waits, within LAST_SLICE."""
        if sys.is_finalizing():  # at interpreter exit the thread stands still: no join
            return
        self.abandon()
        self._thread.join()
        self._log.write_down(LAST_SLICE)
        self._give_up_waiting()
        for buffer in tuple(self._noticing):
            self._tell_lost(buffer)

    def abandon(self) -> None:
        """End the thread; returns at once."""
        self._thread.end()

    def _take(self, item: tuple[OutputBuffer, Record | None]) -> None:
        buffer, record = item
        if record is None:
            self._notice(buffer)
        else:
            buffer.written += 1
            self._call(buffer.on_record, record)

    def _give_up_waiting(self) -> None:
        """Count what still waits at the end of the tree as lost."""
        for buffer, record in self._log.waiting:
            buffer.lose(0 if record is None else 1)
            self._noticing.add(buffer)
        self._log.waiting.clear()

    def _notice(self, buffer: OutputBuffer) -> None:
        if buffer not in self._noticing:
            self._noticing.add(buffer)
            self._loop.call_later(NOTICE, self._tell_lost, buffer)

    def _tell_lost(self, buffer: OutputBuffer) -> None:
        self._noticing.discard(buffer)
        self._call(buffer.tell_lost)

    def _call(self, callback: Callable[..., None], *args: Record) -> None:
        """A line that cannot be logged does not keep others from it."""
        try:
            callback(*args)
        except Exception as error:
            self._loop.call_exception_handler({"message": f"error in a callback of {self!r}", "exception": error})

    # ---- in the thread

    def readable(self, ready: Ready) -> None:
        """See `Work`."""
        for fd, _ in ready:
            buffer = self._followed.get(fd)
            if buffer is not None and self._read(buffer) == b"":
                self._unregister(buffer)

    def after_wake(self) -> None:
        """Let a flood fill its pipe again."""
        if self._flooded:
            self._flooded = False
            time.sleep(GATHER)

    def orphaned(self) -> None:
        """See `Work`."""

    def ended(self) -> None:
        """See `Work`."""
        for fd in self._followed:  # the loop was closed without us
            close_fd(fd)

    def _read(self, buffer: OutputBuffer) -> bytes | None:
        """Take one chunk and pass it on; empty at the end of the pipe, None when there is nothing now."""
        try:
            chunk = os.read(buffer.fd, CHUNK)
        except BlockingIOError:
            return None
        except OSError:  # other code in the daemon closed it
            return b""
        if not chunk:
            return chunk
        now, lost = time.monotonic(), buffer.lost
        self._pass_on(buffer, buffer.take(chunk, now), now)
        self._flooded = self._flooded or buffer.lost is not lost
        return chunk

    def _read_last(self, buffer: OutputBuffer, done: Callable[[], None]) -> None:
        try:
            for _ in range(LAST_CHUNKS):
                if not self._read(buffer):
                    break
            if buffer.lines.rest or buffer.joiner.begun:
                now = time.monotonic()
                self._pass_on(buffer, buffer.end(now), now)
        finally:
            self._unregister(buffer)
            close_fd(buffer.fd)
            self._on_loop(lambda: self._finished(buffer, done))

    def _finished(self, buffer: OutputBuffer, done: Callable[[], None]) -> None:
        """On the loop again."""
        self._ended.append((buffer, done))
        if not self._turn_taken:
            self._tell_ended()

    def _tell_ended(self) -> None:
        """Tell the end of one: its last lines come before, unless they are many."""
        self._turn_taken = bool(self._ended)
        if not self._turn_taken:
            return
        buffer, done = self._ended.popleft()
        self._loop.call_soon(self._tell_ended)
        self._log.write_down(SLICE)
        if buffer.lost != buffer.told:
            self._call(buffer.tell_lost)
        done()

    def _pass_on(self, buffer: OutputBuffer, records: list[Record], now: float) -> None:
        self._log.waiting.extend((buffer, record) for record in records)
        if buffer.lost != buffer.noted and now - buffer.noted_at > NOTICE / 2:
            buffer.noted, buffer.noted_at = buffer.lost, now
            self._log.waiting.append((buffer, None))
        if self._log.waiting and not self._log.scheduled:
            self._log.schedule()

    def _on_loop(self, deed: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(deed)

    def _register(self, buffer: OutputBuffer) -> None:
        self._followed[buffer.fd] = buffer
        self._thread.poller.add(buffer.fd)

    def _unregister(self, buffer: OutputBuffer) -> None:
        if self._followed.pop(buffer.fd, None) is not None:
            self._thread.poller.drop(buffer.fd)
