"""Letters: the dead letters of a daemon, kept in its memory to be looked at, sent again or dropped.

The last ones, as many as fit; those that a store keeps are there.

Runs on the loop's thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from actors.messages import Message
from actors.wire.codec import encode
from supervisor.observe.broadcast import Missed
from supervisor.observe.dead_letters import DeadLetter

MOST: Final = 1000  # letters
MOST_BYTES: Final = 16 * 2**20  # of all messages in them


class KeptLetter(msgspec.Struct, frozen=True):
    """A dead letter that is kept.

    Attributes:
        id: its number in this daemon, from 1.
        at: time.time() at which it became one.
        letter: what is known of it, without the message.
        data: the message as it travels; None when it is not known, or was too large to be kept.
    """

    id: int
    at: float
    letter: DeadLetter
    data: bytes | None


class Letters:
    """Listens to the dead letters of one tree.

    Attributes:
        lost: how many letters had no room.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._kept: dict[int, KeptLetter] = {}
        self._bytes = 0
        self._last = 0

    def put(self, letter: DeadLetter | Missed) -> None:
        """Keep a letter; the oldest ones go where there is no room."""
        if isinstance(letter, Missed):
            return
        self._last += 1
        data = _encoded(letter.message)
        self._kept[self._last] = KeptLetter(
            self._last, time.time(), msgspec.structs.replace(letter, message=None), data
        )
        self._bytes += len(data or b"")
        while len(self._kept) > MOST or self._bytes > MOST_BYTES:
            self.lost += 1
            self.take(next(iter(self._kept)))

    def end(self) -> None:
        """The tree has ended."""

    def __iter__(self) -> Iterator[KeptLetter]:
        return iter(tuple(self._kept.values()))

    def get(self, letter: int) -> KeptLetter | None:
        """The letter with a number, None when it is not kept."""
        return self._kept.get(letter)

    def take(self, letter: int) -> KeptLetter | None:
        """Remove a letter."""
        taken = self._kept.pop(letter, None)
        if taken is not None:
            self._bytes -= len(taken.data or b"")
        return taken


def _encoded(message: Message[Any] | None) -> bytes | None:
    if message is None:
        return None
    try:
        data = encode(message)
    except Exception:  # a codec of the user's
        return None
    return data if len(data) <= MOST_BYTES // 4 else None
