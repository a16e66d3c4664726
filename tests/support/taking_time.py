"""The load of tests: what never ends, and what takes its time. A test itself waits for events, see `waiting`."""

from __future__ import annotations

import time

FOREVER = 3600  # seconds; longer than any test


def sleep_forever() -> None:
    """Never end."""
    time.sleep(FOREVER)


async def sleep_forever_async() -> None:
    """Never end, while the loop does other things."""
    import asyncio  # noqa: PLC0415 - actors with sync handlers do without

    await asyncio.sleep(FOREVER)


def work(seconds: float) -> None:
    """Take so long."""
    time.sleep(seconds)
