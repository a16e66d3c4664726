"""Descendants: marks by which an actor's process and all its descendants can be found and ended.

Descendants inherit the marks without doing anything. They cost the process one page of memory.

Runs in the actor's process, before any of the actor's own code.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from typing import Final

VARIABLE: Final = "ACTORS_FAMILY"  # environment variable: the marks of all actors this process descends from


def mark_descendants(mark: str) -> mmap.mmap | None:
    """Mark this process and its future descendants. Keep what is returned as long as the process lives.

    Three marks, for three ways in which a descendant may come to be:

    * a session of its own: members are ended with one signal to the process group, and the terminal's Ctrl-C, Ctrl-Z
    and hang-up do not reach them;
    * an environment variable: finds descendants that execute another program, even in a session of their own;
    * a mapped page named after the mark: finds descendants that only fork, even in a session of their own.
    """
    with contextlib.suppress(PermissionError):  # it leads a group already
        os.setsid()
    os.environ[VARIABLE] = f"{os.environ.get(VARIABLE, '')} {mark}".lstrip()
    if not hasattr(os, "memfd_create"):
        return None
    fd = os.memfd_create(f"actors-family-{mark}", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, mmap.PAGESIZE)
        return mmap.mmap(fd, mmap.PAGESIZE)
    finally:
        os.close(fd)
