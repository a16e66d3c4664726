"""Broadcast: one stream of events, any number of readers, none of whom can delay the others.

A reader that is too slow loses the oldest events and gets their number. `tell` never waits.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, Generic, Protocol, TypeVar
from weakref import ref

import msgspec

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

BACKLOG: Final = 1000  # events a reader may be behind


class Missed(msgspec.Struct, frozen=True, tag=True):
    """In place of events for which a reader was too slow.

    Attributes:
        count: how many are missing here.
    """

    count: int


class Listener(Protocol[T_contra]):
    """Gets each event at once, as it happens."""

    def put(self, item: T_contra, /) -> None:
        """An event."""

    def end(self) -> None:
        """There are no more."""


class Broadcast(Generic[T]):
    """Distributes events to its readers; made and used on the loop's thread.

    Attributes:
        readers: who gets the events; those that are abandoned get nothing.
    """

    def __init__(self) -> None:
        self.readers: list[ref[Listener[T]]] = []
        self._over = False

    def tell(self, happening: T) -> None:
        """Give the event to every reader."""
        for reader in self._all():
            reader.put(happening)

    def follow(self, listener: Listener[T]) -> None:
        """Give all events from now on to a listener, for as long as that is kept elsewhere."""
        self.readers.append(ref(listener, self.readers.remove))

    def close(self) -> None:
        """End the stream: every reader ends after the events it already has."""
        self._over = True
        for reader in self._all():
            reader.end()

    def read(self, backlog: int = BACKLOG, *, check: Callable[[], None] = lambda: None) -> Reading[T]:
        """A reader of all events from now on; `check` as of `Reading`."""
        reader: Reading[T] = Reading(backlog, check)
        if self._over:
            reader.end()
        else:
            self.follow(reader)
        return reader

    def _all(self) -> list[Listener[T]]:
        known = tuple(self.readers)  # at once: the garbage collector may take one away meanwhile
        return [reader for one in known if (reader := one()) is not None]


class Reading(AsyncIterator[T | Missed]):
    """One reader's view: iterate over it with `async for`; leave it or `await aclose()` it to end.

    Args:
        backlog: how many events it may be behind.
        check: called before each event; raises where this is not the loop of the tree, which could not wake a reader.
    """

    def __init__(self, backlog: int, check: Callable[[], None]) -> None:
        self._check = check
        self._items: deque[T] = deque()
        self._backlog = backlog
        self._missed = 0
        self._over = False
        self._news = asyncio.Event()

    def put(self, item: T) -> None:
        """Add an event."""
        if self._over:
            return
        if len(self._items) >= self._backlog:
            self._items.popleft()
            self._missed += 1
        self._items.append(item)
        self._news.set()

    def end(self) -> None:
        """End after the events already added."""
        self._over = True
        self._news.set()

    async def aclose(self) -> None:
        """Stop reading."""
        self._items.clear()
        self._missed = 0
        self.end()

    async def __anext__(self) -> T | Missed:
        self._check()
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
