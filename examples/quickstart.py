"""Your first actor: ask it, lose its process, ask again.

What appears on standard error is the supervisor's log: what ended, why, and what happens next.
"""

import asyncio
import os

from actors import Actor, ActorCrashed, Message, handles
from supervisor import ChildSpec, Supervisor


class Add(Message[int]):  # a message, and the type of its reply
    amount: int


class Counter(Actor):  # runs in a process of its own
    total = 0

    @handles
    def add(self, msg: Add) -> int:
        if msg.amount < 0:
            os.abort()  # a segfault, a kill -9, out of memory: the same to the daemon
        self.total += msg.amount
        return self.total


async def main() -> None:
    async with Supervisor(ChildSpec(Counter)) as root:
        counter = root["counter"]  # stays valid, whatever happens to the process
        print("the total is", await counter.ask(Add(5)))
        try:
            await counter.ask(Add(-1))
        except ActorCrashed as crash:
            print("survived:", crash)
        print("a new life counts from zero:", await counter.ask(Add(1)))


if __name__ == "__main__":
    asyncio.run(main())
