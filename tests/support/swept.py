"""Actors of the sweep: each keeps a book of the tells it has handled, which outlives its process."""

from __future__ import annotations

from typing import ClassVar

from actors import Actor, ExitReason, Message, handles
from tests.support.book import Book
from tests.support.taking_time import sleep_forever


class Count(Message[None]):
    """A tell, to be handled once."""

    number: int
    ballast: bytes = b""


class Echo(Message[bytes]):
    """Send it back."""

    idempotent: ClassVar[bool] = True
    ballast: bytes = b""


class Counting(Actor):
    """Writes the number of each tell into a book.

    Args:
        book: a file.
    """

    def __init__(self, book: str) -> None:
        self._book = Book(book)

    @handles
    def count(self, msg: Count) -> None:
        self._book.write(msg.number)

    @handles
    def echo(self, msg: Echo) -> bytes:
        return msg.ballast


class Stubborn(Counting):
    """Does not stop when it is asked to."""

    def on_stop(self, reason: ExitReason) -> None:
        sleep_forever()


def work() -> None:
    """A function that goes on."""
    sleep_forever()
