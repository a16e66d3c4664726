"""Real processes for a test: started with spawn, and gone when the block is left."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from tests.support.deadline import DEADLINE

SPAWN = multiprocessing.get_context("spawn")


@contextlib.contextmanager
def running(target: Callable[..., None], *args: Any) -> Iterator[SpawnProcess]:
    """A spawned process, killed at the end if it still runs."""
    process = SPAWN.Process(target=target, args=args, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join(DEADLINE)
        assert process.exitcode is not None
        process.close()


def kill(process: SpawnProcess) -> None:
    """Kill -9, and wait until it is gone."""
    process.kill()
    process.join(DEADLINE)
    assert process.exitcode == -9


def open_descriptors() -> int:
    """How many descriptors this process has."""
    listing = Path("/proc/self/fd")
    return len(list(listing.iterdir())) if listing.exists() else 0
