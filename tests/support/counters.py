"""An actor that counts, fails and sleeps."""

from __future__ import annotations

from actors import Actor, Message, handles
from tests.support.taking_time import sleep_forever_async


class Add(Message[int]):
    n: int


class Fail(Message[None]):
    pass


class Sleep(Message[None]):
    pass


class Counter(Actor):
    total = 0

    @handles
    def add(self, msg: Add) -> int:
        self.total += msg.n
        return self.total

    @handles
    def fail(self, msg: Fail) -> None:
        raise ValueError("of the handler")

    @handles
    async def sleep(self, msg: Sleep) -> None:
        await sleep_forever_async()
