"""Feed: what all open pages see: the newest state, and the last events.

    watch ─ put, happened ─▶ feed ◀─ read, one cursor for each page

A page has no queue: it gets what is newest when it reads, so one that does not read costs one cursor.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import msgspec

KEPT: Final = 500  # events


class Part(NamedTuple):
    """One part of the state: what it is, and its JSON."""

    kind: str
    data: str


class Feed:
    """The state of one daemon, for any number of readers."""

    def __init__(self) -> None:
        self._version = 0
        self._newest: dict[str, tuple[int, str]] = {}  # JSON by kind
        self._events: deque[tuple[int, Any]] = deque(maxlen=KEPT)
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, kind: str, value: object) -> None:
        """Replace one part of the state."""
        data = _json(value)
        if self._newest.get(kind, (0, ""))[1] != data:
            self._newest[kind] = (self._next(), data)

    def happened(self, event: object) -> None:
        """Add an event."""
        self._events.append((self._next(), event))

    def close(self) -> None:
        """End all readers."""
        self._closed = True
        self._next()

    async def read(self) -> AsyncIterator[Part]:
        """The whole state, then what changes, until the feed is closed."""
        seen = 0
        while not self._closed:
            changed, now = self._changed, self._version
            for part in self._since(seen):
                yield part
            seen = now
            await changed.wait()

    def _since(self, seen: int) -> list[Part]:
        parts = [Part(kind, data) for kind, (version, data) in self._newest.items() if version > seen]
        events = [event for version, event in self._events if version > seen]
        return [*parts, Part("events", _json(events))] if events else parts

    def _next(self) -> int:
        self._version += 1
        self._changed.set()
        self._changed = asyncio.Event()
        return self._version


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
