"""Chaos: kill -9 to a random actor, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal

from examples.codesearch.chronicle import Chronicle


async def chaos(chronicle: Chronicle, period: float) -> None:
    """Kill an actor every `period` seconds. Runs as a task until it is cancelled."""
    while True:
        await asyncio.sleep(period)
        if chronicle.alive and (pid := chronicle.condemn(random.choice(list(chronicle.alive)))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
