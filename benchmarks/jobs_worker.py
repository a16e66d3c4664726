"""What the processes of `benchmarks.jobs` run: one item, good or bad."""

from __future__ import annotations

import ctypes
import os
import signal
import time

from actors import job

DEEDS = ("segfault", "exit", "memory", "raise", "hang")


def deed_of(number: int, every: int) -> str:
    """What an item does: one in `every` is bad, each kind in turn; none is when `every` is 0."""
    if not every or number % every != every // 2:
        return "work"
    return DEEDS[number // every % len(DEEDS)]


def item(number: int, every: int, cost: float) -> int:
    """Work for `cost` seconds of processor time, or do something bad."""
    deed = deed_of(number, every)
    if deed == "segfault":
        ctypes.string_at(0)
    elif deed == "exit":
        os._exit(3)
    elif deed == "memory":
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when there is none left
    elif deed == "raise":
        raise ValueError(f"item {number} is bad")
    elif deed == "hang":
        time.sleep(3600)
    until = time.thread_time() + cost
    while time.thread_time() < until:
        pass
    return number


@job
def numbered(item_: tuple[int, int, float]) -> int:
    return item(*item_)


def plain(item_: tuple[int, int, float]) -> int:
    """The same for the others, as a function without a mark."""
    return item(*item_)
