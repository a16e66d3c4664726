"""Book: a file to which processes write lines until they are killed; afterwards it says how far they came."""

from __future__ import annotations

import os
from typing import Final

WIDTH: Final = 128  # bytes of every line, blanks at its end included


class Book:
    """A file whose lines are whole, whichever process is killed while it writes.

    The kernel copies a write page by page, and a kill may come between two of them: half a line would be left. Since
    all lines have the same width, which divides a page, none lies in two.
    """

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *words: object) -> None:
        """One line."""
        line = " ".join(map(str, words)).ljust(WIDTH - 1) + "\n"
        assert len(line.encode()) == WIDTH, line
        os.write(self._fd, line.encode())
