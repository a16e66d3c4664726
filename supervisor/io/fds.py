"""Descriptors: reading helpers that both readers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from supervisor.ports import Source

AT_ONCE: Final = 0.01  # seconds for which the loop processes arrivals before it does other things
CHUNK: Final = 64 * 1024  # bytes per read: below malloc's mmap threshold, above what a pipe-sized burst holds
CHUNKS_A_WAKE: Final = 16  # full chunks in a row: what is large reaches the loop with few wake-ups
LAST_CHUNKS: Final = 64  # reads of what is left in a channel whose process is gone: many times what the kernel holds
PAUSE_AT: Final = 4 * 1024 * 1024  # bytes read but not yet processed by the loop before a channel has to wait
ORPHAN_CHECK: Final = 0.5  # seconds between looks whether the loop was closed without closing us
OnChunk = Callable[[bytes], None]
OnReady = Callable[[], None]


class _Stream:
    """A source that is read until it is forgotten.

    Attributes:
        taken_in: bytes read; only the thread that reads writes it.
        passed_on: bytes processed; only the loop writes it.
        paused: whether it is not read before the loop has caught up.
    """

    __slots__ = ("fd", "on_chunk", "passed_on", "paused", "recv", "taken_in", "wanted")

    def __init__(self, source: Source, on_chunk: OnChunk) -> None:
        self.fd = source.fileno()
        self.recv = source.recv
        self.on_chunk = on_chunk
        self.taken_in = 0
        self.passed_on = 0
        self.paused = False
        self.wanted = True

    @property
    def unread(self) -> int:
        """Bytes read and not yet processed."""
        return self.taken_in - self.passed_on


class _Once:
    """A descriptor whose readiness is reported once."""

    __slots__ = ("fd", "on_ready", "wanted")

    def __init__(self, fd: int, on_ready: OnReady) -> None:
        self.fd = fd
        self.on_ready = on_ready
        self.wanted = True


def read_chunk(recv: Callable[[int], bytes]) -> bytes | None:
    """The available bytes, b"" at the end, None when there are none now."""
    try:
        return recv(CHUNK)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:  # reset by a peer that died: the same as end of file
        return b""


def read_rest(recv: Callable[[int], bytes]) -> list[bytes]:
    """All available bytes, and whether the end was reached."""
    chunks = []
    for _ in range(LAST_CHUNKS):
        chunk = read_chunk(recv)
        if not chunk:
            break
        chunks.append(chunk)
    return [*chunks, b""]


def _nothing() -> None:
    pass
