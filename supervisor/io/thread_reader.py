"""ThreadReader: one thread waits on the descriptors of a tree and passes what arrives to the loop in batches."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from actors.event import KernelCounter
from supervisor.io.fds import (
    AT_ONCE,
    CHUNK,
    CHUNKS_A_WAKE,
    ORPHAN_CHECK,
    PAUSE_AT,
    OnChunk,
    OnReady,
    _nothing,
    _Once,
    _Stream,
    read_chunk,
    read_rest,
)
from supervisor.io.poller import Poller
from supervisor.io.write_watch import WriteWatch
from supervisor.ports import Source


class ThreadReader:
    """Waits on descriptors in a thread, for one event loop.

    Make it and call its methods on the loop's thread. `name` is the thread's name.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str = "actors-reader") -> None:
        self._loop = loop
        self._items: dict[int, _Stream | _Once] = {}  # what is wanted, as the loop knows it
        self._writing = WriteWatch(loop)
        self._watched: dict[int, _Stream | _Once] = {}  # what is watched, as the thread knows it
        self._orders: deque[Callable[[], None]] = deque()  # for the thread, from the loop
        self._news: deque[tuple[_Stream, bytes] | _Once] = deque()  # for the loop, from the thread
        self._closing = False
        self.on_orphaned: OnReady = _nothing  # runs in the thread when the loop was closed first
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        with contextlib.ExitStack() as undo:
            self._poller = Poller()
            undo.callback(self._poller.close)
            self._awake, self._waker = socket.socketpair()
            undo.callback(self._waker.close)
            undo.callback(self._awake.close)
            self._awake.setblocking(False)
            self._waker.setblocking(False)
            self._poller.add(self._awake.fileno())
            self._flag = KernelCounter()  # above zero while there is news; costs the loop half of call_soon_threadsafe
            undo.callback(self._flag.close)
            loop.add_reader(self._flag.fileno(), self._deliver)
            undo.callback(loop.remove_reader, self._flag.fileno())
            self._thread.start()
            undo.pop_all()

    # ---- on the loop's thread

    def stream(self, source: Source, on_chunk: OnChunk) -> None:
        """Read until it is forgotten: `on_chunk(data)`, and `on_chunk(b"")` at its end."""
        self._watch(_Stream(source, on_chunk))

    def finish(self, fd: int) -> None:
        """Read what is left in a stream now, and report its end, even if other processes hold the other end open."""
        stream = self._items.get(fd)
        if isinstance(stream, _Stream):
            self._order(lambda: self._finish(stream))

    def once(self, fd: int, on_ready: OnReady) -> None:
        """Call `on_ready` once, when `fd` is readable. The descriptor is then no longer watched."""
        self._watch(_Once(fd, on_ready))

    def once_writable(self, fd: int, on_ready: OnReady) -> None:
        """Call `on_ready` once, when `fd` takes data again."""
        self._writing.once(fd, on_ready)

    def forget(self, fd: int, *, close: OnReady | None = None) -> None:
        """Stop watching `fd`; no callback for it runs after this.

        `close` is called when the thread no longer uses it.
        """
        self._writing.forget(fd)
        item = self._items.pop(fd, None)
        if item is not None:
            item.wanted = False
        if not self._closing:
            self._order(lambda: self._drop(fd, close))
        elif close is not None:
            close()

    def close(self) -> None:
        """End the thread. Waits for it, which takes as long as one wake-up."""
        if self._closing or sys.is_finalizing():  # at interpreter exit the thread stands still: no join
            return
        self._closing = True
        for item in self._items.values():
            item.wanted = False
        self._writing.close()
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._loop.remove_reader(self._flag.fileno())
        self._flag.close()

    def _watch(self, item: _Stream | _Once) -> None:
        self._items[item.fd] = item
        self._order(lambda: self._add(item))

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.append(order)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: a wake-up is already pending; else it looks after ORPHAN_CHECK
            self._waker.send(b"\0")

    def _deliver(self) -> None:
        """Process what the thread has read: runs on the loop, once per wake-up of the thread."""
        with contextlib.suppress(OSError):  # it stays readable: the loop calls this again
            self._flag.take()
        news = self._news
        over = time.monotonic() + AT_ONCE
        while news:
            if time.monotonic() > over:  # a flood: let other callbacks run
                self._loop.call_soon(self._deliver)
                return
            item = news.popleft()
            if isinstance(item, _Once):
                if item.wanted:
                    item.wanted = False
                    del self._items[item.fd]
                    self._call(item.on_ready)
                continue
            stream, chunk = item
            stream.passed_on += len(chunk)
            if stream.wanted:
                self._call(stream.on_chunk, chunk)
                if stream.paused and stream.unread < PAUSE_AT // 2:
                    self._order(partial(self._resume, stream))

    def _call(self, callback: Callable[..., None], *args: bytes) -> None:
        """A callback that fails does not keep others from being called."""
        try:
            callback(*args)
        except Exception as error:
            self._loop.call_exception_handler({"message": f"error in a callback of {self!r}", "exception": error})

    # ---- in the thread

    def _run(self) -> None:
        wait, watched, awake = self._poller.wait, self._watched, self._awake.fileno()
        try:
            while not self._closing:
                ready = wait(ORPHAN_CHECK)
                if not ready and self._loop.is_closed():
                    self.on_orphaned()
                    return
                if not ready:
                    self._take_orders()  # a wake-up may have failed
                for fd in ready:
                    item = watched.get(fd)
                    if isinstance(item, _Stream):
                        self._read(item)
                    elif item is not None:
                        self._drop(fd, None)
                        self._news.append(item)
                    elif fd == awake:
                        self._take_orders()
                if self._news and not self._tell():
                    self.on_orphaned()
                    return
        finally:
            self._closing = True
            self._take_orders()  # what was just forgotten is still closed
            self._poller.close()
            self._awake.close()
            self._waker.close()
            if self._loop.is_closed():
                self._flag.close()

    def _tell(self) -> bool:
        """Wake the loop once for everything in `_news`; False when the loop is closed."""
        try:
            self._flag.add()
        except OSError:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._deliver)
        return not self._loop.is_closed()

    def _take_orders(self) -> None:
        with contextlib.suppress(OSError):  # it stays readable: the next wait returns at once
            self._awake.recv(4096)
        while self._orders:
            try:
                self._orders.popleft()()
            except Exception as error:  # every other life needs this thread
                context = {"message": f"error in the thread of {self!r}; it continues", "exception": error}
                with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                    self._loop.call_soon_threadsafe(self._loop.call_exception_handler, context)

    def _read(self, stream: _Stream) -> None:
        for _ in range(CHUNKS_A_WAKE):
            chunk = read_chunk(stream.recv)
            if chunk is None:
                return
            stream.taken_in += len(chunk)
            self._news.append((stream, chunk))
            if not chunk:
                self._drop(stream.fd, None)
                return
            if len(chunk) < CHUNK:
                break
        if stream.unread > PAUSE_AT:
            stream.paused = True
            self._drop(stream.fd, None)
            if stream.unread < PAUSE_AT // 2:  # the loop has caught up meanwhile and has not seen the pause
                self._resume(stream)

    def _resume(self, stream: _Stream) -> None:
        if stream.paused:
            stream.paused = False
            self._add(stream)

    def _finish(self, stream: _Stream) -> None:
        self._drop(stream.fd, None)
        for chunk in read_rest(stream.recv):
            stream.taken_in += len(chunk)
            self._news.append((stream, chunk))

    def _add(self, item: _Stream | _Once) -> None:
        if item.wanted:
            if item.fd not in self._watched:
                self._poller.add(item.fd)
            self._watched[item.fd] = item

    def _drop(self, fd: int, close: OnReady | None) -> None:
        if self._watched.pop(fd, None) is not None:
            self._poller.drop(fd)
        if close is not None:
            close()
