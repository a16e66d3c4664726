"""LoopReader: the event loop itself watches the descriptors; no thread."""

from __future__ import annotations

import asyncio
import contextlib

from actors.event import readable
from supervisor.io.fds import CHUNK, OnChunk, OnReady, read_rest
from supervisor.io.poller import PACE
from supervisor.io.write_watch import WriteWatch
from supervisor.ports.reading import Source


class LoopReader:
    """The event loop itself watches the descriptors (`reading="loop"`): no thread, fewer wake-ups.

    For loops that can watch a descriptor: asyncio's selector loops and uvloop. Everything runs on the loop's thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reading: set[int] = set()
        self._writing = WriteWatch(loop)
        self._streams: dict[int, tuple[Source, OnChunk, OnReady]] = {}
        self._looks: dict[int, asyncio.TimerHandle] = {}  # of descriptors that the loop cannot watch

    def stream(self, source: Source, on_chunk: OnChunk, on_end: OnReady) -> None:
        """As `ThreadReader.stream`."""
        fd, recv = source.fileno(), source.recv

        def ready() -> None:
            try:
                chunk = recv(CHUNK)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # reset by a peer that died: the same as end of file
                chunk = b""
            if chunk:
                on_chunk(chunk)
            else:
                self._stop_reading(fd)
                on_end()

        self._streams[fd] = source, on_chunk, on_end
        self._watch(fd, ready)

    def finish(self, fd: int) -> None:
        """As `ThreadReader.finish`."""
        if fd in self._streams:
            source, on_chunk, on_end = self._streams[fd]
            self._stop_reading(fd)
            try:
                for chunk in read_rest(source.recv):
                    on_chunk(chunk)
            finally:  # a life waits for the end, also where no more can be read
                on_end()

    def once(self, fd: int, on_ready: OnReady) -> None:
        """As `ThreadReader.once`."""

        def ready() -> None:
            self._stop_reading(fd)
            on_ready()

        self._watch(fd, ready)

    def once_writable(self, fd: int, on_ready: OnReady) -> None:
        """As `ThreadReader.once_writable`."""
        self._writing.once(fd, on_ready)

    def forget(self, fd: int, *, close: OnReady | None = None) -> None:
        """As `ThreadReader.forget`."""
        self._stop_reading(fd)
        if fd in self._writing.watched:
            self._writing.forget(fd)
        self._streams.pop(fd, None)
        if close is not None:
            close()

    def close(self) -> None:
        """Stop watching everything."""
        for fd in tuple(self._reading):
            self.forget(fd)
        self._writing.close()

    def _watch(self, fd: int, on_ready: OnReady) -> None:
        """Call `on_ready` whenever it is readable; a descriptor that the loop cannot watch is polled."""
        self._reading.add(fd)
        try:
            self._loop.add_reader(fd, on_ready)
        except OSError:
            self._look_at(fd, on_ready)

    def _look_at(self, fd: int, on_ready: OnReady) -> None:
        ready = False
        with contextlib.suppress(OSError):
            ready = readable(fd)
        if ready:
            self._looks.pop(fd, None)
            on_ready()
        if fd in self._reading:
            self._looks[fd] = self._loop.call_later(PACE, self._look_at, fd, on_ready)

    def _stop_reading(self, fd: int) -> None:
        if (look := self._looks.pop(fd, None)) is not None:
            look.cancel()
        if fd in self._reading:
            self._reading.discard(fd)
            self._loop.remove_reader(fd)
