"""Broadcast: one stream of happenings, any number of readers, none of whom can hold up the others.

Law: a reader that is too slow loses the oldest and is told how many; the teller never waits.
May import: nothing of ours.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final, Generic, TypeVar

import msgspec

T = TypeVar("T")

BACKLOG: Final = 1000  # happenings a reader may be behind


class Missed(msgspec.Struct, frozen=True, tag=True):
    """In place of happenings that a reader was too slow for: how many."""

    count: int


class Broadcast(Generic[T]):
    """Where happenings are told; made and used on the loop's thread."""

    def __init__(self) -> None:
        self._readers: set[_Reader[T]] = set()
        self._over = False

    def tell(self, happening: T) -> None:
        """Tell every reader; costs nothing when there is none."""
        for reader in self._readers:
            reader.put(happening)

    def close(self) -> None:
        """No more will happen: every reader ends after what it has."""
        self._over = True
        for reader in self._readers:
            reader.wake()

    def read(self, backlog: int = BACKLOG) -> AsyncIterator[T | Missed]:
        """Everything told from now on, until the end."""
        reader: _Reader[T] = _Reader(backlog)
        if not self._over:
            self._readers.add(reader)
        return self._read(reader)

    async def _read(self, reader: _Reader[T]) -> AsyncIterator[T | Missed]:
        try:
            while True:
                while (item := reader.take()) is not None:
                    yield item
                if self._over:
                    return
                await reader.wait()
        finally:
            self._readers.discard(reader)


class _Reader(Generic[T]):
    def __init__(self, backlog: int) -> None:
        self._items: deque[T] = deque()
        self._backlog = backlog
        self._missed = 0
        self._news = asyncio.Event()

    def put(self, item: T) -> None:
        if len(self._items) >= self._backlog:
            self._items.popleft()
            self._missed += 1
        self._items.append(item)
        self._news.set()

    def take(self) -> T | Missed | None:
        if self._missed:
            missed, self._missed = self._missed, 0
            return Missed(missed)
        return self._items.popleft() if self._items else None

    def wake(self) -> None:
        self._news.set()

    async def wait(self) -> None:
        self._news.clear()
        await self._news.wait()
