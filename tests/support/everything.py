"""An actor that handles all there is, each in the plainest way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from actors import Actor, ActorRef, Fed, Message, Terminated, handles
from actors.messages import Topic


class Word(Message[str]):
    text: str = ""


class Tree(Message[list[Any]]):
    branches: list[Any]


class Feed(Fed[int, int]):
    pass


class Flow(Message[AsyncIterator[int]]):
    pass


class Blob(Message[bytes]):
    data: bytes = b""


class News(Message[None]):
    number: int = 0


class Meet(Message[ActorRef]):
    who: ActorRef | None = None


class Everyone(Message[int]):
    """Use every way out: what a life can say, it says."""

    other: str = "other"


NEWS = Topic("news", News)


class Everything(Actor):
    concurrency = 2

    async def on_start(self) -> None:
        self.context.subscribe(NEWS)

    @handles
    async def word(self, msg: Word) -> str:
        return msg.text

    @handles
    async def tree(self, msg: Tree) -> list[Any]:
        return msg.branches

    @handles
    async def feed(self, msg: Feed, items: AsyncIterator[int]) -> int:
        return sum([item async for item in items])

    @handles
    async def flow(self, msg: Flow) -> AsyncIterator[int]:
        for number in range(100):
            yield number

    @handles
    async def blob(self, msg: Blob) -> bytes:
        return msg.data

    @handles
    async def news(self, msg: News) -> None:
        """Take note."""

    @handles
    async def meet(self, msg: Meet) -> ActorRef:
        return msg.who or self.context.ref

    @handles
    async def terminated(self, msg: Terminated) -> None:
        """Take note."""

    @handles
    async def everyone(self, msg: Everyone) -> int:
        context = self.context
        other = context.actor(msg.other)
        context.log.info("word.said", number=1, text="x", none=None)
        context.publish(NEWS, News(1))
        context.watch(other)
        context.watch(context.actor("nobody"))
        other.tell_nowait(Word("a"))
        await other.tell(Word("b"))
        await other.tell(Word("c"), delay=0.001)
        total = len(await other.ask(Word("d")))
        total += len(await other.ask(Blob(bytes(2_000_000))))
        async for number in other.stream(Flow()):
            total += number
        return total


class Sync(Actor):
    """The same without a loop."""

    @handles
    def word(self, msg: Word) -> str:
        return msg.text

    @handles
    def feed(self, msg: Feed, items: Iterator[int]) -> int:
        return sum(items)
