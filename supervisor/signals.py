"""Signals: SIGTERM and SIGINT ask to stop, a second one kills.

Law: only while serving, only in the main thread; the handlers that were there before are put back.
May import: nothing of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import chain, repeat
from typing import Final

STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


@asynccontextmanager
async def until_signalled(stop: Callable[[], None], kill: Callable[[], None]) -> AsyncIterator[None]:
    """While inside, the first signal calls `stop` and every further one `kill`, on the loop's thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    deeds = chain([stop], repeat(kill))

    def signalled() -> None:
        next(deeds)()

    before = {number: signal.getsignal(number) for number in STOPPING}
    for number in STOPPING:
        loop.add_signal_handler(number, signalled)
    try:
        yield
    finally:
        for number in STOPPING:
            loop.remove_signal_handler(number)
            with contextlib.suppress(TypeError, ValueError):  # set by something other than Python
                signal.signal(number, before[number])
