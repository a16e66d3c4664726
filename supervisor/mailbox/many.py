"""Many: what waits for the ends of the messages of one `ask_many`.

    AskPart: of consecutive numbers ─┐
    AskSlot: of one message ─────────┴─▶ ManyAsker ─▶ one future, or one answer to an actor

Each message has its own end; they are given by index.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final, Protocol, cast

import msgspec

from actors.errors import ActorsError
from actors.protocol.protocol import Handler
from actors.wire.codec import ReplyCodec, decoder_of
from actors.wire.framing import Carried

_OPEN: Final = object()

ReadAll = Callable[[msgspec.Raw], list[Any]]


class ManyAsker(Protocol):
    """Waits for the ends of many messages."""

    def read_all(self, handlers: set[Handler]) -> ReadAll | None:
        """Reads an array of replies to messages of these handlers in one step; None where that is not possible."""

    def sent(self, index: int, first: int, count: int) -> None:
        """Messages are in the mailbox, under consecutive numbers."""

    def replied(self, index: int, payload: msgspec.Raw) -> None:
        """The reply to one of them.

        Raises:
            UndecodableMessage: the bytes are not of the promised type.
        """

    def replied_with(self, index: int, values: list[Any]) -> None:
        """The replies to this one and those that follow, as the part read them."""

    def replied_beside(self, index: int, attachment: Carried) -> None:
        """The reply to one of them as an attachment."""

    def failed(self, index: int, error: ActorsError) -> None:
        """One of them ended in another way."""


class AskSlot:
    """The asker of one message."""

    __slots__ = ("_asker", "_index")

    def __init__(self, asker: ManyAsker, index: int) -> None:
        self._asker = asker
        self._index = index

    def replied(self, payload: msgspec.Raw) -> None:
        """See `Asker`."""
        self._asker.replied(self._index, payload)

    def replied_beside(self, attachment: Carried) -> None:
        """See `Asker`."""
        self._asker.replied_beside(self._index, attachment)

    def failed(self, error: ActorsError) -> None:
        """See `Asker`."""
        self._asker.failed(self._index, error)


class AskPart:
    """The asker of messages with consecutive numbers; `at` gives that of one of them.

    Args:
        asker: of all.
        index: of the first.
        first: the number of the first.
        count: how many.
        read_all: decodes an array of their replies in one step; None where that is not possible.
    """

    __slots__ = ("_asker", "_end", "_index", "_read_all", "_whole", "first")

    def __init__(self, asker: ManyAsker, index: int, first: int, count: int, read_all: ReadAll | None) -> None:
        self.first = first
        self._asker = asker
        self._index = index
        self._end = first + count
        self._read_all = read_all
        self._whole = True  # whether each is still waited for, or has ended in order

    def covers(self, first: int, count: int) -> bool:
        """Whether these are all of this part, and waited for."""
        return self._whole and first + count <= self._end

    def at(self, seq: int) -> AskSlot:
        """The asker of one message, which is not waited for by the part any more."""
        self._whole = False
        return AskSlot(self._asker, self._index + seq - self.first)

    def read(self, replies: msgspec.Raw, count: int) -> list[Any] | None:
        """Decode an array of replies; None when each is to be looked at by itself."""
        if self._read_all is None:
            return None
        try:
            values = self._read_all(replies)
        except Exception:  # bytes that are not UTF-8, or an exception of a user's codec
            return None
        return values if len(values) == count else None

    def replied_with(self, first: int, values: list[Any]) -> None:
        """The replies to consecutive messages, as `read` gave them."""
        self._asker.replied_with(self._index + first - self.first, values)


class PendingAskMany:
    """A task of the daemon that awaits the replies of one `ask_many`.

    Args:
        readers: decode the replies, by index.

    Attributes:
        results: by index: a reply, or the error in its place.
        over: done when all have ended.
    """

    def __init__(self, readers: Sequence[Callable[[msgspec.Raw], Any]]) -> None:
        self.results: list[Any] = [_OPEN] * len(readers)
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._readers = readers
        self._left = len(readers)
        self._sent: list[tuple[int, int, int]] = []  # index, number and count of what was sent

    def read_all(self, handlers: set[Handler]) -> ReadAll | None:
        """See `ManyAsker`."""
        if len(handlers) != 1:
            return None
        codec: ReplyCodec = next(iter(handlers)).reply
        return None if codec.refers else _read_all(codec.promised)

    def sent(self, index: int, first: int, count: int) -> None:
        """See `ManyAsker`."""
        self._sent.append((index, first, count))

    def open(self) -> Iterator[tuple[int, int]]:
        """Index and number of each message that is in the mailbox and has not ended."""
        for index, first, count in self._sent:
            for step in range(count):
                if self.results[index + step] is _OPEN:
                    yield index + step, first + step

    def unsent(self) -> Iterator[int]:
        """The index of each message that has neither ended nor been sent."""
        sent = {index + step for index, _, count in self._sent for step in range(count)}
        return (index for index, result in enumerate(self.results) if result is _OPEN and index not in sent)

    def replied(self, index: int, payload: msgspec.Raw) -> None:
        """See `ManyAsker`."""
        self._end(index, self._readers[index](payload))

    def replied_with(self, index: int, values: list[Any]) -> None:
        """See `ManyAsker`."""
        self.results[index : index + len(values)] = values
        self._ended(len(values))

    def replied_beside(self, index: int, attachment: Carried) -> None:
        """See `ManyAsker`."""
        self._end(index, attachment.value)

    def failed(self, index: int, error: ActorsError) -> None:
        """See `ManyAsker`."""
        self._end(index, error)

    def _end(self, index: int, result: object) -> None:
        if self.results[index] is _OPEN:
            self.results[index] = result
            self._ended(1)

    def _ended(self, count: int) -> None:
        self._left -= count
        if not self._left and not self.over.done():
            self.over.set_result(None)


@cache
def _read_all(promised: Any) -> ReadAll:
    return cast("ReadAll", decoder_of(list[promised]).decode)
