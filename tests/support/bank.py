"""An actor whose every step is on disk, so that a test can compare what was promised with what happened."""

from __future__ import annotations

import os
from typing import ClassVar

from actors import Actor, Message, handles
from tests.support.book import Book


class Pay(Message[int]):
    """Money: never to be begun twice."""

    sender: int
    number: int


class Note(Message[int]):
    """A note: may be taken again after a crash."""

    idempotent: ClassVar[bool] = True

    sender: int
    number: int


class Pid(Message[int]):
    """Who are you?"""

    idempotent: ClassVar[bool] = True


class Bank(Actor):
    """Writes a line when a message begins and one when it ends."""

    def __init__(self, book: str) -> None:
        self._book = Book(book)
        self._work = 0

    @handles
    def pay(self, message: Pay) -> int:
        return self._handle("pay", message.sender, message.number)

    @handles
    def note(self, message: Note) -> int:
        return self._handle("note", message.sender, message.number)

    @handles
    def pid(self, message: Pid) -> int:
        return os.getpid()

    def _handle(self, kind: str, sender: int, number: int) -> int:
        self._book.write("begin", kind, sender, number)
        for step in range(number % 7 * 300):  # from nothing to about 100 microseconds of work
            self._work += step
        self._book.write("end", kind, sender, number)
        return number
