"""Interrupt: Ctrl-C and SIGTERM before anything is there that would have to be put away.

Python raises KeyboardInterrupt wherever it is just then: in the middle of an import, which shows a traceback or forgets
it, or between a coroutine and the loop that shall run it, which complains of the coroutine. The first process of a
container is not told of SIGTERM at all, as long as it has no handler.

Runs in the main thread of `actorctl`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


@contextmanager
def ends_at_once(*numbers: signal.Signals) -> Iterator[None]:
    """While inside, these signals end the program there and then, unless they are ignored or other code handles them.

    The exit code is 128 and the number of the signal, as in a shell.

    Args:
        numbers: of the signals.
    """
    before = {number: signal.getsignal(number) for number in numbers}
    ours = {number: handler for number, handler in before.items() if handler in _DEFAULTS}
    for number in ours:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - what `signal` passes
    os._exit(128 + number)
