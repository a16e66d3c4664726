"""Dispatcher: what goes from one mailbox to the lives that serve it, and what their outcomes make room for.

    MessageQueue ─▶ dispatch ─▶ Delivery.post, Delivery.post_batch
         ▲                             │
         └── on_outcomes ◀── Outcomes ─┘ ─▶ Settlement

Runs on the loop's thread; nothing here blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.wire.framing import LARGE, Carried
from actors.wire.from_child import Outcomes, Replies
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.in_flight import Acknowledged
from supervisor.core.delivery.messages import QueuedMessage
from supervisor.core.delivery.queue import MessageQueue
from supervisor.loop_affinity import Home
from supervisor.mailbox.capacity import TELL_BATCH, Capacity
from supervisor.mailbox.consumers import Consumers
from supervisor.mailbox.recall import Recall
from supervisor.mailbox.settlement import Settlement
from supervisor.ports.life import Delivery
from supervisor.ports.observers import Observer

WINDOW: Final = 4096  # messages in flight to a life: enough while an acknowledgement travels
WINDOW_BYTES: Final = 256 * 1024  # bytes in one batch


class Dispatcher:
    """Sends what waits in one mailbox.

    Args:
        consumers: who takes messages.
        capacity: of the mailbox.
        settlement: of the mailbox.
        home: the loop, thread and process of the mailbox.
        concurrency: how many messages a member handles at once.
        window: how many messages may be in flight to a single life.

    Attributes:
        due: whether a dispatch at the end of this turn of the loop is planned.
        undispatched: messages accepted since the last dispatch.
        observers: look at the messages as they pass.
    """

    def __init__(
        self,
        consumers: Consumers,
        capacity: Capacity,
        settlement: Settlement,
        home: Home,
        *,
        concurrency: int,
        window: int,
    ) -> None:
        self.due = False
        self.undispatched = 0
        self.observers: tuple[Observer, ...] = ()
        self._consumers = consumers
        self._capacity = capacity
        self._settlement = settlement
        self._home = home
        self._window = window
        self._recall = Recall(home.loop, consumers, concurrency, self.dispatch)

    # ---- when

    def dispatch(self) -> None:
        """Send the lives what they can take; in a pool each message to the least loaded."""
        if self._home.thread < 0:  # a fork: inherited messages are the daemon's to send
            return
        self.due = False
        self.undispatched = 0
        consumers = self._consumers
        consumer = consumers.single_consumer
        if consumer is not None:
            self._fill(*consumer)
        elif len(consumers.names) > 1:
            self._deal()
            self._recall.watch()
        if self.observers:
            self.observe_accepted()
        if self._capacity.fast_slots <= 0:
            self._capacity.refresh()

    def observe_accepted(self) -> None:
        """Let the observers see that messages were accepted."""
        for observer in self.observers:
            observer.accepted()

    def soon(self) -> None:
        """Dispatch at the end of this turn of the loop; at once when nothing else is in progress."""
        shared_queue = self._consumers.shared_queue
        if shared_queue is not None and shared_queue.unsettled == 1:
            self.dispatch()
        else:
            self._plan()

    def after_turn(self) -> None:
        """Dispatch at the end of this turn of the loop, when everything that its supervisor decided has been done.

        A message that comes back or moves is not given to a member that the same decision stops.
        """
        if not self.due:
            self._plan()

    def _plan(self) -> None:
        self._home.loop.call_soon(self.dispatch)
        self.due = True  # now: a caller at the end of its stack or memory plans nothing, and the next one does

    def accepted(self, queue: MessageQueue) -> None:
        """A queue has one message more: dispatch now when the batch is full, or nothing else is in progress."""
        self.undispatched += 1
        if self.undispatched == TELL_BATCH or queue.unsettled == 1:
            self.dispatch()
        else:
            self.after_turn()
            if self._capacity.fast_slots <= 0:
                self._capacity.refresh()  # what was in the way may be gone

    def close(self) -> None:
        """Cancel all timers."""
        self._recall.close()

    # ---- to the lives

    def withdraw(self, seq: int, fate: Fate) -> tuple[str, int] | None:
        """The asker no longer waits: a message that has not begun will not begin.

        Returns the member that has it in flight and its delivery tag there; None when it was still queued.
        """
        if self._home.forked:  # the fork's loop cancels inherited tasks
            return None
        _, queue = self._settlement.dismiss(seq)
        if queue is None:
            return None
        held = queue.cancel_message(seq, fate)
        if held is None:
            self._settlement.withdrawn(seq, fate)
            self._capacity.grant()
            return None
        member, delivery_tag = held
        if (life := self._consumers.holding(member)) is not None:
            life.cancel([delivery_tag])
        return held

    def withdraw_all(self, seqs: Sequence[int], fate: Fate) -> dict[int, tuple[str, int]]:
        """As `withdraw`, of many; returns who has which of them in flight, and its delivery tag there."""
        if self._home.forked:
            return {}
        in_flight: dict[int, tuple[str, int]] = {}
        tags: dict[str, list[int]] = {}
        for seq in seqs:
            _, queue = self._settlement.dismiss(seq)
            if queue is None:
                continue
            held = queue.cancel_message(seq, fate)
            if held is None:
                self._settlement.withdrawn(seq, fate)
            else:
                in_flight[seq] = held
                tags.setdefault(held[0], []).append(held[1])
        for member, cancelled in tags.items():
            if (life := self._consumers.holding(member)) is not None:
                life.cancel(cancelled)
        self._capacity.grant()
        return in_flight

    def credit(self, seq: int, count: int) -> None:
        """The reader of a stream takes more items."""
        held = self.holder(seq)
        if held is not None:
            life, delivery_tag = held
            life.credit(delivery_tag, count)

    def follow(self, seq: int, items: list[bytes], attachments: Sequence[Carried] = (), *, over: bool) -> None:
        """Send items that follow a message that has begun."""
        held = self.holder(seq)
        if held is not None:
            life, delivery_tag = held
            life.follow(delivery_tag, items, attachments, over=over)

    def holder(self, seq: int) -> tuple[Delivery, int] | None:
        """The life that has a message in flight, and its delivery tag there; None while it is queued, or has ended."""
        _, queue = self._settlement.askers.get(seq, (None, None))
        held = None if queue is None else queue.flights.holder(seq)
        if held is None or held[0] not in self._consumers.served:
            return None
        return self._consumers.served[held[0]], held[1]

    def _fill(self, queue: MessageQueue, member: str, life: Delivery) -> None:
        """Send the single life as much as its window takes."""
        while queue.queued and not life.congested:
            room = queue.room(member, min(self._window, life.window))
            if room <= 0:
                return
            batch = queue.take_batch(member, room)
            if batch is not None:
                life.post_batch(batch)
            elif not self._give(queue, member, life, room):
                return

    def _deal(self) -> None:
        """Send the members of a pool what they can take now: one frame for each, unless a message needs its own."""
        hands: dict[str, list[QueuedMessage]] = {}
        late: list[QueuedMessage] = []
        now = self._capacity.clock()
        for queue, member, life in self._consumers.takers():
            taken, expired = queue.take(member, 1, WINDOW_BYTES, now)
            late += expired
            hand = hands.setdefault(member, [])
            hand += taken
            if taken and (taken[0].attachments is not None or taken[0].size >= LARGE):  # it is the last of its frame
                life.post(hands.pop(member))
        for member, hand in hands.items():
            if hand:
                self._consumers.served[member].post(hand)
        for message in late:
            self._settlement.expired(message)

    def _give(self, queue: MessageQueue, member: str, life: Delivery, most: int) -> bool:
        """Send a batch to a life; False when it can take nothing now."""
        batch, expired = queue.take(member, most, WINDOW_BYTES, self._capacity.clock())
        if batch:
            life.post(batch)
        for message in expired:
            self._settlement.expired(message)
        return bool(batch or expired)

    # ---- from the lives

    def on_outcomes(self, member: str, frame: Outcomes | Replies, attachments: Sequence[Carried] = ()) -> None:
        """A member's life reports how messages ended; attachments are the replies of some, in that order.

        Raises:
            WireError: it reports messages it was never given, or acknowledges an ask without an answer.
        """
        consumers = self._consumers
        queue = consumers.shared_queue or consumers.queue_of(member)
        pool = len(consumers.names) > 1
        had = consumers.handled(member) if pool else 0
        for observer in self.observers:
            observer.outcomes(queue, member, frame)
        if isinstance(frame, Replies):
            self._settlement.on_replies(queue, member, frame)
        else:
            if frame.items:
                self._settlement.on_outcomes(queue, member, frame.items, attachments)
            if frame.ack_up_to:
                self._acknowledged(queue.finish_up_to(member, frame.ack_up_to))
        if pool:
            consumers.measure(member, consumers.handled(member) - had)  # what it gave back was not handled
        capacity = self._capacity
        if capacity.line:
            capacity.grant()  # others may be taken
        if queue.queued:
            self.dispatch()
        elif capacity.fast_slots <= 0:
            capacity.refresh()

    def _acknowledged(self, acknowledged: Acknowledged) -> None:
        """Tells of batches have no asker: they are counted, and most acknowledgements have nothing else."""
        settlement = self._settlement
        if acknowledged.handled:
            settlement.fates[Fate.HANDLED] += acknowledged.handled
        if acknowledged.batches and settlement.on_tells is not None:
            settlement.on_tells(acknowledged.batches)
        if acknowledged.outside:
            settlement.acknowledged(acknowledged)
