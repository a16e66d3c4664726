"""Messages whose decoding ends the process, or raises, and who takes them."""

from __future__ import annotations

import os
import signal
from typing import ClassVar

from actors import Actor, Message, handles

DAEMON = os.environ.setdefault("TEST_DECODING_DAEMON", str(os.getpid()))


class Note(Message[int]):
    number: int
    deadly: bool = False

    def __post_init__(self) -> None:
        if self.deadly and str(os.getpid()) != DAEMON:
            os.kill(os.getpid(), signal.SIGKILL)  # as a fault in the C code of a codec


class Again(Note):
    """May be begun again."""

    idempotent: ClassVar[bool] = True


class Unreadable(Message[int]):
    def __post_init__(self) -> None:
        if str(os.getpid()) != DAEMON:
            raise ValueError("no file \udcff")  # as of a name that is no UTF-8


class Taker(Actor):
    @handles
    def unreadable(self, msg: Unreadable) -> int:
        return 0

    @handles
    def note(self, msg: Note) -> int:
        return msg.number

    @handles
    def again(self, msg: Again) -> int:
        return msg.number


class AsyncTaker(Actor):
    @handles
    async def unreadable(self, msg: Unreadable) -> int:
        return 0

    @handles
    async def note(self, msg: Note) -> int:
        return msg.number

    @handles
    async def again(self, msg: Again) -> int:
        return msg.number
