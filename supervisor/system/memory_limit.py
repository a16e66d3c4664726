"""Memory limit: how much memory this process and its children may use together.

It reads files and never waits. Runs on the loop's thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MEMBERSHIP: Final = Path("/proc/self/cgroup")
_MOUNTED: Final = Path("/sys/fs/cgroup")


def memory_limit(membership: Path = _MEMBERSHIP, mounted: Path = _MOUNTED) -> int | None:
    """Bytes of the machine, or of the daemon's control group where that has less; None where neither is known.

    Args:
        membership: the file that names the control groups of this process, of version 1 and 2.
        mounted: the folder at which control groups are mounted.
    """
    known = [*_limits(membership, mounted), *_machine()]
    return min(known, default=None)


def _machine() -> Iterator[int]:
    with contextlib.suppress(ValueError, OSError):
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limits(membership: Path, mounted: Path) -> Iterator[int]:
    """Of the control groups that the daemon is in, from its own up to the root."""
    for line in _read(membership).splitlines():
        _, controllers, place = line.split(":", 2)
        root, name = (mounted, "memory.max") if not controllers else (mounted / "memory", "memory.limit_in_bytes")
        if controllers not in ("", "memory"):
            continue
        group = root / place.lstrip("/")
        for folder in (group, *group.parents):
            words = _read(folder / name).strip()
            if words.isdigit():
                yield int(words)
            if folder == root:
                break


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
