"""Consumers: the members that serve one mailbox, the queue each takes from, and which is next.

A member takes from one queue, a queue has at least one member, and a message is in one queue.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from actors.wire.progress import Progress
from supervisor.core.delivery.losses import blame
from supervisor.core.delivery.queue import MessageQueue
from supervisor.core.delivery.routing import SHARED, Router
from supervisor.ports.life import Delivery

AHEAD: Final = 3  # messages a quick member of a pool has beyond those it handles, at least: enough to stay busy
MOST_AHEAD: Final = 16  # and at most: they share wake-ups and turns of the loop
QUICK: Final = 0.001  # seconds for one message; a slower member loses little by waiting for the next one


class Consumer(NamedTuple):
    """A member that is served: its queue, its name and its life."""

    queue: MessageQueue
    name: str
    life: Delivery


class Consumers:
    """The members of one mailbox: a single one, or those of a pool.

    Args:
        router: chooses the member for a message.
        new_queue: makes a queue for one member, or for all.
        concurrency: how many messages a member handles at once.
        clock: seconds, of the loop.

    Attributes:
        names: of all of them, those that are down included.
        queues: what waits and what is in flight, by the router's name for it.
        served: the lives that get messages, by member.
        leaving: the lives that get no more and have not ended: they handle what they have.
        ended: why a life was killed over the message that it handled, by member.
        last_jobs: of a pool of jobs, the last one that each member's life has run, as reports name it.
        shared_queue: the queue that all share; None when they have queues of their own.
        single_consumer: the one consumer; None for a pool, and while the actor is down.
        most_ahead: how many messages a quick member has at most beyond those it handles, where others take from the
            same queue.
    """

    def __init__(
        self, router: Router, new_queue: Callable[[], MessageQueue], concurrency: int, clock: Callable[[], float]
    ) -> None:
        self.names: list[str] = []
        self.queues: dict[str, MessageQueue] = {}
        self.served: dict[str, Delivery] = {}
        self.leaving: dict[str, Delivery] = {}
        self.ended: dict[str, str] = {}
        self.last_jobs: dict[str, str] = {}
        self.shared_queue: MessageQueue | None = None
        self.single_consumer: Consumer | None = None
        self.most_ahead = MOST_AHEAD
        self._router = router
        self._new_queue = new_queue
        self._concurrency = concurrency
        self._clock = clock
        self._paused: dict[str, set[int]] = {}  # members that are given nothing now: because of which of their messages
        self._making_room: set[str] = set()  # whose life is about to be followed by another, or just was
        self._quick: dict[str, int] = {}  # how many messages a quick member gets in advance; a slow one is not in it
        self._busy_since: dict[str, float] = {}  # when a member of a pool last got or ended a message

    @property
    def down(self) -> bool:
        """Whether no life serves, and none is about to."""
        return not self.served and not self._making_room

    @property
    def depth(self) -> int:
        """How many messages wait or are being handled."""
        shared_queue = self.shared_queue
        if shared_queue is not None:
            return shared_queue.unsettled
        return sum(queue.unsettled for queue in self.queues.values())

    def awaits(self, name: str) -> bool:
        """Whether messages are in flight to a member's life that is served."""
        return name in self.served and self.queue_of(name).flights.count(name) > 0

    def waits_for(self, name: str) -> bool:
        """Whether a message waits for a member, or is in flight to its life."""
        queue = self.queue_of(name)
        return queue.queued + queue.flights.count(name) > 0

    def handled(self, name: str) -> int:
        """How many messages of a member's life have ended."""
        return self.queue_of(name).flights.of(name).handled

    def flowing(self, name: str) -> bool:
        """Whether a stream or a feed is in flight to a member's life."""
        return self.queue_of(name).flights.of(name).flowing

    def deliveries(self, name: str, progress: Progress) -> int | None:
        """How often the message that a life is handling (the first, if several) has been begun, this time included."""
        queue = self.queue_of(name)
        delivery_tag = min(progress.active, default=None)
        if delivery_tag is None:
            return None
        held = queue.flights.of(name).messages.get(delivery_tag)
        return queue.attempts.of(delivery_tag if held is None else held.seq) + 1  # in a batch it is the number

    def untold(self, name: str, progress: Progress) -> bool:
        """Whether a dead life had begun a message, as its black box says, whose end it has not told."""
        flight = self.queue_of(name).flights.of(name)
        return any(delivery_tag <= progress.begun for delivery_tag, _ in flight.all())

    def blame(self, name: str, progress: Progress) -> Progress:
        """What a dead life was doing; see `losses.blame`."""
        return blame(self.queue_of(name).flights.of(name), progress)

    def queue_of(self, name: str) -> MessageQueue:
        """The queue a member takes from."""
        return self.shared_queue or self.queues[self._router.queue_of(name)]

    def queue_for(self, key: bytes | None) -> MessageQueue:
        """The queue for a message with that key."""
        return self.shared_queue or self.queues[self._router.choose(key, self.names)]

    # ---- who they are

    def add(self, name: str) -> None:
        """Add a member."""
        if name not in self.names:
            self.names.append(name)
            queue = self._router.queue_of(name)
            if queue not in self.queues:
                self.queues[queue] = self._new_queue()
                self.shared_queue = self.queues.get(SHARED)
            self._find_single_consumer()

    def remove(self, name: str) -> list[tuple[int, MessageQueue]]:
        """Remove a stopped member; returns (seq, new queue) of what waited for it."""
        if name not in self.names or len(self.names) == 1:
            return []
        self.names.remove(name)
        self._find_single_consumer()
        if self._router.queue_of(name) in map(self._router.queue_of, self.names):
            return []
        moved = []
        for message, deliveries in self.queues.pop(self._router.queue_of(name)).release():
            queue = self.queue_for(message.key)
            queue.adopt(message, deliveries)
            moved.append((message.seq, queue))
        return moved

    # ---- their lives

    def connect(self, name: str, life: Delivery) -> None:
        """A life can get messages."""
        self.served[name] = life
        self._making_room.discard(name)
        self._quick.pop(name, None)
        self._paused.pop(name, None)
        self.ended.pop(name, None)
        self.last_jobs.pop(name, None)
        self._find_single_consumer()

    def holding(self, name: str) -> Delivery | None:
        """The life of a member, also one that gets no more messages; None once it has ended."""
        return self.served.get(name) or self.leaving.get(name)

    def progress(self) -> dict[str, Progress]:
        """What each member that has a life does now."""
        return {name: life.progress() for name, life in (self.leaving | self.served).items()}

    def over(self, name: str) -> None:
        """A life has ended."""
        self.disconnect(name)
        self.leaving.pop(name, None)

    def disconnect(self, name: str) -> None:
        """A life gets no more messages."""
        life = self.served.pop(name, None)
        if life is not None:
            self.leaving[name] = life
        self._paused.pop(name, None)
        self._find_single_consumer()

    def bearer(self, name: str, delivery_tag: int) -> Delivery | None:
        """The life that has a message in flight; None once the message or the life has ended."""
        life = self.holding(name)
        return life if life is not None and self.queue_of(name).flights.of(name).number_of(delivery_tag) else None

    def end(self, name: str, why: str) -> None:
        """Kill a life over the message that it handles."""
        self.ended[name] = why
        if (life := self.holding(name)) is not None:
            life.kill()

    def pause(self, name: str, delivery_tag: int) -> bool:
        """A life gets no messages until `resume` with the same message, which it handles.

        It is asked to give back what it has not begun; returns whether it has any.
        """
        life = self.holding(name)
        if life is None:
            return False
        self._paused.setdefault(name, set()).add(delivery_tag)
        self._find_single_consumer()
        asked = self.queue_of(name).flights.of(name).ask_back(life.progress().begun)
        if asked:
            life.recall(asked)
        return bool(asked)

    def resume(self, name: str, delivery_tag: int) -> None:
        """A life gets messages again, unless another pause lasts."""
        pauses = self._paused.get(name, set())
        pauses.discard(delivery_tag)
        if not pauses:
            self._paused.pop(name, None)
        self._find_single_consumer()

    def make_room(self, name: str) -> None:
        """A life gets no more messages, and the next one follows at once: the member is not down."""
        self._making_room.add(name)
        self.disconnect(name)

    def expect_none(self, *names: str) -> None:
        """No life follows at once."""
        self._making_room.difference_update(names)

    def _find_single_consumer(self) -> None:
        """Cache the single life, for the fast path."""
        self.single_consumer = None
        if len(self.names) == 1:
            for name, life in self.served.items():
                if name in self._paused:
                    continue
                self.single_consumer = Consumer(self.queue_of(name), name, life)

    # ---- whose turn is next

    def takers(self) -> Iterator[Consumer]:
        """Yield, for one message of a queue after the other, the member that gets it: the least loaded that can.

        Each must be taken before the next. Messages in flight wait for the one being handled.
        """
        for queue in self.queues.values():
            if not queue.queued:
                continue
            able = [
                (queue.flights.count(name), place, name)
                for place, name in enumerate(self.served)
                if self.queue_of(name) is queue and self._can_take(queue, name)
            ]
            heapify(able)
            while able and queue.queued:
                in_flight, place, name = heappop(able)
                if not in_flight:
                    self._busy_since[name] = self._clock()
                before = queue.queued
                yield Consumer(queue, name, self.served[name])
                if queue.queued < before and self._can_take(queue, name):  # else it has as many values as it may have
                    heappush(able, (queue.flights.count(name), place, name))

    def measure(self, name: str, done: int) -> None:
        """Learn from the time of this many messages whether a member is quick."""
        if not done:
            return
        now = self._clock()
        took = now - self._busy_since.get(name, 0.0)
        if took < QUICK * done:
            self._quick[name] = min(MOST_AHEAD, max(AHEAD, int(QUICK * done / max(took, 1e-9))))
        else:
            self._quick.pop(name, None)
        self._busy_since[name] = now

    def found_slow(self, name: str) -> None:
        """A member stays busy: it gets nothing in advance until it was quick again."""
        self._quick.pop(name, None)

    def _can_take(self, queue: MessageQueue, name: str) -> bool:
        """Whether a member can take one more message of its queue.

        From a queue that others take from, too, it gets messages in advance only while it is quick: as many as it
        handles within QUICK, within bounds.
        """
        shared = len(self.queues) == 1
        ahead = min(self.most_ahead, self._quick.get(name, 0)) if shared else AHEAD
        life = self.served.get(name)
        open_ = life is not None and name not in self._paused and not life.congested
        return open_ and queue.room(name, self._concurrency + ahead) > 0
