"""Refused: what to do where the system refuses a part of a tree that is being entered."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_DESCRIPTORS: Final = "raise the daemon's limit of open files (ulimit -n, LimitNOFILE=)"
_THREADS: Final = "raise the daemon's limit of threads and processes (ulimit -u, TasksMax=)"
_REMEDIES: Final = {
    errno.EMFILE: _DESCRIPTORS,
    errno.ENFILE: "the machine has no open file left (fs.file-max)",
    errno.ENOMEM: "the system has no memory left for it",
    errno.EAGAIN: _THREADS,
}


@contextmanager
def told_if_refused(path: str) -> Iterator[None]:
    """What the system refuses gets a note: what has become of the tree, and what to do where that is known."""
    try:
        yield
    except OSError as error:
        error.add_note(_note(path, _REMEDIES.get(error.errno or 0)))
        raise
    except RuntimeError as error:  # as Python says it: can't start new thread
        error.add_note(_note(path, _THREADS if "thread" in str(error) else None))
        raise


def _note(path: str, remedy: str | None) -> str:
    done = f"{path} was not entered, and nothing of it was started"
    return f"{done}: {remedy}" if remedy else done
