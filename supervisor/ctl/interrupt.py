"""Interrupt: Ctrl-C before anything is there that would have to be put away.

Python raises KeyboardInterrupt wherever it is just then: in the middle of an import, which shows a traceback or forgets
it, or between a coroutine and the loop that shall run it, which complains of the coroutine.

Runs in the main thread of `actorctl`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from supervisor.ctl.errors import ExitCode


@contextmanager
def ends_at_once() -> Iterator[None]:
    """While inside, Ctrl-C ends the program there and then, unless it is ignored or other code handles it."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - what `signal` passes
    os._exit(ExitCode.INTERRUPTED)
