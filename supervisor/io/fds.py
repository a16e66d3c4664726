"""Descriptors: what both readers share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Final

from supervisor.ports import Source

AT_ONCE: Final = 0.01  # seconds that the loop takes news in before it does other things
CHUNK: Final = 64 * 1024  # bytes per read: below malloc's mmap threshold, above what a pipe-sized burst holds
CHUNKS_A_WAKE: Final = 16  # full chunks in a row: what is large reaches the loop with few wake-ups
LAST_CHUNKS: Final = 64  # reads of what lies in a channel whose process is gone: many times what the kernel holds
PAUSE_AT: Final = 4 * 1024 * 1024  # bytes read but not yet taken by the loop before a channel has to wait
ORPHAN_CHECK: Final = 0.5  # seconds between looks at whether the loop was closed behind our back
OnChunk = Callable[[bytes], None]
OnReady = Callable[[], None]


class _Stream:
    """A source that is read for as long as it is watched."""

    __slots__ = ("fd", "on_chunk", "paused", "recv", "unread", "wanted")

    def __init__(self, source: Source, on_chunk: OnChunk) -> None:
        self.fd = source.fileno()
        self.recv = source.recv
        self.on_chunk = on_chunk
        self.unread = 0  # bytes handed over and not yet taken; both threads write, a lost update only shifts a pause
        self.paused = False
        self.wanted = True


class _Once:
    """A descriptor whose readiness is told once."""

    __slots__ = ("fd", "on_ready", "wanted")

    def __init__(self, fd: int, on_ready: OnReady) -> None:
        self.fd = fd
        self.on_ready = on_ready
        self.wanted = True


def read_chunk(recv: Callable[[int], bytes]) -> bytes | None:
    """What lies there, b"" at the end, None when there is nothing now."""
    try:
        return recv(CHUNK)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:  # reset by a peer that died: the same as its end
        return b""


def read_rest(recv: Callable[[int], bytes]) -> list[bytes]:
    """Everything that lies there, and the end."""
    chunks = []
    for _ in range(LAST_CHUNKS):
        chunk = read_chunk(recv)
        if not chunk:
            break
        chunks.append(chunk)
    return [*chunks, b""]


def _nothing() -> None:
    pass


def close_fd(fd: int) -> None:
    """Close a descriptor that may be closed already."""
    with contextlib.suppress(OSError):
        os.close(fd)
