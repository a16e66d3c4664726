"""A worker of the table as a real process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from actors import Actor, Message, handles


class End(Message[None]):
    """End your own life."""

    how: str


class Member(Actor):
    """Starts or fails to, and ends as it is told. How often it was started is the length of its book."""

    def __init__(self, book: str, fails: tuple[int | str, ...]) -> None:
        self._book = Path(book)
        self._fails = fails

    def on_start(self) -> None:
        with self._book.open("ab") as book:
            book.write(b".")
            start = book.tell()
        if start in self._fails or any(isinstance(nth, str) and start >= int(nth[:-1]) for nth in self._fails):
            raise OSError("this start fails")

    @handles
    def end(self, message: End) -> None:
        if message.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if message.how == "crash":
            raise RuntimeError("told to crash")
        self.context.stop()
