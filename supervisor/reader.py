"""Reader: the one thread that waits on descriptors so that the event loop never does.

Law: the thread only waits and reads. What arrived is handed to the loop in batches, one wake-up for many; every
     callback runs on the loop's thread, and never after its `forget` has returned there.
May import: actors.event.

The number of threads does not grow with the number of descriptors. The thread is a daemon thread, so it can hold up
neither the interpreter's exit nor anything else; it ends when it is closed, and by itself when its loop was closed
without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from actors.event import KernelCounter

CHUNK: Final = 64 * 1024  # bytes per read: below malloc's mmap threshold, above what a pipe-sized burst holds
CHUNKS_A_WAKE: Final = 16  # full chunks in a row: what is large reaches the loop with few wake-ups
AT_ONCE: Final = 0.01  # seconds that the loop takes news in before it lets others have a turn
PAUSE_AT: Final = 4 * 1024 * 1024  # bytes read but not yet taken by the loop before a channel has to wait
ORPHAN_CHECK: Final = 0.5  # seconds between looks at whether the loop was closed behind our back

OnChunk = Callable[[bytes], None]
OnReady = Callable[[], None]

_READ: Final = select.POLLIN  # the same numbers for epoll
_WRITE: Final = select.POLLOUT


class _Stream:
    """A socket that is read for as long as it is watched."""

    __slots__ = ("on_chunk", "paused", "sock", "unread", "wanted")

    def __init__(self, sock: socket.socket, on_chunk: OnChunk) -> None:
        self.sock = sock
        self.on_chunk = on_chunk
        self.unread = 0  # bytes handed over and not yet taken; both threads write, a lost update only shifts a pause
        self.paused = False
        self.wanted = True


class _Once:
    """A descriptor whose readiness is told once."""

    __slots__ = ("on_ready", "wanted")

    def __init__(self, on_ready: OnReady) -> None:
        self.on_ready = on_ready
        self.wanted = True


class _Poller:
    """Which descriptors are watched for what, for good: epoll where there is one, else poll."""

    def __init__(self) -> None:
        self.watched: dict[int, dict[int, _Stream | _Once]] = {}  # descriptor to event to whom it is told
        if hasattr(select, "epoll"):
            self._object: Any = select.epoll()
            self.wait: Callable[[], list[tuple[int, int]]] = partial(self._object.poll, ORPHAN_CHECK)
        else:
            self._object = select.poll()
            self.wait = partial(self._object.poll, ORPHAN_CHECK * 1000)

    def add(self, fd: int, event: int, item: _Stream | _Once | None) -> None:
        """Watch for an event; None is only for what nobody is told of."""
        told = self.watched.setdefault(fd, {})
        known = bool(told)
        if item is not None:
            told[event] = item
        (self._object.modify if known else self._object.register)(fd, self._mask(told) or event)

    def remove(self, fd: int, event: int) -> None:
        """Do not watch for an event any more."""
        told = self.watched.get(fd, {})
        if told.pop(event, None) is None:
            return
        if told:
            self._object.modify(fd, self._mask(told))
        else:
            self.drop(fd)

    def drop(self, fd: int) -> None:
        """Do not watch a descriptor any more."""
        if self.watched.pop(fd, None) is not None:
            with contextlib.suppress(OSError, KeyError):  # it was closed before
                self._object.unregister(fd)

    def close(self) -> None:
        """Give back what the kernel keeps for it."""
        self.watched.clear()
        if hasattr(self._object, "close"):
            self._object.close()

    def _mask(self, told: dict[int, _Stream | _Once]) -> int:
        mask = 0
        for event in told:
            mask |= event
        return mask


class Reader:
    """Waits on descriptors in a thread, on behalf of one event loop.

    Make it and call its methods on the loop's thread. `name` is the thread's name.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str = "actors-reader") -> None:
        self._loop = loop
        self._poller = _Poller()
        self._orders: deque[Callable[[], None]] = deque()  # for the thread, from the loop
        self._news: deque[tuple[_Stream, bytes] | _Once] = deque()  # for the loop, from the thread
        self._awake, self._waker = socket.socketpair()
        self._awake.setblocking(False)
        self._waker.setblocking(False)
        self._poller.add(self._awake.fileno(), _READ, None)
        self._streams: dict[int, _Stream] = {}
        self._onces: dict[tuple[int, int], _Once] = {}
        self._closing = False
        self.on_orphaned: OnReady = _nothing  # runs in the thread when the loop was closed without us
        self._flag = KernelCounter()  # up while there is news: for the loop half the price of call_soon_threadsafe
        loop.add_reader(self._flag.fileno(), self._deliver)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    # ---- on the loop's thread

    def stream(self, sock: socket.socket, on_chunk: OnChunk) -> None:
        """Read `sock` (non-blocking) until it is forgotten: `on_chunk(data)`, and `on_chunk(b"")` at its end."""
        watched = self._streams[sock.fileno()] = _Stream(sock, on_chunk)
        self._order(lambda: self._add(sock.fileno(), _READ, watched))

    def once(self, fd: int, on_ready: OnReady) -> None:
        """Call `on_ready` once, when `fd` is readable. The descriptor is then no longer watched."""
        self._once(fd, _READ, on_ready)

    def once_writable(self, fd: int, on_ready: OnReady) -> None:
        """Call `on_ready` once, when `fd` takes data again."""
        self._once(fd, _WRITE, on_ready)

    def forget(self, fd: int, *, close: OnReady | None = None) -> None:
        """Stop watching `fd`; no callback for it runs after this. `close` is called when the thread let go of it."""
        stream = self._streams.pop(fd, None)
        if stream is not None:
            stream.wanted = False
        for key in [key for key in self._onces if key[0] == fd]:
            self._onces.pop(key).wanted = False
        if not self._closing:
            self._order(lambda: self._drop(fd, close))
        elif close is not None:
            close()

    def close(self) -> None:
        """End the thread. Waits for it, which takes as long as one wake-up."""
        if self._closing or sys.is_finalizing():  # at the interpreter's end the thread stands still: no join
            return
        self._closing = True
        for stream in self._streams.values():
            stream.wanted = False
        for once in self._onces.values():
            once.wanted = False
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._loop.remove_reader(self._flag.fileno())
        self._flag.close()

    def _once(self, fd: int, mask: int, on_ready: OnReady) -> None:
        watched = self._onces[fd, mask] = _Once(on_ready)
        self._order(lambda: self._add(fd, mask, watched))

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.append(order)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # full: a wake-up is already on its way
            self._waker.send(b"\0")

    def _deliver(self) -> None:
        """Hand over what the thread has read: runs on the loop, once per wake-up of the thread."""
        self._flag.take()
        news = self._news
        over = self._loop.time() + AT_ONCE
        while news:
            if self._loop.time() > over:
                self._loop.call_soon(self._deliver)
                return
            item = news.popleft()
            if isinstance(item, _Once):
                if item.wanted:
                    item.wanted = False
                    for key in [key for key, once in self._onces.items() if once is item]:
                        del self._onces[key]
                    self._call(item.on_ready)
                continue
            stream, chunk = item
            stream.unread -= len(chunk)
            if stream.wanted:
                self._call(stream.on_chunk, chunk)
                if stream.paused and stream.unread < PAUSE_AT // 2 and stream.wanted:
                    stream.paused = False
                    self._order(lambda s=stream: self._resume(s))  # type: ignore[misc]

    def _call(self, callback: Callable[..., None], *args: bytes) -> None:
        """One callback that fails keeps no other from being called."""
        try:
            callback(*args)
        except Exception as error:
            self._loop.call_exception_handler({"message": f"error in a callback of {self!r}", "exception": error})

    # ---- in the thread

    def _run(self) -> None:
        wait, watched, awake = self._poller.wait, self._poller.watched, self._awake.fileno()
        try:
            while not self._closing:
                ready = wait()
                if not ready and self._loop.is_closed():
                    self.on_orphaned()
                    return
                for fd, mask in ready:
                    if fd == awake:
                        self._take_orders()
                    elif (told := watched.get(fd)) is not None:
                        self._take_news(fd, told, mask)
                if self._news and not self._tell():
                    self.on_orphaned()
                    return
        finally:
            self._closing = True
            self._take_orders()  # what was forgotten in the last moment is still closed
            self._poller.close()
            self._awake.close()
            self._waker.close()
            if self._loop.is_closed():
                self._flag.close()

    def _tell(self) -> bool:
        """Wake the loop once for everything in `_news`; False when the loop is closed."""
        self._flag.add()
        return not self._loop.is_closed()

    def _take_orders(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._awake.recv(4096)
        while self._orders:
            self._orders.popleft()()

    def _take_news(self, fd: int, told: dict[int, _Stream | _Once], mask: int) -> None:
        """An error or a hang-up is news for whoever reads and for whoever writes."""
        for event, other in ((_READ, _WRITE), (_WRITE, _READ)):
            item = told.get(event) if mask & ~other else None
            if isinstance(item, _Stream):
                self._read(fd, item)
            elif item is not None:
                self._poller.remove(fd, event)
                self._news.append(item)

    def _read(self, fd: int, stream: _Stream) -> None:
        for _ in range(CHUNKS_A_WAKE):
            try:
                chunk = stream.sock.recv(CHUNK)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # reset by a peer that died: the same as its end
                chunk = b""
            if not chunk:
                self._poller.remove(fd, _READ)
            stream.unread += len(chunk)
            self._news.append((stream, chunk))
            if len(chunk) < CHUNK:
                break
        if stream.unread > PAUSE_AT:
            stream.paused = True
            self._poller.remove(fd, _READ)

    def _resume(self, stream: _Stream) -> None:
        if stream.wanted and stream.sock.fileno() >= 0:
            self._add(stream.sock.fileno(), _READ, stream)

    def _add(self, fd: int, event: int, item: _Stream | _Once) -> None:
        if item.wanted:
            self._poller.add(fd, event, item)

    def _drop(self, fd: int, close: OnReady | None) -> None:
        self._poller.drop(fd)
        if close is not None:
            close()


class LoopReader:
    """The same waits, done by the event loop itself (`reading="loop"`): no thread, fewer wake-ups.

    For loops that can watch a descriptor: asyncio's selector loops and uvloop. Everything runs on the loop's thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reading: set[int] = set()
        self._writing: set[int] = set()
        self.on_orphaned: OnReady = _nothing

    def stream(self, sock: socket.socket, on_chunk: OnChunk) -> None:
        """As `Reader.stream`."""
        fd = sock.fileno()

        def readable() -> None:
            try:
                chunk = sock.recv(CHUNK)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                chunk = b""
            if not chunk:
                self._stop_reading(fd)
            on_chunk(chunk)

        self._reading.add(fd)
        self._loop.add_reader(fd, readable)

    def once(self, fd: int, on_ready: OnReady) -> None:
        """As `Reader.once`."""

        def readable() -> None:
            self._stop_reading(fd)
            on_ready()

        self._reading.add(fd)
        self._loop.add_reader(fd, readable)

    def once_writable(self, fd: int, on_ready: OnReady) -> None:
        """As `Reader.once_writable`."""

        def writable() -> None:
            self._stop_writing(fd)
            on_ready()

        self._writing.add(fd)
        self._loop.add_writer(fd, writable)

    def forget(self, fd: int, *, close: OnReady | None = None) -> None:
        """As `Reader.forget`."""
        self._stop_reading(fd)
        self._stop_writing(fd)
        if close is not None:
            close()

    def close(self) -> None:
        """Stop watching everything."""
        for fd in list(self._reading | self._writing):
            self.forget(fd)

    def _stop_reading(self, fd: int) -> None:
        if fd in self._reading:
            self._reading.discard(fd)
            self._loop.remove_reader(fd)

    def _stop_writing(self, fd: int) -> None:
        if fd in self._writing:
            self._writing.discard(fd)
            self._loop.remove_writer(fd)


def _nothing() -> None:
    pass


def close_fd(fd: int) -> None:
    """Close a descriptor that may be closed already."""
    with contextlib.suppress(OSError):
        os.close(fd)
