"""Threads that do something all the time, so often in turn that what is right only by chance fails soon."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

THREADS = 3


@contextmanager
def meanwhile(deed: Callable[[str], object]) -> Iterator[None]:
    """While inside, threads call it again and again, each time with another name; it has begun in each."""
    over = threading.Event()
    begun = threading.Barrier(THREADS + 1)

    def run(thread: int) -> None:
        deed(f"thread_{thread}_first")
        begun.wait()
        number = 0
        while not over.is_set():
            deed(f"thread_{thread}_{number % 50}")
            number += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        begun.wait()
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(before)
