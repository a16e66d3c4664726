"""SafeQueue: multiprocessing.Queue's interface without any lock between processes.

One item is one packet, sent and received whole or not at all. A process killed at any point leaves the queue as it
was before or after, and blocks no other. What the kernel cannot hold yet stays with its sender.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections import deque
from multiprocessing import context, process, reduction, util
from queue import Empty, Full
from typing import Any, Final

from actors.bounds import shown
from actors.errors import UsageError
from actors.event import KernelCounter, adopt, readable
from actors.queue.packets import CLOEXEC, INLINE, LARGE, NO_ROOM, ROOM_FOR_FD, await_room, packet_pair, read_file, send
from actors.queue.pickling import pickled

COUNTABLE: Final = 2**31  # the slots of an unbounded queue, where the kernel counts that far
LOST_AFTER: Final = 0.1  # seconds a queue must be seen empty, without a free slot, before a slot counts as lost
SAMPLE: Final = 0.005  # seconds between two looks at such a queue
SLICE: Final = 0.5  # seconds after which a waiting thread notices that another thread closed the queue
PARENT_CHECK: Final = 0.1  # seconds between two looks whether the parent lives, while the exit waits for a flush


class SafeQueue:
    """A queue for any number of reading and writing processes that survives `kill -9` of any of them.

    The interface is multiprocessing.Queue's; every method may be called from any thread and process. A process gets
    the queue as an argument of `Process` (any start method), in either direction; pickling it at another time raises
    RuntimeError. The items that one thread puts keep their order.

    While the kernel's buffer has room (some hundred small items), an item survives its sender's death once `put` has
    returned. Beyond that it waits in the sending process, whose feeder thread sends it on; the exit of a spawned
    process waits until that is done or its parent died (see `cancel_join_thread`). The process that made the queue
    never waits.

    The slot of a killed process in a bounded queue is recovered when a put waits while the queue has been empty for
    0.1 s. If the process was only stopped that long (SIGSTOP), the bound grows by one.

    Args:
        maxsize: how many items the queue may hold; 0 is unbounded, and then `put` never waits.
    """

    def __init__(self, maxsize: int = 0) -> None:
        if not isinstance(maxsize, int):
            raise UsageError(f"maxsize must be a whole number, 0 for an unbounded queue; it is {shown(maxsize)}")
        self._maxsize = max(maxsize, 0)
        self._slots = _slots(self._maxsize)
        self._reader, self._writer = packet_pair()
        util.register_after_fork(self, SafeQueue._after_fork)
        self._begin(inherited=False)

    # ---- multiprocessing.Queue's interface

    def put(self, obj: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an item; while a bounded queue is full, wait for a slot.

        Args:
            obj: anything that multiprocessing can pickle; it is pickled here and now.
            block: False raises Full at once instead of waiting.
            timeout: the most seconds to wait; None waits for ever.

        Raises:
            queue.Full: no slot in time; nothing was put.
            ValueError: the queue was closed in this process.
        """
        putting = Putting(self, obj)
        deadline = _deadline(timeout) if block else 0.0
        while not putting.attempt():
            left = deadline - time.monotonic()
            if left <= 0:
                raise Full
            readable(putting.fileno(), min(putting.pause, left))

    def put_nowait(self, obj: Any) -> None:
        """`put(obj, block=False)`."""
        self.put(obj, block=False)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the next item; while there is none, wait.

        Args:
            block: False raises Empty at once instead of waiting.
            timeout: the most seconds to wait; None waits for ever.

        Raises:
            queue.Empty: no item in time.
            ValueError: the queue was closed in this process.
        """
        deadline = _deadline(timeout) if block else 0.0
        while (packed := self._receive()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Empty
            readable(self.fileno(), min(left, SLICE))
        return reduction.ForkingPickler.loads(packed)

    def get_nowait(self) -> Any:
        """`get(block=False)`."""
        return self.get(block=False)

    def qsize(self) -> int:
        """About how many items there are, of all senders.

        Raises:
            NotImplementedError: the platform cannot tell, as with multiprocessing.Queue.
        """
        free = _count(self._slots)
        if free is None:
            raise NotImplementedError("the number of items is not known on this platform; ask empty() or full()")
        return 0 if self.empty() else max((self._maxsize or COUNTABLE) - free, 1)

    def empty(self) -> bool:
        """Whether there is nothing to take; true at that moment only."""
        return not self._overflow and not readable(self.fileno())

    def full(self) -> bool:
        """Whether a bounded queue has no free slot; true at that moment only."""
        self.fileno()
        return self._slots is not None and not readable(self._slots.fileno())

    def close(self) -> None:
        """End putting and getting in this process. May be called twice.

        What waits here is still sent, unless no other process has the queue.
        """
        with self._lock:
            self._closed = True
            self._reader.close()
            if self._slots is not None:
                self._slots.close()
            if self._feeder is None:
                self._writer.close()

    def join_thread(self) -> None:
        """After `close()`: wait until everything put here is in the kernel.

        Raises:
            ValueError: the queue is not closed.
        """
        if not self._closed:
            raise ValueError(f"{self!r} is still open; close() it before join_thread()")
        feeder = self._feeder
        if feeder is not None:
            feeder.join()

    def cancel_join_thread(self) -> None:
        """Let this process exit without sending what still waits in it: those items are lost."""
        self._flush_at_exit = False

    # ---- beyond it

    @property
    def closed(self) -> bool:
        """Whether the queue was closed in this process."""
        return self._closed

    def fileno(self) -> int:
        """The descriptor that is readable while there is an item.

        Raises:
            ValueError: the queue was closed in this process.
        """
        return _fd_of(self, self._reader)

    def __repr__(self) -> str:
        bound = f"maxsize={self._maxsize}" if self._maxsize else "unbounded"
        waiting = f", {len(self._overflow)} waiting here" if self._overflow else ""
        return f"<{type(self).__name__} {bound} {'closed' if self._closed else 'open'}{waiting}>"

    # ---- from process to process

    def __getstate__(self) -> tuple[Any, ...]:
        context.assert_spawning(self)
        ends = (self.fileno(), _fd_of(self, self._writer))
        return self._maxsize, self._slots, *(reduction.DupFd(fd) for fd in ends)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._maxsize, self._slots, *ends = state
        self._reader, self._writer = (socket.socket(fileno=adopt(end)) for end in ends)
        for end in (self._reader, self._writer):
            end.setblocking(False)
        util.register_after_fork(self, SafeQueue._after_fork)
        self._begin(inherited=True)

    def _after_fork(self) -> None:
        self._begin(inherited=True, closed=self._closed)

    def _begin(self, *, inherited: bool, closed: bool = False) -> None:
        """Set up the state of this process. After a fork, what waits in the parent is the parent's to send."""
        self._closed = closed
        self._lock: threading.RLock = threading.RLock()  # for the next two; a put in a __del__ may nest
        self._overflow: deque[bytes] = deque()  # what the kernel did not take yet, in order
        self._feeder: threading.Thread | None = None  # runs while something waits in _overflow
        self._flush_at_exit = inherited  # the process that made the queue does not wait for the flush
        self._finalizer: util.Finalize | None = None

    def __del__(self) -> None:
        if hasattr(self, "_closed"):
            self.close()

    # ---- taking

    def _receive(self) -> bytes | None:
        """Take one whole packet; never waits. None when there is none."""
        try:
            packet, ancillary, _, _ = self._reader.recvmsg(INLINE, ROOM_FOR_FD, CLOEXEC)
        except BlockingIOError:
            return None
        except OSError:
            self.fileno()  # closed by another thread: raise
            raise
        if self._slots is not None:
            try:
                self._slots.add()  # right after taking, so that hardly anything can come between
            except (OSError, ValueError):
                if not self._closed:  # by another thread, right now: the item was taken all the same
                    raise
        return read_file(ancillary) if packet == LARGE else packet

    # ---- putting

    def offer(self, packed: bytes, *, slot_lost: bool = False) -> bool:
        """Put a pickle; never waits. False when no slot is free (`slot_lost` says that one must be)."""
        _fd_of(self, self._writer)  # closed: raises before a slot is taken
        try:
            if self._slots is not None and not self._slots.take() and not slot_lost:
                return False
        except (OSError, ValueError):
            _fd_of(self, self._writer)  # closed by another thread: raise
            raise
        if self._overflow or not self._send(packed):
            with self._lock:
                _fd_of(self, self._writer)  # closed by another thread: raise, since nothing would send it
                self._overflow.append(packed)
                if self._feeder is None:
                    self._start_feeder()
        return True

    def _send(self, packed: bytes) -> bool:
        """Send one whole item; never waits. False when the kernel has no room for it now."""
        try:
            send(self._writer, packed)
        except OSError as error:
            if error.errno in NO_ROOM:
                return False
            _fd_of(self, self._writer)  # closed by another thread: raise
            raise
        return True

    def _start_feeder(self) -> None:
        feeder = threading.Thread(target=self._feed, name="SafeQueue-feeder", daemon=True)
        feeder.start()
        self._feeder = feeder  # it cannot have ended yet: that takes the lock, which is held here
        if self._finalizer is None and process.parent_process() is not None:
            self._finalizer = util.Finalize(self, _finish, [weakref.ref(self)], exitpriority=-5)

    def _flush(self) -> None:
        """Delay this process's exit until what waits here is sent, or until the parent process died."""
        parent, feeder = process.parent_process(), self._feeder
        if not self._flush_at_exit or parent is None or feeder is None:
            return
        self.close()
        while feeder.is_alive() and parent.is_alive():
            feeder.join(PARENT_CHECK)

    def _feed(self) -> None:
        """Runs in the feeder thread: send what waits, in order, and end."""
        while True:
            try:
                sent = self._send(self._overflow[0])
            except (OSError, ValueError):
                sent = self._closed  # no other process has it: what waits here cannot be received, and is dropped
            if not sent:
                await_room(self._writer, PARENT_CHECK)
                continue
            with self._lock:
                self._overflow.popleft()
                if not self._overflow:
                    self._feeder = None
                    if self._closed:
                        self._writer.close()
                    return


class Putting:
    """One put in progress, for a thread or an event loop that does the waiting.

    Call `attempt()` until it returns True; in between wait until `fileno()` is readable, `pause` seconds at most.

    Args:
        queue: where to.
        obj: the item; it is pickled here, once.
    """

    def __init__(self, queue: SafeQueue, obj: Any) -> None:
        self._queue = queue
        self._packed = pickled(obj)
        self._empty_since: float | None = None
        self.pause = 0.0

    def attempt(self) -> bool:
        """Put it if a slot is free, or if one must have been lost with a killed process. Never waits."""
        if self._queue.offer(self._packed):
            return True
        now = time.monotonic()
        if not self._queue.empty():
            self._empty_since, self.pause = None, LOST_AFTER
            return False
        if self._empty_since is None:
            self._empty_since, self.pause = now, SAMPLE
        return now - self._empty_since >= LOST_AFTER and self._queue.offer(self._packed, slot_lost=True)

    def fileno(self) -> int:
        """The descriptor that is readable while a slot is free."""
        slots = self._queue._slots  # noqa: SLF001 - two classes of one room
        assert slots is not None  # noqa: S101 - without slots every attempt succeeds
        return slots.fileno()


def _slots(maxsize: int) -> KernelCounter | None:
    """The free slots; those of an unbounded queue serve qsize() only, where the kernel reports them."""
    if not maxsize and not hasattr(os, "eventfd"):
        return None
    if maxsize > COUNTABLE:
        raise UsageError(f"maxsize {maxsize} is more than can be counted ({COUNTABLE}); 0 is unbounded")
    return KernelCounter(maxsize or COUNTABLE, semaphore=True)


def _count(counter: KernelCounter | None) -> int | None:
    """The number in an eventfd, as the kernel shows it; None where it does not."""
    if counter is None:
        return None
    try:
        with open(f"/proc/self/fdinfo/{counter.fileno()}") as info:  # noqa: PTH123 - hot enough
            return next((int(line.split()[1], 16) for line in info if line.startswith("eventfd-count")), None)
    except OSError:
        return None


def _fd_of(queue: SafeQueue, end: socket.socket) -> int:
    if queue.closed or (fd := end.fileno()) < 0:
        raise ValueError(f"{queue!r} is closed in this process; nothing can be put into it or taken from it here")
    return fd


def _deadline(timeout: float | None) -> float:
    return float("inf") if timeout is None else time.monotonic() + timeout


def _finish(reference: weakref.ref[SafeQueue]) -> None:
    """Runs at the exit of a spawned process, and when the queue is garbage: then there is nothing to do."""
    queue = reference()
    if queue is not None:
        queue._flush()  # noqa: SLF001 - the queue's own hook, which must not keep it alive
