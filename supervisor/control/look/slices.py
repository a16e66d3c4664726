"""Slices: long work on the loop in short slices, so that a large tree holds up no message.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import Final, TypeVar

T = TypeVar("T")

SLICE: Final = 0.001  # seconds of work in one turn of the loop


async def in_slices(steps: Generator[None, None, T]) -> T:
    """Take all steps, a few in each turn of the loop; returns what the generator returns."""
    began = time.perf_counter()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if time.perf_counter() - began > SLICE:
            await asyncio.sleep(0)
            began = time.perf_counter()
