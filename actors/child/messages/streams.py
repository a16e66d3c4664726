"""Streams: credit and items of the running messages that stream or are fed.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from actors.child.messages.outbox import Outbox
from actors.ref import STREAM_CREDIT, credit_of
from actors.wire import kinds
from actors.wire.attachments import decode_sharing
from actors.wire.codec import ReplyCodec, encode
from actors.wire.framing import Carried
from actors.wire.to_child import Credit, Items

FedItem = tuple[msgspec.Raw, Sequence[Carried]]

_WHY_ENDED: Final = {kinds.CANCELLED: "its sender has ended it", kinds.STOPPED: "the actor is asked to stop"}


def decoded_item(codec: ReplyCodec, item: FedItem) -> Any:
    """An item of a feed.

    Raises:
        UndecodableMessage: it does not have the promised type.
    """
    payload, attachments = item
    return decode_sharing(codec.decode, payload, attachments) if attachments else codec.decode(payload)


class FlowEnded(Exception):
    """A stream or a feed is ended early. The loop over a feed's items raises it in a sync handler."""

    def __init__(self, kind: int) -> None:
        super().__init__(_WHY_ENDED[kind])
        self.kind = kind


class Streams:
    """The streams and feeds of one life.

    Args:
        outbox: where items leave.

    Attributes:
        on_news: called with the message that has new credit or items.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.on_news: Callable[[int], None]
        self._outbox = outbox
        self._credits: dict[int, int] = {}  # of running streams: items their readers still take
        self._items: dict[int, deque[FedItem | None]] = {}  # of running feeds; None is the end

    def grant(self, credit: Credit) -> None:
        """The reader of a stream takes more items; without effect once the stream has ended."""
        if credit.seq in self._credits:
            self._credits[credit.seq] += credit.count
            self.on_news(credit.seq)

    def follow(self, items: Items, attachments: Sequence[Carried]) -> None:
        """Items arrived for a running message; without effect once it has ended. Attachments come with one item."""
        waiting = self._items.get(items.seq)
        if waiting is not None:
            waiting.extend((item, attachments) for item in items.items)
            if items.over:
                waiting.append(None)
            self.on_news(items.seq)

    def open_stream(self, seq: int) -> None:
        """A generator begins, with this much credit."""
        self._credits[seq] = STREAM_CREDIT

    def has_credit(self, seq: int) -> bool:
        """Whether the reader takes one more item."""
        return self._credits[seq] > 0

    def put_item(self, seq: int, payload: bytes, attachments: tuple[Carried, ...]) -> None:
        """Send an item at once: the next one may take long."""
        self._credits[seq] -= credit_of(attachments)
        self._outbox.item(seq, kinds.SHARED_ITEM if attachments else kinds.ITEM, msgspec.Raw(payload), attachments)

    def open_feed(self, seq: int) -> None:
        """A handler of a fed message begins: the items may come."""
        self._items[seq] = deque()
        self.want(seq, STREAM_CREDIT)

    def want(self, seq: int, count: int) -> None:
        """Let the sender send more items."""
        self._outbox.item(seq, kinds.WANT, msgspec.Raw(encode(count)))

    def arrived(self, seq: int) -> deque[FedItem | None]:
        """The items of a feed that have not been taken."""
        return self._items[seq]

    def close(self, seq: int) -> None:
        """The handler has ended: drop its credit and items."""
        self._credits.pop(seq, None)
        self._items.pop(seq, None)
