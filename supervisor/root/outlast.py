"""Outlast: to wait through cancellations, for a stop that has to be finished.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Final

KILL_PATIENCE: Final = 5.0  # seconds that a cancelled stop still waits for the ends of what it has killed


async def outlast(
    wait: Callable[[], Awaitable[object]],
    cancelled: asyncio.CancelledError | None,
    on_cancelled: Callable[[], None] = lambda: None,
) -> asyncio.CancelledError | None:
    """Wait, also through cancellations; at most KILL_PATIENCE seconds after the last one.

    Args:
        wait: what is waited for, begun anew after each cancellation.
        cancelled: the cancellation so far.
        on_cancelled: called at each.

    Returns:
        The last cancellation, None when there was none.
    """
    while True:
        try:
            async with nullcontext() if cancelled is None else asyncio.timeout(KILL_PATIENCE):
                await wait()
        except TimeoutError:
            return cancelled
        except asyncio.CancelledError as error:
            cancelled = error
            on_cancelled()
        else:
            return cancelled
