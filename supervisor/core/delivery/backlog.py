"""Backlog: the messages that wait in one queue. Pure."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator

from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.messages import Batch, QueuedMessage


class Backlog:
    """The messages that wait in one queue, in the order of their numbers.

    A cancelled message lies here until it is met, or until many do.

    Args:
        unwanted: the messages that were cancelled, by number; those that leave the backlog are removed from it.

    Attributes:
        count: how many wait, cancelled ones included.
    """

    def __init__(self, unwanted: dict[int, Fate]) -> None:
        self.count = 0
        self._unwanted = unwanted
        self._items: deque[QueuedMessage | Batch] = deque()

    def append(self, message: QueuedMessage) -> None:
        """Add the message with the highest number so far."""
        self._items.append(message)
        self.count += 1

    def append_batch(self, batch: Batch) -> None:
        """Add a batch with the highest numbers so far."""
        self._items.append(batch)
        self.count += len(batch)

    def pop_batch(self, after: int, most: int) -> Batch | None:
        """Take the batch at the head, at most so many of them; None when none is there with numbers above."""
        batch = self._items[0] if self._items else None
        if batch is None or isinstance(batch, QueuedMessage) or batch.seq <= after or most < 1:
            return None
        if len(batch) > most:
            self._items[0] = batch.split(most)
        else:
            self._items.popleft()
        self.count -= len(batch)
        return batch

    def pop(self) -> QueuedMessage | None:
        """Take the first wanted message; None when a batch is before it, or there is none."""
        items, unwanted = self._items, self._unwanted
        while items and isinstance(message := items[0], QueuedMessage):
            items.popleft()
            self.count -= 1
            if not unwanted or unwanted.pop(message.seq, None) is None:
                return message
        return None

    def take_apart_head(self) -> None:
        """Turn a batch at the head into single messages."""
        if self._items and not isinstance(batch := self._items[0], QueuedMessage):
            self._items.popleft()
            self._items.extendleft(reversed(list(batch.messages())))

    def take_apart_at(self, seq: int) -> None:
        """Turn the batch that has this message, if one has it, into single messages."""
        for at, item in enumerate(self._items):
            if not isinstance(item, QueuedMessage) and item.seq <= seq < item.seq + len(item):
                items = list(self._items)
                items[at : at + 1] = item.messages()
                self._items = deque(items)
                return

    def put_back(self, returned: Iterable[QueuedMessage | Batch]) -> None:
        """Put messages and batches back at the head, by number, also among those that came back before."""
        items = sorted(returned, key=_seq)
        if not items:
            return
        last = items[-1].seq
        ahead = []
        while self._items and self._items[0].seq < last:  # numbers of a batch have no gaps: nothing is inside of one
            ahead.append(self._items.popleft())
        self._items.extendleft(reversed(list(heapq.merge(items, ahead, key=_seq)) if ahead else items))
        self.count += sum(1 if isinstance(item, QueuedMessage) else len(item) for item in items)

    def insert(self, message: QueuedMessage) -> None:
        """Add a message of another backlog, at its place by number."""
        self.count += 1
        last = self._items[-1] if self._items else None
        if last is not None and last.seq + (1 if isinstance(last, QueuedMessage) else len(last)) <= message.seq:
            self._items.append(message)  # the common case
            return
        if not all(isinstance(item, QueuedMessage) for item in self._items):
            self._items = deque(_apart(self._items))
        if self._items and self._items[-1].seq > message.seq:
            self._items = deque(heapq.merge(self._items, (message,), key=_seq))
        else:
            self._items.append(message)

    def waiting(self) -> list[QueuedMessage]:
        """What waits and is wanted, in order."""
        return [message for message in _apart(self._items) if message.seq not in self._unwanted]

    def close_gaps(self) -> None:
        """Remove the cancelled messages; none of them is in a batch."""
        wanted = deque(item for item in self._items if self._unwanted.pop(item.seq, None) is None)
        self.count -= len(self._items) - len(wanted)
        self._items = wanted

    def clear(self) -> None:
        """Remove everything."""
        for item in self._items:
            self._unwanted.pop(item.seq, None)
        self._items.clear()
        self.count = 0


def _seq(item: QueuedMessage | Batch) -> int:
    return item.seq


def _apart(items: Iterable[QueuedMessage | Batch]) -> Iterator[QueuedMessage]:
    for item in items:
        if isinstance(item, QueuedMessage):
            yield item
        else:
            yield from item.messages()
