"""ThreadReader: one thread waits on the descriptors of a tree and passes what arrives to the loop in batches."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import deque
from functools import partial
from typing import Final

from actors.event import KernelCounter
from supervisor.io.fds import CHUNK, OnChunk, OnReady, read_rest
from supervisor.io.poller import Ready
from supervisor.io.selector_thread import SelectorThread
from supervisor.io.write_watch import WriteWatch
from supervisor.ports.reading import Source

AT_ONCE: Final = 0.01  # seconds for which the loop processes arrivals before it does other things
CHUNKS_A_WAKE: Final = 16  # full chunks in a row: what is large reaches the loop with few wake-ups
PAUSE_AT: Final = 4 * 1024 * 1024  # bytes read but not yet processed by the loop before a channel has to wait


class Stream:
    """A source that is read until it is forgotten.

    Attributes:
        taken_in: bytes read; only the thread that reads writes it.
        passed_on: bytes processed; only the loop writes it.
        paused: whether it is not read before the loop has caught up.
    """

    __slots__ = ("fd", "on_chunk", "on_end", "passed_on", "paused", "recv", "taken_in", "wanted")

    def __init__(self, source: Source, on_chunk: OnChunk, on_end: OnReady) -> None:
        self.fd = source.fileno()
        self.recv = source.recv
        self.on_chunk = on_chunk
        self.on_end = on_end
        self.taken_in = 0
        self.passed_on = 0
        self.paused = False
        self.wanted = True

    @property
    def unread(self) -> int:
        """Bytes read and not yet processed."""
        return self.taken_in - self.passed_on


class Once:
    """A descriptor whose readiness is reported once."""

    __slots__ = ("fd", "on_ready", "wanted")

    def __init__(self, fd: int, on_ready: OnReady) -> None:
        self.fd = fd
        self.on_ready = on_ready
        self.wanted = True


class ThreadReader:
    """Waits on descriptors in a thread, for one event loop.

    Make it and call its methods on the loop's thread. `name` is the thread's name.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str = "actors-reader") -> None:
        self._loop = loop
        self._items: dict[int, Stream | Once] = {}  # what is wanted, as the loop knows it
        self._writing = WriteWatch(loop)
        self._watched: dict[int, Stream | Once] = {}  # what is watched, as the thread knows it
        self._news: deque[tuple[Stream, bytes] | Once] = deque()  # for the loop, from the thread
        self.on_orphaned: OnReady = _nothing  # runs in the thread when the loop was closed first
        with contextlib.ExitStack() as undo:
            self._flag = KernelCounter()  # above zero while there is news; costs the loop half of call_soon_threadsafe
            undo.callback(self._flag.close)
            loop.add_reader(self._flag.fileno(), self._deliver)
            undo.callback(loop.remove_reader, self._flag.fileno())
            self._thread = SelectorThread(loop, name, self)
            undo.pop_all()

    # ---- on the loop's thread

    def stream(self, source: Source, on_chunk: OnChunk, on_end: OnReady) -> None:
        """Read until it is forgotten: `on_chunk(data)`, and `on_end()` at its end."""
        self._watch(Stream(source, on_chunk, on_end))

    def finish(self, fd: int) -> None:
        """Read what is left in a stream now, and report its end, even if other processes hold the other end open."""
        stream = self._items.get(fd)
        if isinstance(stream, Stream):
            self._thread.order(lambda: self._finish(stream))

    def once(self, fd: int, on_ready: OnReady) -> None:
        """Call `on_ready` once, when `fd` is readable. The descriptor is then no longer watched."""
        self._watch(Once(fd, on_ready))

    def once_writable(self, fd: int, on_ready: OnReady) -> None:
        """Call `on_ready` once, when `fd` takes data again."""
        self._writing.once(fd, on_ready)

    def forget(self, fd: int, *, close: OnReady | None = None) -> None:
        """Stop watching `fd`; no callback for it runs after this.

        `close` is called when the thread no longer uses it.
        """
        if fd in self._writing.watched:
            self._writing.forget(fd)
        item = self._items.pop(fd, None)
        if item is not None:
            item.wanted = False
        if not self._thread.closing:
            self._thread.order(lambda: self._drop(fd, close))
        elif close is not None:
            close()

    def close(self) -> None:
        """End the thread. Waits for it, which takes as long as one wake-up."""
        if self._thread.closing or sys.is_finalizing():  # at interpreter exit the thread stands still: no join
            return
        for item in self._items.values():
            item.wanted = False
        self._writing.close()
        self._thread.end()
        self._thread.join()
        self._loop.remove_reader(self._flag.fileno())
        self._flag.close()

    def _watch(self, item: Stream | Once) -> None:
        self._items[item.fd] = item
        self._thread.order(lambda: self._add(item))

    def _deliver(self) -> None:
        """Process what the thread has read: runs on the loop, once per wake-up of the thread."""
        try:  # noqa: SIM105 - three calls less, for each wake-up
            self._flag.take()
        except OSError:  # it stays readable: the loop calls this again
            pass
        news = self._news
        over = time.monotonic() + AT_ONCE
        while news:
            item = news.popleft()
            if isinstance(item, Once):
                self._report(item)
            else:
                self._pass_on(*item)
            if news and time.monotonic() > over:  # a flood: let other callbacks run
                self._loop.call_soon(self._deliver)
                return

    def _report(self, once: Once) -> None:
        """A descriptor is ready."""
        if once.wanted:
            once.wanted = False
            del self._items[once.fd]
            self._call(once.on_ready)

    def _pass_on(self, stream: Stream, chunk: bytes) -> None:
        """Bytes have arrived, none at the end of the stream."""
        stream.passed_on += len(chunk)
        if not stream.wanted:
            return
        if not chunk:
            self._call(stream.on_end)
            return
        try:
            stream.on_chunk(chunk)
        except Exception as error:  # as of `_call`, for each chunk
            self._failed(error)
        if stream.paused and stream.unread < PAUSE_AT // 2:
            self._thread.order(partial(self._resume, stream))

    def _call(self, callback: OnReady) -> None:
        """A callback that fails does not keep others from being called."""
        try:
            callback()
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._loop.call_exception_handler({"message": f"error in a callback of {self!r}", "exception": error})

    # ---- in the thread

    def readable(self, ready: Ready) -> None:
        """See `Work`."""
        for fd, _ in ready:
            item = self._watched.get(fd)
            if isinstance(item, Stream):
                self._read(item)
            elif item is not None:
                self._drop(fd, None)
                self._news.append(item)

    def after_wake(self) -> None:
        """Wake the loop once for all news."""
        if not self._news:
            return
        try:
            self._flag.add()
        except OSError:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._deliver)

    def orphaned(self) -> None:
        """See `Work`."""
        self.on_orphaned()

    def ended(self) -> None:
        """See `Work`."""
        if self._loop.is_closed():
            self._flag.close()

    def _read(self, stream: Stream) -> None:
        for _ in range(CHUNKS_A_WAKE):
            try:
                chunk = stream.recv(CHUNK)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # reset by a peer that died: the same as end of file
                chunk = b""
            stream.taken_in += len(chunk)
            self._news.append((stream, chunk))
            if not chunk:
                self._drop(stream.fd, None)
                return
            if len(chunk) < CHUNK:
                break
        if stream.taken_in - stream.passed_on > PAUSE_AT:  # unread, without a call for each read
            stream.paused = True
            self._drop(stream.fd, None)
            if stream.unread < PAUSE_AT // 2:  # the loop has caught up meanwhile and has not seen the pause
                self._resume(stream)

    def _resume(self, stream: Stream) -> None:
        if stream.paused:
            stream.paused = False
            self._add(stream)

    def _finish(self, stream: Stream) -> None:
        self._drop(stream.fd, None)
        rest: list[bytes] = []
        try:
            rest = read_rest(stream.recv)
        finally:  # a life waits for the end, also where no more can be read
            for chunk in [*rest, b""]:
                stream.taken_in += len(chunk)
                self._news.append((stream, chunk))

    def _add(self, item: Stream | Once) -> None:
        if item.wanted:
            if item.fd not in self._watched:
                self._thread.poller.add(item.fd)
            self._watched[item.fd] = item

    def _drop(self, fd: int, close: OnReady | None) -> None:
        if self._watched.pop(fd, None) is not None:
            self._thread.poller.drop(fd)
        if close is not None:
            close()


def _nothing() -> None:
    pass
