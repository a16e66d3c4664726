"""Mailbox: one actor's messages, from the sender's call to their fate; it outlives every life of the actor.

    Intake ─▶ MessageQueue ─▶ Dispatcher ─▶ Life ─▶ process
                   ▲                         │
    asker, fates, dead letters ◀─ Settlement ◀┘ outcomes, lost

Each message ends with one fate, and each asker gets one result.

Runs on the loop's thread; nothing here blocks.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import msgspec

from actors.errors import ActorCrashed, ActorStopped, AskTimeout
from actors.exits import ExitReport
from actors.messages import Message, Terminated
from actors.protocol.protocol import ActorProtocol
from actors.ref import ActorRef
from actors.wire.progress import Progress
from supervisor.core.delivery.fates import Fate, fate_of_withdrawn
from supervisor.core.delivery.messages import Classes, SequenceNumbers
from supervisor.core.delivery.outcomes import unserved
from supervisor.core.delivery.queue import MessageQueue
from supervisor.core.delivery.routing import Router
from supervisor.core.delivery.singles import UNBOUNDED
from supervisor.core.rules.down import Down, is_down
from supervisor.core.tree.commands import Decision
from supervisor.loop_affinity import Home
from supervisor.mailbox.askers import Asker, decode_bound
from supervisor.mailbox.capacity import Capacity
from supervisor.mailbox.consumers import Consumers
from supervisor.mailbox.counted import Counted
from supervisor.mailbox.dispatch import WINDOW, Dispatcher
from supervisor.mailbox.intake.bulk import Bulk
from supervisor.mailbox.intake.intake import Intake
from supervisor.mailbox.intake.parts import MailboxParts
from supervisor.mailbox.many import AskPart
from supervisor.mailbox.settlement import Settlement
from supervisor.mailbox.timers import Deadlines, JobTimes
from supervisor.mailbox.unanswered import Unanswered
from supervisor.mailbox.validation import Admission
from supervisor.observe.dead_letters import DeadLetter
from supervisor.ports.life import Delivery
from supervisor.ports.observers import Observer, Tracer
from supervisor.specs import Overflow

if TYPE_CHECKING:
    from msgspec import Raw

    from supervisor.store.port import Store
    from supervisor.store.writes import ScheduleRan


def _stopped() -> Fate:
    return Fate.ACTOR_STOPPED


class MailboxTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a mailbox keeps to, and whom it tells.

    Attributes:
        capacity: how many messages may wait.
        capacity_bytes: how many bytes of messages may wait, None without a bound.
        overflow: what happens to one message more.
        max_message_bytes: the most bytes a message may have.
        max_deliveries: how often an idempotent message may be begun.
        members: names of the processes that serve it.
        most_descriptors: how many values in shared memory each of these may have ahead; see `MessageQueue`.
        router: chooses the member for a message.
        on_dead_letter: called with each dead letter.
        resolve: makes a ref of a path that arrives in a message or a reply.
        path_of: the path of a ref that is sent; raises UsageError where it is of another tree.
        stop_reason: the fate of messages when the actor stops now.
        clock: seconds, of deadlines; all processes share it.
    """

    capacity: int
    capacity_bytes: int | None
    overflow: Overflow
    max_message_bytes: int
    max_deliveries: int
    members: tuple[str, ...]
    most_descriptors: int = UNBOUNDED
    router: Router
    on_dead_letter: Callable[[DeadLetter], None]
    resolve: Callable[[str], ActorRef]
    path_of: Callable[[ActorRef], str] = attrgetter("path")
    stop_reason: Callable[[], Fate] = _stopped
    clock: Callable[[], float] = time.monotonic


class Mailbox:
    """The messages of one actor, or of one pool.

    Args:
        path: the actor's path.
        protocol: what it handles.
        terms: what it keeps to, and whom it tells.

    Attributes:
        durable: whether it is kept over the death of the daemon, a `DurableMailbox`.
        intake: takes messages.
        bulk: takes many of one call.
        dispatcher: sends them, and what belongs to them.
        unanswered: asks that end before their answer.
        consumers: who serves it.
        job_times: how long the jobs in it may run.
        capacity: how many messages may wait.
        begun: whether a life of the actor was ever started.
        classes: of its messages.
        path_of: the path of a ref that is sent to the actor; that of each mailbox of one tree is the same.
        counted: what its lives have counted.
        watched: the mailboxes whose end its lives get as a message, by the path of the life, and of the mailbox.
    """

    durable: ClassVar[bool] = False
    intake: Intake
    bulk: Bulk

    def __init__(self, path: str, protocol: ActorProtocol, terms: MailboxTerms) -> None:
        self.path = path
        self.protocol = protocol
        self.home = Home()
        self.begun = False
        self.classes = self._read_classes()
        self.path_of: Final = terms.path_of
        self._stop_reason = terms.stop_reason
        self.watched: dict[tuple[str, str], Mailbox] = {}
        self._watchers: dict[object, Callable[[Terminated], None]] = {}
        self._last_report: ExitReport | None = None
        concurrency, loop = protocol.actor.concurrency, self.home.loop
        self.counted = Counted()
        self._numbers, weighed = self._new_numbers(), terms.capacity_bytes is not None
        new_queue = partial(
            MessageQueue,
            self.classes,
            terms.max_deliveries,
            self._numbers,
            weighed=weighed,
            most_descriptors=terms.most_descriptors,
        )
        self.consumers = Consumers(terms.router, new_queue, concurrency, terms.clock)
        for member in terms.members:
            self.consumers.add(member)
        self.capacity = Capacity(self.consumers, terms.capacity, terms.capacity_bytes, loop, terms.clock)
        decode = partial(decode_bound, terms.resolve, protocol.decode)
        self._settlement = self._make_settlement(decode, terms.on_dead_letter)
        # what is in flight cannot be dropped any more
        window = WINDOW if terms.overflow is not Overflow.DROP_OLDEST else max(1, min(WINDOW, terms.capacity // 2))
        self.dispatcher = Dispatcher(
            self.consumers, self.capacity, self._settlement, self.home, concurrency=concurrency, window=window
        )
        self.unanswered = Unanswered(
            path,
            protocol,
            consumers=self.consumers,
            settlement=self._settlement,
            dispatcher=self.dispatcher,
            depth=lambda: self.depth,
            clock=terms.clock,
        )
        self.job_times = JobTimes(loop, self.consumers)
        self._deadlines = Deadlines(loop, terms.clock, self._settlement.askers, self.unanswered.expire)
        self._make_ways_in(
            MailboxParts(
                path=path,
                protocol=protocol,
                classes=self.classes,
                home=self.home,
                admission=Admission(
                    path, protocol, terms.max_message_bytes, terms.router, self.classes, path_of=terms.path_of
                ),
                consumers=self.consumers,
                capacity=self.capacity,
                overflow=terms.overflow,
                settlement=self._settlement,
                dispatcher=self.dispatcher,
                deadlines=self._deadlines,
                resolve=terms.resolve,
            )
        )

    # ---- what is known of it

    @property
    def closed(self) -> Down | None:
        """Why it is closed, None while it is open."""
        return self.intake.closed

    @property
    def fates(self) -> Counter[Fate]:
        """How many messages ended in which way."""
        return self._settlement.fates

    @property
    def depth(self) -> int:
        """How many messages wait or are being handled."""
        return self.consumers.depth

    @property
    def drained(self) -> bool:
        """Whether nothing waits or is being handled, and no sender waits for room."""
        return not self.depth and not self.capacity.line

    @property
    def sequential(self) -> bool:
        """Whether one running message blocks all that follow: one process, one handler at a time."""
        return len(self.consumers.names) == 1 and self.protocol.actor.concurrency == 1

    def unserved_error(self) -> ActorCrashed:
        """The error of an ask that does not wait for an actor that is down."""
        return unserved(self.path, self._last_report)

    def not_taken(self, name: str, timeout: float | None, late: TimeoutError) -> AskTimeout:
        """The error of an ask that did not enter in so many seconds; `late` may say what was in its way."""
        within = "in time" if timeout is None else f"within {timeout} s"
        why = str(late) or f"{self.capacity.waiting} messages wait"
        return AskTimeout(f"{self.path} had no room for {name} {within}: {why}", started=False)

    def withdraw(self, seq: int, deadline: float | None = None) -> None:
        """The asker no longer waits, perhaps because of its deadline: a message that has not begun will not begin."""
        self.dispatcher.withdraw(seq, fate_of_withdrawn(deadline, self.capacity.clock()))

    async def post_scheduled(self, payload: bytes, note: ScheduleRan, store: Store | None) -> None:
        """Take a scheduled message whose time has come, once it is noted in the store, if there is one.

        Raises:
            StoreError: it is not noted, and nothing was sent.
        """
        if store is not None:
            await store.commit([note])
        self.intake.post_scheduled(payload)

    @property
    def accepted(self) -> int:
        """The sequence number that the next accepted message gets."""
        shared_queue = self.consumers.shared_queue
        if shared_queue is not None:
            return self._numbers.next + shared_queue.fresh
        return self._numbers.next + sum(queue.fresh for queue in self.consumers.queues.values())

    @property
    def askers(self) -> Mapping[int, tuple[Asker | AskPart, MessageQueue]]:
        """What waits for the end of a message, by its number; to look at."""
        return self._settlement.askers

    def observe(self, observer: Observer) -> None:
        """Let an observer look at the messages from now on."""
        self.dispatcher.observers += (observer,)

    def trace_with(self, tracer: Tracer) -> None:
        """Trace the messages that are sent from now on."""
        self.observe(tracer)
        self.intake.trace_with(tracer)
        self._settlement.on_dropped = tracer.dropped

    # ---- members and their lives

    def add_member(self, member: str) -> None:
        """Add a process that serves it."""
        self.consumers.add(member)

    def remove_member(self, member: str) -> None:
        """Remove a process that is down, while others serve; what waited for it goes to them."""
        for seq, queue in self.consumers.remove(member):
            self._settlement.moved(seq, queue)
        self.dispatcher.after_turn()

    def connect(self, member: str, life: Delivery) -> None:
        """A member's life gets messages from now on."""
        self.consumers.connect(member, life)
        self.dispatcher.dispatch()

    def lost(self, member: str, progress: Progress | None, report: ExitReport) -> None:
        """A life has ended: everything in flight to it gets its fate; what may be begun again goes to the next life."""
        self.consumers.over(member)
        if report.decision != Decision.RECYCLE:
            self.consumers.expect_none(member)
        self._last_report = report
        losses = self.consumers.queue_of(member).lose(member, progress)
        for observer in self.dispatcher.observers:
            observer.lost(losses, progress, report)
        for loss in losses:
            self._settlement.lost(loss, report)
        if self.consumers.down:
            for seq in sorted(self._settlement.fail_if_down):
                asker, queue = self._settlement.askers[seq]
                if queue.flights.holder(seq) is not None:  # a life that leaves handles it
                    continue
                self.dispatcher.withdraw(seq, Fate.FAILED_WHEN_DOWN)
                one = asker.at(seq) if isinstance(asker, AskPart) else asker
                one.failed(self.unserved_error())
        if self.capacity.line:
            self.capacity.grant()
        if self.depth:
            self.dispatcher.after_turn()

    # ---- open and closed

    def close(self, down: Down) -> None:
        """The actor is down and stays down.

        What waits becomes dead letters, and every asker and waiting sender gets an error.
        """
        reason = self._stop_reason()
        self.consumers.expect_none(*self.consumers.names)
        self._settlement.fail_if_down.clear()
        waiting = (queue.drain() for queue in self.consumers.queues.values())
        for message in merge(*waiting, key=lambda message: message.seq):
            self._settlement.dead_letter(message, reason, down.because)
            asker, _ = self._settlement.dismiss(message.seq)
            if asker is not None:
                asker.failed(ActorStopped(f"{is_down(self.path, down)}; the message had not begun"))
        self.intake.close(down, reason)
        watchers, self._watchers = self._watchers, {}
        for told in watchers.values():
            told(Terminated(self.path, down.because))

    def open(self) -> None:
        """The actor is started, perhaps again after it was down for good."""
        self.begun = True
        if self.closed is not None:
            self.intake.open()

    def shut_down(self) -> None:
        """The tree has ended: delayed messages become dead letters."""
        self._drop_timers(Fate.SHUTDOWN, "its supervisor ended before its time came")

    def forget(self) -> None:
        """The actor's spec is deleted: delayed messages become dead letters, and it watches nobody any more."""
        for (watcher, _), target in self.watched.items():
            target.unwatch((watcher, 0))
        self._drop_timers(self._stop_reason(), "its actor was forgotten before its time came")

    def watch(self, who: object, told: Callable[[Terminated], None]) -> None:
        """Call `told` when the actor is down for good, at once when it already is; once for each `who`."""
        if self.closed is not None:
            told(Terminated(self.path, self.closed.because))
        else:
            self._watchers[who] = told

    def unwatch(self, who: object) -> None:
        """Do not call it."""
        self._watchers.pop(who, None)

    # ---- its parts

    def _read_classes(self) -> Classes:
        handlers = self.protocol.handlers
        tags = {message.__struct_config__.tag: handler.index for message, handler in handlers.items()}
        return Classes(cast("dict[str | int, int]", tags), [message.idempotent for message in handlers])

    def _new_numbers(self) -> SequenceNumbers:
        return SequenceNumbers()

    def _make_settlement(
        self, decode: Callable[[Raw], Message[Any]], on_dead_letter: Callable[[DeadLetter], None]
    ) -> Settlement:
        return Settlement(self.path, self.protocol, decode, self._stop_reason, on_dead_letter)

    def _make_ways_in(self, parts: MailboxParts) -> None:
        self.intake = Intake(parts)
        self.bulk = Bulk(parts, self.intake)

    # ---- inside

    def _drop_timers(self, fate: Fate, because: str) -> None:
        """Cancel all timers on the loop."""
        self._deadlines.close()
        self.dispatcher.close()
        self.intake.drop_delayed(fate, because)
