"""An actor that holds a lock for as long as it lives: two lives at once would be seen."""

from __future__ import annotations

import fcntl
from pathlib import Path

from tests.support.bank import Bank


class LockedBank(Bank):
    """Takes the lock when it starts; the kernel gives it back when its process ends.

    A lock that is taken is noted: another life still runs.
    """

    def __init__(self, book: str, lock: str, taken: str) -> None:
        super().__init__(book)
        self._lock = Path(lock).open("a")  # noqa: SIM115 - held until the process ends
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with Path(taken).open("a") as file:
                file.write("a lock was taken\n")
            raise
