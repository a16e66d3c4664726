"""Memory: what an inline life has in place of kernel objects: its channel, its output pipe, its events.

The bytes are those of a process's pipes; they are encoded, cut into frames, bounded and decoded by the same code.

Runs on the loop's thread and in the fiber, of which one waits for the other; what an actor's other threads send is
handed to the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.event import KernelCounter
from actors.ipc.blackbox import BlackBox, behind_counters
from actors.ipc.output_pipe import OutputPipe
from actors.process.memory import Reserve
from actors.wire.log_lines import Record, read_line
from supervisor.testing.clock import VirtualClock
from supervisor.testing.fiber import Fiber


class InlineBox(BlackBox):
    """The black box of a life, as one of its two sides has it: plain memory of the test's process, without a file.

    Args:
        lanes: how many handler calls it records at a time.
        memory: of the side that is there already, None for the first.
    """

    def __init__(self, lanes: int, memory: bytearray | None = None) -> None:
        self._lay_out(lanes, behind_counters(lanes))
        self._memory = bytearray(self._text_at) if memory is None else memory  # faulthandler writes no text into it
        self._look_into(memoryview(self._memory))

    def other_side(self) -> InlineBox:
        """The same as its other side has it; it has to be closed, too."""
        return InlineBox(self.lanes, self._memory)

    def close(self) -> None:
        """See `BlackBox`."""
        self._look_away()


class NoReserve(Reserve):
    """No memory is kept for the report of a MemoryError: the test's process has no limit of its own."""

    def fill(self) -> None:
        """See `Reserve`."""


class DaemonEnd:
    """The daemon's end of a channel, as `Duplex`: it writes into the life's, and is never full."""

    incoming = outgoing = -1

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Write all of it."""
        self._write(bytes(data))
        return len(data)


class LifeEnd:
    """The life's end of a channel, as `Duplex`; its fiber parks where a process would block.

    Args:
        fiber: of the life.
        clock: of its waits.
        write: takes what it sends.
    """

    incoming = outgoing = -1

    def __init__(self, fiber: Fiber, clock: VirtualClock, write: Callable[[bytes], None]) -> None:
        self._fiber = fiber
        self._clock = clock
        self._write = write
        self._arrived = bytearray()
        self._signal: KernelCounter | None = None  # readable while bytes wait; only a loop needs it

    def put(self, data: bytes) -> None:
        """Bytes arrive."""
        self._arrived += data
        if self._signal is not None:
            self._signal.add()

    def recv(self, size: int) -> bytes:
        """Take at most this many bytes; waits for them."""
        self.readable(None)
        data = bytes(self._arrived[:size])
        del self._arrived[:size]
        if self._signal is not None and not self._arrived:
            self._signal.take()
        return data

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Write all of it."""
        self._write(bytes(data))
        return len(data)

    def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `send`."""
        self._write(bytes(data))

    def readable(self, timeout: float | None) -> bool:
        """See `Duplex.readable`."""
        until = None if timeout is None else self._clock.monotonic() + timeout
        while not self._arrived:
            left = None if until is None else until - self._clock.monotonic()
            if left is not None and left <= 0:
                return False
            self._fiber.park(left)
        return True

    def fileno(self) -> int:
        """A descriptor that is readable while bytes wait, for the loop of async handlers."""
        if self._signal is None:
            self._signal = KernelCounter(int(bool(self._arrived)))
        return self._signal.fileno()

    def close(self) -> None:
        """Close its descriptor."""
        if self._signal is not None:
            self._signal.close()


class InlineOutputPipe(OutputPipe):
    """Hands the records of `context.log` to the daemon, as a process's output pipe would bring them."""

    def __init__(self, write: Callable[[Record], None]) -> None:
        super().__init__(-1)
        self._take = write

    def send(self, line: bytes) -> None:
        """Send one encoded record."""
        for record in read_line(line.rstrip(b"\n")):
            if isinstance(record, Record):
                self._take(record)


class Ready:
    """The event `ready` of a life: set once, when `on_start` has returned."""

    def __init__(self, on_set: Callable[[], None]) -> None:
        self.set = on_set


class Stop:
    """The event `stop` of a life: set when it is asked to stop."""

    def __init__(self) -> None:
        self._asked = False

    def set(self) -> None:
        """Ask."""
        self._asked = True

    def is_set(self) -> bool:
        """Whether it is asked."""
        return self._asked


class NoReader:
    """A reader for a channel that is never full: what has to wait for the next turn of the loop is done then."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def once_writable(self, fd: int, on_ready: Callable[[], None]) -> None:
        """Call in the next turn of the loop."""
        del fd
        self._loop.call_soon(on_ready)
