"""What runs in casty's processes: a node that is a cluster by itself, and an actor that adds numbers up."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass

from casty import ActorSystem, Askable, Cluster, Context, Limits, actor

LIMITS = Limits(message=96 * 1024 * 1024)  # bytes; of both sides, for the large payloads


@dataclass(frozen=True)
class Add(Askable[int]):
    number: int


@dataclass(frozen=True)
class Take(Askable[int]):
    payload: bytes


@dataclass(frozen=True)
class Echo(Askable[bytes]):
    payload: bytes


@dataclass(frozen=True)
class Pid(Askable[int]):
    pass


@actor(initial=0)
async def adder(ctx: Context[int, Add | Take | Echo | Pid]) -> None:
    """Its total is a plain variable, as with the others: a state of casty's would be replicated at each step."""
    total = 0
    async for message in ctx.inbox:
        match message:
            case Add(number):
                total += number
                message.reply_to.tell(total)
            case Take(payload):
                message.reply_to.tell(len(payload))
            case Echo(payload):
                message.reply_to.tell(payload)
            case Pid():
                message.reply_to.tell(os.getpid())


async def serve(address: str) -> None:
    """Until the end of its input."""
    async with ActorSystem(cluster=Cluster(bind=address, limits=LIMITS)):
        sys.stdout.write("it listens\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    asyncio.run(serve(sys.argv[1]))
