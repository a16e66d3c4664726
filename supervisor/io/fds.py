"""Descriptors: reading helpers that both readers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

CHUNK: Final = 64 * 1024  # bytes per read: below malloc's mmap threshold, above what a pipe-sized burst holds
LAST_CHUNKS: Final = 64  # reads of what is left in a channel whose process is gone: many times what the kernel holds
OnChunk = Callable[[bytes], None]
OnReady = Callable[[], None]


def read_chunk(recv: Callable[[int], bytes]) -> bytes | None:
    """The available bytes, b"" at the end, None when there are none now."""
    try:
        return recv(CHUNK)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:  # reset by a peer that died: the same as end of file
        return b""


def read_rest(recv: Callable[[int], bytes]) -> list[bytes]:
    """All available bytes, LAST_CHUNKS chunks at most."""
    chunks = []
    for _ in range(LAST_CHUNKS):
        chunk = read_chunk(recv)
        if not chunk:
            break
        chunks.append(chunk)
    return chunks
