"""Actors whose handlers take their time."""

from __future__ import annotations

import time
from pathlib import Path

from actors import Actor, Message, handles
from actors.lazy import LazyModule
from tests.support.deadline import DEADLINE

asyncio = LazyModule("asyncio")  # the processes of actors with sync handlers do without


class Crawl(Message[str]):
    seconds: float


class CrawlUntil(Message[str]):
    """Crawl until there is a file of that name."""

    gate: str


class Crawler(Actor):
    @handles
    def crawl(self, msg: Crawl) -> str:
        self.context.extend(DEADLINE) if msg.seconds < 0 else None
        time.sleep(abs(msg.seconds))
        return "there"

    @handles
    def crawl_until(self, msg: CrawlUntil) -> str:
        while not Path(msg.gate).exists():
            time.sleep(0.005)
        return "there"


class AsyncCrawler(Actor):
    @handles
    async def crawl_until(self, msg: CrawlUntil) -> str:
        while not Path(msg.gate).exists():  # noqa: ASYNC240 - its loop has nothing else to do
            await self.rest()
        return "there"

    async def rest(self) -> None:
        await asyncio.sleep(0.005)
