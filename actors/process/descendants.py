"""Descendants: marks by which an actor's process and everything that descends from it can be found and ended.

A descendant inherits the marks by doing nothing; the process that bears them pays for one page of memory.

Runs in the actor's process, before anything of the actor's own.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from typing import Final

VARIABLE: Final = "ACTORS_FAMILY"  # in the environment: the marks of all families this process belongs to


def mark_descendants(mark: str) -> mmap.mmap | None:
    """Make this process the head of the family with that mark. What is returned must live as long as the process.

    Three marks, for three ways in which a descendant may come to be:

    * a session of its own: whoever does not leave it is ended with one signal to the group, and the terminal's Ctrl-C,
      Ctrl-Z and hang-up do not reach it;
    * a variable in the environment, for what is executed by another program, even in a session of its own;
    * a mapped page whose name is the mark, for what is only forked, even in a session of its own.
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
