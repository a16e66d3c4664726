"""Askers: what waits for the end of a message: a pending ask, stream or feed.

An asker gets exactly one end. A reader is never flooded, and a feeder never ahead of what the other side takes; both
are counted in items.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import msgspec

from actors.errors import ActorsError, UsageError, WireError
from actors.ref import STREAM_CREDIT, ActorRef, credit_of
from actors.wire.attachments import arrived, encode_sharing
from actors.wire.codec import RESOLVE, ReplyCodec
from actors.wire.framing import Carried

T = TypeVar("T")

_OVER: Final = object()


class Asker(Protocol):
    """Waits for the end of one message."""

    def replied(self, payload: msgspec.Raw) -> None:
        """The handler's reply. Its values in shared memory are those of `actors.wire.attachments.arrived` meanwhile.

        Raises:
            UndecodableMessage: the bytes are not of the promised type.
        """

    def replied_beside(self, attachment: Carried) -> None:
        """The handler's reply as an attachment; the promised type is bytes."""

    def failed(self, error: ActorsError) -> None:
        """The message ended in another way."""


class StreamSink(Asker, Protocol):
    """Who reads the items of a stream."""

    def item(self, payload: msgspec.Raw) -> None:
        """One item of a stream, which continues.

        Raises:
            WireError: there is no credit for it, or it does not have the promised type.
        """

    def broken(self, error: ActorsError) -> None:
        """An item was lost: the stream ends."""


class FeedSource(Asker, Protocol):
    """Who sends the items that follow a message."""

    def wants(self, count: int) -> None:
        """The handler takes more of the items that follow the message.

        Raises:
            WireError: more than one window at once.
        """


class PendingAsk(msgspec.Struct):
    """A task of the daemon that awaits a reply.

    Attributes:
        future: what the task awaits.
        read: decodes the reply.
        path: path of the actor.
        name: name of the message's class.
        timeout: seconds it waits at most.
        deadline: when that is over, on the mailbox's clock.
        seq: the number of its message.
        since: since when it waits, on that clock; 0 where it waits for ever.
    """

    future: asyncio.Future[Any]
    read: Callable[[msgspec.Raw], Any]
    path: str
    name: str
    timeout: float | None
    deadline: float | None
    seq: int = 0
    since: float = 0.0

    def replied(self, payload: msgspec.Raw) -> None:
        """See `Asker`."""
        if not self.future.done():
            self.future.set_result(self.read(payload))

    def replied_beside(self, attachment: Carried) -> None:
        """See `Asker`."""
        if not self.future.done():
            self.future.set_result(attachment.value)

    def failed(self, error: ActorsError) -> None:
        """See `Asker`."""
        if not self.future.done():
            self.future.set_exception(error)


def pending_ask(  # noqa: PLR0917 - called for each ask
    future: asyncio.Future[Any],
    read: Callable[[msgspec.Raw], Any],
    path: str,
    name: str,
    timeout: float | None,
    clock: Callable[[], float],
) -> PendingAsk:
    """An ask whose time runs from now on; arguments as in `PendingAsk`."""
    if timeout is None:
        return PendingAsk(future, read, path, name, None, None)
    since = clock()
    return PendingAsk(future, read, path, name, timeout, since + timeout, 0, since)


class PendingStream:
    """A task of the daemon that reads a stream.

    Args:
        decode: decodes an item.
        credit: lets the actor send more items.
    """

    def __init__(self, decode: Callable[[msgspec.Raw], Any], credit: Callable[[int], None]) -> None:
        self._decode = decode
        self._credit = credit
        self._arrived: deque[Any] = deque()
        self._news = asyncio.Event()
        self._taken = 0

    def item(self, payload: msgspec.Raw) -> None:
        """See `Asker`."""
        if len(self._arrived) >= STREAM_CREDIT:
            raise WireError(f"it is more than {STREAM_CREDIT} items ahead of the reader of its stream")
        self._arrived.append(_Item(self._decode(payload), arrived()))
        self._news.set()

    def replied(self, payload: msgspec.Raw) -> None:
        """The generator has ended."""
        del payload
        self._arrived.append(_OVER)
        self._news.set()

    def replied_beside(self, attachment: Carried) -> None:
        """The end of a stream has no value."""

    def failed(self, error: ActorsError) -> None:
        """See `Asker`; the items that arrived come first."""
        self._arrived.append(_Failure(error))
        self._news.set()

    def broken(self, error: ActorsError) -> None:
        """See `StreamSink`; its reader withdraws it."""
        self.failed(error)

    async def read(self, timeout: float | None) -> AsyncGenerator[Any, None]:
        """The items, each within `timeout` seconds.

        Raises:
            TimeoutError: the next one did not come in time.
        """
        while True:
            while not self._arrived:
                self._news.clear()
                async with asyncio.timeout(timeout):
                    await self._news.wait()
            item = self._arrived.popleft()
            if item is _OVER:
                return
            if isinstance(item, _Failure):
                raise item.error
            value, credit = item.value, credit_of(item.counted)
            del item
            yield value
            self._taken += credit
            if self._taken >= STREAM_CREDIT // 2:
                self._credit(self._taken)
                self._taken = 0


class _Item(NamedTuple):
    value: Any
    counted: Sequence[Carried]  # its values in shared memory, until the reader has them


class _Failure:
    def __init__(self, error: ActorsError) -> None:
        self.error = error


class PendingFeed:
    """A task of the daemon that feeds a handler and awaits its reply.

    Args:
        decode: of the reply.
        follows: what the items follow, for the error of one that cannot be sent.
    """

    def __init__(self, decode: Callable[[msgspec.Raw], Any], follows: str) -> None:
        self._follows = follows
        self.reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._decode = decode
        self._wanted = 0
        self._news = asyncio.Event()

    def replied(self, payload: msgspec.Raw) -> None:
        """See `Asker`."""
        if not self.reply.done():
            self.reply.set_result(self._decode(payload))

    def replied_beside(self, attachment: Carried) -> None:
        """See `Asker`."""
        if not self.reply.done():
            self.reply.set_result(attachment.value)

    def failed(self, error: ActorsError) -> None:
        """See `Asker`."""
        if not self.reply.done():
            self.reply.set_exception(error)

    def wants(self, count: int) -> None:
        """The handler takes more items."""
        self._wanted += count
        if self._wanted > STREAM_CREDIT:
            raise WireError(f"it wants {self._wanted} items of a feed at once, the most is {STREAM_CREDIT}")
        self._news.set()

    async def feed(
        self,
        items: AsyncIterable[T] | Iterable[T],
        codec: ReplyCodec,
        send: Callable[[list[bytes], Sequence[Carried], bool], None],
    ) -> None:
        """Send the items as they are wanted, then their end.

        Raises:
            UsageError: an item has the wrong type.
        """
        async for item in as_async(items):
            try:
                data, attachments = encode_sharing(item, codec.encode) if codec.shares else (codec.encode(item), ())
            except UsageError as error:
                raise UsageError(f"an item of the feed cannot be sent: {error}; it follows {self._follows}") from None
            while self._wanted <= 0:
                self._news.clear()
                await self._news.wait()
            self._wanted -= credit_of(attachments)
            send([data], attachments, False)
        while self._wanted <= 0:  # before it has begun there is no life to send to
            self._news.clear()
            await self._news.wait()
        send([], (), True)


def reader(codec: ReplyCodec, resolve: Callable[[str], ActorRef]) -> Callable[[msgspec.Raw], Any]:
    """A decoder of replies; refs in them are bound by `resolve`."""
    return partial(decode_bound, resolve, codec.read) if codec.refers else codec.read


def decode_bound(resolve: Callable[[str], ActorRef], decode: Callable[[msgspec.Raw], T], data: msgspec.Raw) -> T:
    """Decode bytes of an actor; refs in them are bound by `resolve`."""
    token = RESOLVE.set(resolve)
    try:
        return decode(data)
    finally:
        RESOLVE.reset(token)


async def as_async(items: AsyncIterable[T] | Iterable[T]) -> AsyncIterator[T]:
    """Iterate over items of either kind."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
