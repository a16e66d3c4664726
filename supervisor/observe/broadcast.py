"""Broadcast: one stream of happenings, any number of readers, none of whom can hold up the others.

A reader that is too slow loses the oldest and is told how many; the teller never waits.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final, Generic, TypeVar
from weakref import WeakSet

import msgspec

T = TypeVar("T")

BACKLOG: Final = 1000  # happenings a reader may be behind


class Missed(msgspec.Struct, frozen=True, tag=True):
    """In place of happenings that a reader was too slow for: how many."""

    count: int


class Broadcast(Generic[T]):
    """Where happenings are told; made and used on the loop's thread."""

    def __init__(self) -> None:
        self._readers: WeakSet[Reading[T]] = WeakSet()  # one that nobody holds any more reads nothing
        self._over = False

    def tell(self, happening: T) -> None:
        """Tell every reader; costs nothing when there is none."""
        for reader in self._readers:
            reader.put(happening)

    def close(self) -> None:
        """No more will happen: every reader ends after what it has."""
        self._over = True
        for reader in self._readers:
            reader.end()

    def read(self, backlog: int = BACKLOG) -> Reading[T]:
        """Everything told from now on, until the end."""
        reader: Reading[T] = Reading(backlog)
        if self._over:
            reader.end()
        else:
            self._readers.add(reader)
        return reader


class Reading(AsyncIterator[T | Missed]):
    """One reader's view: iterate over it with `async for`; leave it or `await aclose()` it to end."""

    def __init__(self, backlog: int) -> None:
        self._items: deque[T] = deque()
        self._backlog = backlog
        self._missed = 0
        self._over = False
        self._news = asyncio.Event()

    def put(self, item: T) -> None:
        """Something happened."""
        if self._over:
            return
        if len(self._items) >= self._backlog:
            self._items.popleft()
            self._missed += 1
        self._items.append(item)
        self._news.set()

    def end(self) -> None:
        """Nothing more will happen."""
        self._over = True
        self._news.set()

    async def aclose(self) -> None:
        """Read no more."""
        self._items.clear()
        self._missed = 0
        self.end()

    async def __anext__(self) -> T | Missed:
        while True:
            if self._missed:
                missed, self._missed = self._missed, 0
                return Missed(missed)
            if self._items:
                return self._items.popleft()
            if self._over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
