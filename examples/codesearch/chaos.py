"""Chaos: kill -9 to a random actor, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal

from examples.codesearch.chronicle import Chronicle


async def chaos(chronicle: Chronicle, period: float) -> None:
    """Kill an actor of this machine every `period` seconds, one at a time. Runs as a task until it is cancelled."""
    while True:
        await asyncio.sleep(period)
        await chronicle.everybody_back()  # on a machine too busy to bring them back, more kills would prove nothing
        if pid := chronicle.condemn(random.choice(chronicle.here())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
