"""Actors that hang in their start, each after it has created a file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Generator
from pathlib import Path
from typing import Any

from actors import Actor
from tests.support.taking_time import FOREVER


class LateSync(Actor):
    def __init__(self, begun: str) -> None:
        self.begun = Path(begun)

    def on_start(self) -> None:
        self.connect()

    def connect(self) -> None:
        self.begun.touch()
        time.sleep(FOREVER)


class Later:
    """What is awaited here is the wrapper that a coroutine has for it."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, None]:
        return self.coroutine.__await__()


class LateAsync(Actor):
    """Its on_start awaits an async generator, and that a coroutine through a wrapper."""

    def __init__(self, begun: str) -> None:
        self.begun = Path(begun)

    async def on_start(self) -> None:
        async for _ in self.rows():
            pass

    async def rows(self) -> AsyncIterator[int]:
        yield 1
        await Later(self.connect())

    async def connect(self) -> None:
        asyncio.get_running_loop().call_soon(self.begun.touch)  # once it sleeps
        await asyncio.sleep(FOREVER)
