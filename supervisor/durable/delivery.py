"""NotedDelivery: a life of a durable actor as its mailbox sees it: what it is given is noted first.

    post ─▶ number and delivery tag, in the black box ─▶ where it is needed: begun, in the store ─▶ the life

What the life gets after a message that is being noted waits with it, so that nothing overtakes.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from actors.wire.counts import Counts
from actors.wire.framing import Carried
from actors.wire.progress import Activity, Progress
from supervisor.core.delivery.in_flight import InFlight
from supervisor.core.delivery.messages import Batch, QueuedMessage
from supervisor.durable.stored import StoredMailbox
from supervisor.ports.life import Delivery


class NotedDelivery:
    """See `Delivery`.

    Args:
        life: the life.
        flight: what it has.
        once: indices of message classes of which it is stored that they are begun, before they are.
        stored: the mailbox's side of the store.
    """

    def __init__(self, life: Delivery, flight: InFlight, once: frozenset[int], stored: StoredMailbox) -> None:
        self._life = life
        self._flight = flight
        self._once = once
        self._stored = stored
        self._waiting: list[Callable[[], None]] = []

    @property
    def congested(self) -> bool:
        """See `Delivery`."""
        return bool(self._waiting) or self._life.congested

    def post(self, batch: list[QueuedMessage]) -> None:
        """See `Delivery`."""
        self._life.note_given((message.seq, self._number(message)) for message in batch)
        once = [self._number(message) for message in batch if message.handler in self._once]
        for seq in once:
            self._stored.begun(seq, 1)
        self._in_turn(partial(self._life.post, batch), waits=bool(once))

    def _number(self, message: QueuedMessage) -> int:
        """The number of a message by its delivery tag; in a batch both are the same."""
        held = self._flight.messages.get(message.seq)
        return message.seq if held is None else held.seq

    def _in_turn(self, act: Callable[[], None], *, waits: bool = False) -> None:
        """Do it now, or where it waits for the store, or for something that does, when its turn has come."""
        if waits or self._waiting:
            self._waiting.append(act)
            self._stored.then_stored(self._go_on)
        else:
            act()

    def _go_on(self) -> None:
        """What was noted first is stored; the rest waits for its own turn."""
        if self._waiting:
            self._waiting.pop(0)()

    def post_batch(self, batch: Batch) -> None:
        """See `Delivery`."""
        self.post(list(batch.messages()))

    @property
    def at_once(self) -> bool:
        """See `Delivery`."""
        return self._life.at_once

    @property
    def window(self) -> int:
        """See `Delivery`."""
        return self._life.window

    @property
    def said_farewell(self) -> bool:
        """See `Delivery`."""
        return self._life.said_farewell

    @property
    def caught_up(self) -> bool:
        """See `Delivery`."""
        return self._life.caught_up

    def restore(self, state: bytes) -> None:
        """See `Delivery`."""
        self._life.restore(state)

    @property
    def boxed(self) -> bool:
        """See `Delivery`."""
        return self._life.boxed

    def note_given(self, given: Iterable[tuple[int, int]]) -> None:
        """See `Delivery`."""
        self._life.note_given(given)

    def cancel(self, seqs: list[int]) -> None:
        """See `Delivery`."""
        self._in_turn(partial(self._life.cancel, seqs))

    def recall(self, seqs: list[int]) -> None:
        """See `Delivery`."""
        self._in_turn(partial(self._life.recall, seqs))

    def credit(self, seq: int, count: int) -> None:
        """See `Delivery`."""
        self._in_turn(partial(self._life.credit, seq, count))

    def follow(self, seq: int, items: list[bytes], attachments: Sequence[Carried] = (), *, over: bool) -> None:
        """See `Delivery`."""
        self._in_turn(partial(self._life.follow, seq, items, attachments, over=over))

    def answer(self, frame: bytes, attachments: Sequence[Carried] = ()) -> None:
        """See `Delivery`."""
        self._life.answer(frame, attachments)

    def kill(self) -> None:
        """See `Delivery`."""
        self._life.kill()

    def progress(self) -> Progress:
        """See `Delivery`."""
        return self._life.progress()

    def activity(self) -> Activity:
        """See `Delivery`."""
        return self._life.activity()

    def counts(self) -> Counts:
        """See `Delivery`."""
        return self._life.counts()
