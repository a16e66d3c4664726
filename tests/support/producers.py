"""An actor that sends faster than another one handles."""

from __future__ import annotations

import os
import time

from actors import Actor, Message, handles

SLOW = 0.01  # seconds that the receiver takes for one; making one takes a hundredth of it


PAYLOAD = b"x" * 65536


class Load(Message[None]):
    data: bytes


class Produce(Message[int]):
    """Tell a consumer as fast as it goes, for so many seconds."""

    to: str
    seconds: float


class Pid(Message[int]):
    pass


class Consumer(Actor):
    @handles
    def load(self, msg: Load) -> None:
        time.sleep(SLOW)  # the load itself

    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()


class Producer(Actor):
    concurrency = 2

    @handles
    async def produce(self, msg: Produce) -> int:
        over, told = time.monotonic() + msg.seconds, 0
        while time.monotonic() < over:
            await self.context.actor(msg.to).tell(Load(PAYLOAD))
            told += 1
        return told

    @handles
    async def pid(self, msg: Pid) -> int:
        return os.getpid()
