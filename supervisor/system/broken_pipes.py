"""Broken pipes: SIGPIPE ends no daemon whose actors die while it writes to them.

Python ignores SIGPIPE, so that such a write is an error. A program may have given it its default action back, so that
`program | head` ends quietly, and an interpreter in another program may never have ignored it. It is ignored while a
tree lives, beneath what `signal.getsignal` shows, as only the main thread may change that.

Runs on the threads of loops.
"""

from __future__ import annotations

import signal
import threading
from typing import Final

from actors.lazy import LazyModule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from actors.process import libc
else:
    libc = LazyModule("actors.process.libc")

_trees: Final[set[object]] = set()
_changing: Final = threading.Lock()


def survive(tree: object) -> None:
    """This tree lives."""
    with _changing:
        _trees.add(tree)
        _set(signal.SIG_IGN)


def end(tree: object) -> None:
    """This tree lives no more. May be called twice."""
    with _changing:
        _trees.discard(tree)
        if not _trees:
            _set(signal.SIG_DFL)


def _set(action: signal.Handlers) -> None:
    """Let SIGPIPE do that where Python was told of its default action; every other action ends nobody."""
    if signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL:
        libc.call("signal", signal.SIGPIPE.value, action.value)
