"""What a worker of a pool does: its state is a global of its process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

total = 0


def add(number: int) -> int:
    """Runs in a worker."""
    global total  # noqa: PLW0603 - a stateless pool has no other place for it
    total += number
    return total


def pid(pause: float) -> int:
    """Which worker this is; a pause leaves other tasks of its kind to others."""
    time.sleep(pause)
    return os.getpid()


async def awaited(function: Callable[..., Any], *args: Any) -> Any:
    """A function as a coroutine, for pools that want one."""
    return function(*args)
