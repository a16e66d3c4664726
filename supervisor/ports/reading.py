"""Reading: what waits on descriptors for the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Source(Protocol):
    """A non-blocking source of bytes: a socket, a `Duplex`."""

    def fileno(self) -> int:
        """The descriptor that is readable when something arrives."""

    def recv(self, size: int, /) -> bytes:
        """Take at most this many bytes; none at the end."""


class AnyReader(Protocol):
    """Waits on descriptors for the loop; see `supervisor.io.thread_reader` and `supervisor.io.loop_reader`."""

    def stream(self, source: Source, on_chunk: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        """Read until it is forgotten, or its end is reported."""

    def finish(self, fd: int) -> None:
        """Read what is left, then report the end."""

    def once(self, fd: int, on_ready: Callable[[], None]) -> None:
        """Call once when a descriptor is readable."""

    def once_writable(self, fd: int, on_ready: Callable[[], None]) -> None:
        """Call once when a descriptor is writable."""

    def forget(self, fd: int, *, close: Callable[[], None] | None = None) -> None:
        """Stop watching."""

    def close(self) -> None:
        """Stop everything."""
