"""Memory limit: how much memory this process and its children may use together.

It reads files and never waits. Runs on the loop's thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final

from supervisor.system.procfs import text_of

_MEMBERSHIP: Final = "/proc/self/cgroup"
_MOUNTED: Final = "/sys/fs/cgroup"


def memory_limit(
    membership: str | os.PathLike[str] = _MEMBERSHIP, mounted: str | os.PathLike[str] = _MOUNTED
) -> int | None:
    """Bytes of the machine, or of the daemon's control group where that has less; None where neither is known.

    Args:
        membership: the file that names the control groups of this process, of version 1 and 2.
        mounted: the folder at which control groups are mounted.
    """
    known = [*_limits(membership, os.fspath(mounted)), *_machine()]
    return min(known, default=None)


def _machine() -> Iterator[int]:
    with contextlib.suppress(ValueError, OSError):
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limits(membership: str | os.PathLike[str], mounted: str) -> Iterator[int]:
    """Of the control groups that the daemon is in, from its own up to the root."""
    for line in text_of(membership).splitlines():
        _, controllers, place = line.split(":", 2)
        root, name = (mounted, "memory.max") if not controllers else (f"{mounted}/memory", "memory.limit_in_bytes")
        if controllers not in ("", "memory"):
            continue
        inner = [part for part in place.split("/") if part]
        for depth in range(len(inner), -1, -1):
            words = text_of("/".join([root, *inner[:depth], name])).strip()
            if words.isdigit():
                yield int(words)
